"""The exceptions that a user can mend. A model's mistakes raise none: they are counted on the Doc."""

import re
import traceback
from pathlib import Path


class KiwiError(ValueError):
    """Root of all errors of this package. Messages hold note ids and offsets, never note text."""


class SchemaError(KiwiError):
    """A schema file contradicts itself, or annotations contradict the schema."""


class FormatError(KiwiError):
    """A file of notes or annotations cannot be read; the message names file and line."""


class BackboneError(KiwiError):
    """The weights of a backbone are missing or do not fit."""


class TrainingError(KiwiError):
    """Training cannot start or go on as asked."""


class RulesError(KiwiError):
    """A file of rules (titles of sections, cues of status) cannot be read or contradicts itself."""


class MissingExtraError(KiwiError, ImportError):
    """A library is not installed that only a part of the package needs; the message names the extra that brings it."""


class OutputError(KiwiError):
    """An output folder holds what this run did not make, or the results of another pipeline, other settings, other notes."""


class HeldError(KiwiError):
    """Another run writes to the output folder now."""


def kind_of(error: Exception | Warning | str) -> str:
    """Return the type of an error, and its code where it is one of spaCy's; its message may hold note text.

    >>> kind_of(ValueError("[E088] Text of length 1200000 exceeds maximum"))
    'ValueError [E088]'
    """
    code = re.match(r"\[[EW]\d+\]", str(error))
    return type(error).__name__ + (f" {code.group()}" if code else "")


def place_of(error: BaseException) -> str:
    """Return where an error was raised: the file with its folder, the line, the function."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    return f"{'/'.join(Path(frames[-1].filename).parts[-2:])}:{frames[-1].lineno} in {frames[-1].name}"
