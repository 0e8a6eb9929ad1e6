"""What holds of a clinical entity: present or absent, now or then, whose, under which condition, and how a drug is used."""

from dataclasses import dataclass
from typing import Literal

Certainty = Literal["present", "possible", "absent"]
Time = Literal["current", "historical"]
Experiencer = Literal["patient", "family", "other"]
Condition = Literal["conditional", "hypothetical"]
Use = Literal["taking", "stopped", "planned", "refused", "allergy"]
Source = Literal["modifier", "cue", "section"]


@dataclass(frozen=True)
class Evidence:
    """One reason: `value` on `axis`, by the words at [start_char, end_char) of the note.

    `rule` is the id of the cue's rule, also where the words of a trained modifier are such a cue; else the modifier's role, or
    the key of the section, whose heading the words are.
    """

    axis: str
    value: str
    source: Source
    start_char: int
    end_char: int
    rule: str


@dataclass(frozen=True)
class Status:
    """The axes of an entity's status, and one summary word. `use` is told of drugs and treatments alone.

    `evidence` is what decided; `conflicts` is what said otherwise and was overruled, by the order in `docs/status.md`.
    """

    certainty: Certainty = "present"
    time: Time = "current"
    experiencer: Experiencer = "patient"
    relative: str | None = None
    condition: Condition | None = None
    use: Use | None = None
    summary: str = "present"
    evidence: tuple[Evidence, ...] = ()
    conflicts: tuple[Evidence, ...] = ()
