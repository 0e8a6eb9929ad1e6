"""Run a pipeline over notes, one of which may be bad."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from spacy.language import Language
from spacy.tokens import Doc

from ..errors import BackboneError, KiwiError, kind_of, place_of

Given = str | Doc | Callable[[], Doc]


def annotate(nlp: Language, notes: Iterable[Given], batch_size: int) -> Iterator[Doc | str]:
    """Yield what a pipeline makes of each note, in order and as soon as it is there: a Doc, or the reason why it failed.

    A note without a result, after an exception or because an error handler of the pipeline's own left it out,
    is tried again alone.

    notes (Iterable[str | Doc | Callable[[], Doc]]): Texts, Docs that stay as they are, or what makes a Doc each time.
    batch_size (int): Notes that the pipeline gets at a time, and that are taken from `notes` at a time.
    RAISES (BackboneError): Weights are missing, so that every note would fail.
    """
    rest = iter(notes)
    while batch := list(islice(rest, batch_size)):
        given = 0  # notes of the batch whose result is given
        try:
            numbered = ((_fresh(note), i) for i, note in enumerate(batch))
            for doc, i in nlp.pipe(numbered, as_tuples=True, batch_size=len(batch)):
                for note in batch[given:i]:
                    yield _alone(nlp, note)
                yield doc
                given = i + 1
        except BackboneError:
            raise
        except Exception:  # whatever a component raises; the note that did it is found below
            pass
        for note in batch[given:]:
            yield _alone(nlp, note)


def reason(error: Exception, source: str = "the pipeline") -> str:
    """Say why, without note text: only the messages of this package and of the system are free of it."""
    if isinstance(error, KiwiError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{source} raised {kind_of(error)} at {place_of(error)}"


def _fresh(note: Given) -> str | Doc:
    if isinstance(note, str):
        return note
    return note.copy() if isinstance(note, Doc) else note()


def _alone(nlp: Language, note: Given) -> Doc | str:
    try:  # not nlp(note), which gives a Doc without annotations where an error handler passes over the error
        docs = list(nlp.pipe([_fresh(note)], batch_size=1))
    except BackboneError:
        raise
    except Exception as error:
        return reason(error)
    return docs[0] if docs else "a component failed, and the pipeline's error handler left the note out"
