"""The exceptions that a user can mend. A model's mistakes raise none: they are counted on the Doc."""


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
