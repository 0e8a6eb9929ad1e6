"""What the exit codes of `kiwi` mean."""

from ..errors import BackboneError, HeldError, KiwiError, OutputError

DONE = 0  # all notes are done
SOME = 1  # some notes failed or are incomplete; the others are done
MISTAKE = 2  # a command, an input or a file cannot be used as it was given
REFUSED = 3  # the output folder holds files of others, or results of another pipeline, other settings or notes
HELD = 4  # another run writes to the output folder
NO_WEIGHTS = 5  # weights of the pipeline are missing


def exit_code(error: KiwiError) -> int:
    """Return the exit code of a command that an error has stopped.

    >>> exit_code(HeldError("Another run writes there."))
    4
    """
    for kind, code in ((OutputError, REFUSED), (HeldError, HELD), (BackboneError, NO_WEIGHTS)):
        if isinstance(error, kind):
            return code
    return MISTAKE
