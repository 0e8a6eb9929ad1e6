"""Facts as rows of NOTE_NLP, a table of OMOP CDM 5.4."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from ..contract.facts import Fact
from ..contract.status import Status
from ..errors import KiwiError
from .omop_modifiers import write_modifiers

WIDTH = 250  # characters of snippet, lexical_variant and nlp_system
# Rules of `cues.yml` by which an entity is possible, but not believed.
HARDLY = frozenset({"rule_out", "rule_out_after", "unlikely", "unlikely_after", "unlikely_answer"})


@dataclass(frozen=True)
class NoteNlp:
    """A row of NOTE_NLP; its fields are the table's columns, in the table's order."""

    note_nlp_id: int
    note_id: int
    section_concept_id: int
    snippet: str
    offset: str
    lexical_variant: str
    note_nlp_concept_id: int
    note_nlp_source_concept_id: int
    nlp_system: str
    nlp_date: date
    nlp_datetime: datetime
    term_exists: str
    term_temporal: str
    term_modifiers: str


@dataclass(frozen=True)
class Lost:
    """What did not fit into a row's columns: modifiers left out, and characters cut off a mention's end."""

    modifiers: int = 0
    characters: int = 0


def make_row(
    fact: Fact, text: str, *, note_nlp_id: int, note_id: int, note_date: date | None, nlp_system: str, nlp_datetime: datetime,
    sections: Mapping[str, int],
) -> tuple[NoteNlp, Lost]:
    """Return a fact's row and what did not fit into it.

    `offset` is the 0-based start of the mention in Unicode characters of the note, in decimal digits. The concept is that of the
    first code that has a number in OMOP, else 0; the source concept is 0, as the words themselves are no concept.

    text (str): The whole note.
    note_date (date | None): The note's own date, against which dates of the fact are the past.
    sections (Mapping[str, int]): {LOINC code: concept_id}, of the user's vocabulary; a code that it lacks gives 0.
    RAISES (KiwiError): `nlp_system` is longer than its column, or the fact does not lie in the text.
    """
    if len(nlp_system) > WIDTH:
        raise KiwiError(f"nlp_system has {len(nlp_system)} characters; its column takes {WIDTH}. Give a shorter name.")
    if not 0 <= fact.start_char < fact.end_char <= len(text):
        raise KiwiError(f"Note {note_id}: the fact at {fact.start_char}-{fact.end_char} is not in its text of {len(text)}.")
    modifiers, left_out = write_modifiers(fact_modifiers(fact))
    mention = text[fact.start_char : fact.end_char]
    row = NoteNlp(
        note_nlp_id=note_nlp_id,
        note_id=note_id,
        section_concept_id=sections.get(fact.section.loinc or "", 0) if fact.section else 0,
        snippet=make_snippet(text, fact.start_char, fact.end_char),
        offset=str(fact.start_char),
        lexical_variant=mention[:WIDTH],
        note_nlp_concept_id=next((code.omop for code in fact.codes if code.omop is not None), 0),
        note_nlp_source_concept_id=0,
        nlp_system=nlp_system,
        nlp_date=nlp_datetime.date(),
        nlp_datetime=nlp_datetime,
        term_exists=term_exists(fact.status),
        term_temporal=term_temporal(fact, note_date),
        term_modifiers=modifiers,
    )
    return row, Lost(left_out, max(0, len(mention) - WIDTH))


def term_exists(status: Status) -> str:
    """Return "N" where the entity is not the patient's: absent, somebody else's, under a condition, or to be ruled out; else "Y".

    OMOP's rule names these. What is merely possible is "Y", what is unlikely is "N", as the rule asks for very low certainty;
    `certainty=possible` stands in `term_modifiers`. A drug that is planned, or to which the patient is allergic, is "N" too:
    nobody has taken it.

    >>> term_exists(Status(experiencer="family")), term_exists(Status(certainty="possible"))
    ('N', 'Y')
    """
    hardly = any(why.axis == "certainty" and why.rule in HARDLY for why in status.evidence)
    is_not = (
        status.certainty == "absent" or status.experiencer != "patient" or status.condition is not None or hardly
        or status.use in ("planned", "refused", "allergy")
    )
    return "N" if is_not else "Y"


def term_temporal(fact: Fact, note_date: date | None) -> str:
    """Return "past" where the fact is historical, a drug stopped, or dated before its note; else "present".

    A drug that is taken is present, whenever it was begun. A date counts where it is whole, or a year or month that had ended.
    """
    if fact.status.time == "historical" or fact.status.use == "stopped":
        return "past"
    if note_date is None or fact.status.use == "taking":
        return "present"
    said = [(each.value or {}).get("edtf") for group in fact.attributes.values() for each in group]
    dates = [value for value in said if isinstance(value, str) and re.fullmatch(r"\d{4}(-\d{2}){0,2}", value)]
    return "past" if any(value < note_date.isoformat()[: len(value)] for value in dates) else "present"


def fact_modifiers(fact: Fact) -> Iterator[tuple[str, str]]:
    """Yield the pairs of `term_modifiers`, in the order in which they are kept where room is short.

    First the axes of the status that are not the default, in the order of `Status`; then the fact's attributes, by type and in
    reading order, in the words of the note.

    >>> list(fact_modifiers(Fact("problem", "gout", 4, 8, None, Status(certainty="possible", time="historical"))))
    [('certainty', 'possible'), ('time', 'historical')]
    """
    default = Status()
    for axis in ("certainty", "time", "experiencer", "relative", "condition", "use"):
        value = getattr(fact.status, axis)
        if value != getattr(default, axis):
            yield axis, value
    for label, group in fact.attributes.items():
        for attribute in group:
            yield label, attribute.text


def make_snippet(text: str, start_char: int, end_char: int) -> str:
    """Return at most 250 characters of a note with the mention in their middle; a longer mention's first 250.

    >>> len(make_snippet("a" * 300 + "gout" + "b" * 300, 300, 304)), make_snippet("has gout", 4, 8)
    (250, 'has gout')
    """
    room = max(0, WIDTH - (end_char - start_char))
    start = max(0, min(start_char - room // 2, len(text) - WIDTH))
    return text[start : start + WIDTH] if room else text[start_char : start_char + WIDTH]
