"""Sections on a Doc: `doc._.sections` and `span._.section`, views of plain rows in `doc.user_data`."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from spacy.tokens import Doc, Span

SECTIONS = "kiwi_sections"  # the key in doc.user_data: rows of Section's fields


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it. `heading_end` is where the body begins; intervals are half-open.

    `parent` is the key of the section that this one divides: a part of an examination, a heading within a plan.
    """

    key: str | None
    title: str
    loinc: str | None
    heading_start: int
    heading_end: int
    start_char: int
    end_char: int
    level: int = 1
    parent: str | None = None

    @property
    def main(self) -> str | None:
        """The key of the section that this one divides, else its own."""
        return self.parent or self.key


def set_sections(doc: Doc, sections: Iterable[Section]) -> None:
    """Keep a Doc's sections, as plain rows."""
    doc.user_data[SECTIONS] = [list(astuple(section)) for section in sections]


def get_sections(doc: Doc) -> list[Section]:
    """Return a Doc's sections, in order; empty where `kiwi_sections` has not run."""
    return [Section(*row) for row in doc.user_data.get(SECTIONS, ())]


def section_at(sections: Sequence[Section], start_char: int) -> Section | None:
    """Return the section in which a character stands, its heading included; None before the first.

    >>> section_at([Section("plan", "PLAN", None, 10, 15, 15, 40)], 12).key
    'plan'
    """
    i = bisect_right(sections, start_char, key=lambda section: section.heading_start) - 1
    return sections[i] if i >= 0 else None


def get_section(span: Span) -> Section | None:
    """Return the section in which a span begins; None before the first heading."""
    rows = span.doc.user_data.get(SECTIONS, ())
    i = bisect_right(rows, span.start_char, key=lambda row: row[3]) - 1
    return Section(*rows[i]) if i >= 0 else None


def register_section_extensions() -> None:
    """Add `doc._.sections` and `span._.section`, unless another import has done so."""
    if not Doc.has_extension("sections"):
        Doc.set_extension("sections", getter=get_sections)
    if not Span.has_extension("section"):
        Span.set_extension("section", getter=get_section)
