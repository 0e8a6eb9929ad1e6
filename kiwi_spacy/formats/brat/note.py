"""A brat note as read: its spans, links and remarks by the ids of the file, and what did not fit."""

from dataclasses import dataclass, field
from typing import Any, Literal

from ...contract import RemarkKind

BOM = "\ufeff"
ProblemKind = Literal[
    "unreadable-line", "outside-note", "repeated-id", "unknown-label", "pieces", "no-words", "other-words", "missing-end",
    "wrong-ends", "pair", "unknown-attribute", "left-out",
]


@dataclass(frozen=True)
class BratSpan:
    """A text-bound annotation; `fragments` counts the pieces of a discontinuous one, kept as its hull."""

    id: str
    start_char: int
    end_char: int
    label: str
    line: int
    fragments: int = 1


@dataclass(frozen=True)
class BratLink:
    """A legal link, by the ids of its ends; `turned` says that the file names the modifier first."""

    id: str
    head: str
    modifier: str
    line: int
    turned: bool


@dataclass(frozen=True)
class BratRemark:
    """An attribute, a comment or a code of the span `target`; `modifier` is what an attribute is read as, or empty."""

    id: str
    target: str
    kind: RemarkKind
    name: str
    value: str
    line: int
    modifier: str = ""


@dataclass(frozen=True)
class Problem:
    """What does not fit note or schema; the offsets are those of its span, where it has one inside the note."""

    kind: ProblemKind
    file: str
    line: int
    what: str
    start_char: int | None = None
    end_char: int | None = None

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.what}"


@dataclass
class BratNote:
    """One note as read: its spans, its legal links as `written`, what is said of spans, and what was `reported`.

    layers: What this package wrote of the whole note: {layer: its rows}, of "provenance", "problems", "failures",
        "note_date" and "columns".
    """

    name: str
    text: str
    spans: list[BratSpan] = field(default_factory=list)
    written: list[BratLink] = field(default_factory=list)
    remarks: list[BratRemark] = field(default_factory=list)
    layers: dict[str, Any] = field(default_factory=dict)
    reported: list[Problem] = field(default_factory=list)

    @property
    def links(self) -> list[tuple[str, str]]:
        """The links as (head id, modifier id), each once."""
        return list(dict.fromkeys((link.head, link.modifier) for link in self.written))

    @property
    def problems(self) -> list[str]:
        """What was reported, with file and line."""
        return [str(problem) for problem in self.reported]
