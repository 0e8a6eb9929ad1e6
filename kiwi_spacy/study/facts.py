"""How well facts are told: status by axis, normalised values, sections, against gold (`fact_gold.py`).

Judged in three views: `given`, what the rules make of gold spans and links; and end to end, what they make of a pipeline's own
spans, which go with gold's where they are the same (`exact`) or overlap under one label, one to one (`relaxed`). Of a gold span
that is not found, whatever gold says of it is missed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from ..components.cues import AXES, Cues, load_cues
from ..components.facts import READERS, FactWriter, derive_facts, facts_of
from ..components.sections import SectionFinder, find_sections
from ..components.titles import Titles, load_titles
from ..components.values import Order
from ..contract import NOTE, NOTE_DATE, SpanKey, get_modifiers, span_key
from ..contract.facts import Fact
from ..contract.sections import SECTIONS, Section, get_sections, set_sections
from ..errors import FormatError
from ..formats.corpus import read_docs
from ..schema import Schema, load_schema
from ..tokenizer import build_tokenizer
from .fact_gold import COLUMNS, DEFAULTS, NONE, FactGold, Heading, read_fact_gold
from .pairing import pair_overlapping

View = Literal["given", "exact", "relaxed"]
VIEWS: tuple[View, ...] = ("given", "exact", "relaxed")
UNCOMPARED = ("words", "unit_words", "qualifier")  # what a value says beside what it comes to


@dataclass(frozen=True)
class Rules:
    """The rules by which facts are derived: the packaged ones, or those of a pipeline with what its site added."""

    cues: Cues = field(default_factory=load_cues)
    titles: Titles = field(default_factory=load_titles)
    date_order: Order = "mdy"


@dataclass(frozen=True)
class NoteFacts:
    """What is told of one note. `status` is of entities, {axis: word}; `values` of the modifiers that may have one."""

    status: Mapping[SpanKey, Mapping[str, str]] = field(default_factory=dict)
    values: Mapping[SpanKey, Any] = field(default_factory=dict)
    headings: frozenset[Heading] = frozenset()


@dataclass(frozen=True)
class Judged:
    """What gold says of a span on an axis of status, or of its value, and what was found; None where a side says nothing.

    `what` is the axis, or the label of the value. Without gold's word it is a span that was found and is none.
    """

    note: str
    start_char: int
    end_char: int
    what: str
    gold: Any
    found: Any


@dataclass(frozen=True)
class Rates:
    """How many gold has, how many were found, how many of these are right.

    >>> Rates(4, 5, 3).f1
    0.6666666666666666
    """

    gold: int = 0
    found: int = 0
    right: int = 0

    @property
    def precision(self) -> float:
        """Share of what was found that is right; 0 where nothing was found."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of gold that was found; 0 where gold has nothing."""
        return self.right / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Their harmonic mean; 0 where nothing is right."""
        return 2 * self.right / (self.gold + self.found) if self.right else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return {"gold", "found", "right", "p", "r", "f"}, rates rounded to four digits."""
        rates = {"p": self.precision, "r": self.recall, "f": self.f1}
        return {"gold": self.gold, "found": self.found, "right": self.right, **{k: round(v, 4) for k, v in rates.items()}}


def rules_of(nlp: Language) -> Rules:
    """Return the rules of a pipeline's `kiwi_facts` and `kiwi_sections`; the packaged ones where it lacks them."""
    pipes = [pipe for _, pipe in nlp.pipeline]
    writer = next((pipe for pipe in pipes if isinstance(pipe, FactWriter)), None)
    finder = next((pipe for pipe in pipes if isinstance(pipe, SectionFinder)), None)
    titles = finder.rules if finder else load_titles()
    return Rules(writer.rules, titles, writer.date_order) if writer else Rules(titles=titles)


def told_facts(doc: Doc, rules: Rules) -> NoteFacts:
    """Return what a pipeline told of a Doc that it annotated; where it has no `kiwi_facts`, what the rules tell."""
    sections = get_sections(doc) if SECTIONS in doc.user_data else find_sections(doc.text, rules.titles)
    return _note_facts(doc, facts_of(doc), sections, rules)


def given_facts(doc: Doc, rules: Rules) -> NoteFacts:
    """Return what the rules tell of a Doc's entities, modifiers and links, which are gold; the Doc stays as it is.

    Relative times stay relative, as in gold: the note's date is left out.
    """
    sections = find_sections(doc.text, rules.titles)
    copy = doc.copy()
    copy.user_data.pop(NOTE_DATE, None)
    set_sections(copy, sections)
    return _note_facts(copy, derive_facts(copy, cues=rules.cues, date_order=rules.date_order), sections, rules)


def given_folder(folder: Path, schema: Schema | None = None) -> tuple[FactGold, dict[str, NoteFacts]]:
    """Return the gold of a folder of brat notes, and what the packaged rules tell of each note's gold spans.

    RAISES (FormatError): The folder has no table of gold, or one that does not fit its notes.
    """
    schema, rules = schema or load_schema(), Rules()
    gold = read_fact_gold(folder, schema, keys=rules.titles.kinds)
    if gold is None:
        raise FormatError(f"'{folder}' has none of {', '.join(COLUMNS)}. Write one, or name another folder.")
    nlp = spacy.blank("en")
    nlp.tokenizer = build_tokenizer(nlp)
    docs = read_docs(folder, nlp, schema)
    return gold, {str(doc.user_data[NOTE]): given_facts(doc, rules) for doc in docs}


def _note_facts(doc: Doc, facts: Iterable[Fact], sections: Iterable[Section], rules: Rules) -> NoteFacts:
    values: dict[SpanKey, Any] = {}
    for span in get_modifiers(doc):  # those that no entity has
        kind = rules.cues.readers.get(span.label_)
        if kind is not None:
            order = {"order": rules.date_order} if kind == "time" else {}
            read = READERS[kind](span.text, **order)
            values[span_key(span)] = read.to_dict() if read is not None else None
    status = {}
    for fact in facts:
        status[fact.start_char, fact.end_char, fact.type] = {
            axis: getattr(fact.status, axis) or NONE for axis in AXES
        }
        for each in (attribute for group in fact.attributes.values() for attribute in group):
            if each.label in rules.cues.readers:
                values[each.start_char, each.end_char, each.label] = each.value
    return NoteFacts(status, values, frozenset((section.heading_start, section.key or NONE) for section in sections))


def judge_status(gold: FactGold, found: Mapping[str, NoteFacts], view: View) -> list[Judged]:
    """Return what gold says of each entity on each axis beside what was found, of the notes that both have.

    An entity that was found and is none in gold is judged too, on the axes on which it is not the default; one that is in gold,
    but not in its table, is not.
    """
    judged = []
    for name in _common(gold.status, found):
        table = (gold.status or {})[name]
        for span, mine, theirs in _beside(table, gold.spans[name], found[name].status, view):
            if mine is None:
                judged += [Judged(name, *span[:2], x, None, word) for x, word in theirs.items() if word != DEFAULTS[x]]
            else:
                judged += [Judged(name, *span[:2], x, word, theirs[x] if theirs else None) for x, word in mine.items()]
    return judged


def judge_values(gold: FactGold, found: Mapping[str, NoteFacts], view: View) -> list[Judged]:
    """Return each value of gold beside what was found, as `judge_status` does; the words that a value keeps are left out.

    A span that was found, is none in gold and has no value is not judged: there is nothing to say of it.
    """
    judged = []
    for name in _common(gold.values, found):
        table = {span: (value,) for span, value in (gold.values or {})[name].items()}  # None is a value here: no sure one
        told = {span: (value,) for span, value in found[name].values.items()}
        for span, mine, theirs in _beside(table, gold.spans[name], told, view):
            value = _bare(theirs[0]) if theirs else None
            if mine is not None or value is not None:
                judged.append(Judged(name, *span, _bare(mine[0]) if mine else None, value))
    return judged


def _common(table: Mapping[str, Any] | None, found: Mapping[str, NoteFacts]) -> list[str]:
    return [name for name in table or () if name in found]


def _beside(
    table: Mapping[SpanKey, Any], spans: frozenset[SpanKey], told: Mapping[SpanKey, Any], view: View
) -> list[tuple[SpanKey, Any, Any]]:
    """Return (span, gold's or None, found's or None) of all spans of the table, and of those found that are none of gold's.

    Given spans are paired as relaxed ones are, as tokens may have widened them.
    """
    if view == "exact":
        partner = {span: span for span in spans if span in told}
    else:
        partner = dict(pair_overlapping(spans, told, lambda one, other: None if one[2] != other[2] else int(one != other)))
    paired = set(partner.values())
    rows = [(span, says, told[partner[span]] if span in partner else None) for span, says in table.items()]
    return rows + [(span, None, says) for span, says in told.items() if span not in paired]


def _bare(value: Any) -> Any:
    """Return a value without the words that it keeps."""
    if isinstance(value, Mapping):
        return {key: _bare(item) for key, item in value.items() if key not in UNCOMPARED}
    return [_bare(item) for item in value] if isinstance(value, list | tuple) else value


def status_counts(judged: Iterable[Judged], axis: str) -> tuple[float, Rates]:
    """Return the share of gold's entities that are right on an axis, and the rates of what is not its default.

    A wrong word in place of another counts as one missed and one wrong.

    >>> found = [Judged("n", 0, 5, "time", "historical", "historical"), Judged("n", 6, 9, "time", "current", "historical")]
    >>> status_counts(found, "time")
    (0.5, Rates(gold=1, found=2, right=1))
    """
    mine = [each for each in judged if each.what == axis]
    wanted = [each for each in mine if each.gold is not None]
    plain = (None, DEFAULTS[axis])
    rates = Rates(
        sum(each.gold not in plain for each in mine), sum(each.found not in plain for each in mine),
        sum(each.gold == each.found not in plain for each in mine),
    )
    return sum(each.gold == each.found for each in wanted) / max(1, len(wanted)), rates


def value_counts(judged: Iterable[Judged]) -> Counter[str]:
    """Count values that are right, wrong, left as words though they have one, and rightly left as words."""
    counts: Counter[str] = Counter()
    for each in judged:
        if each.found == each.gold:
            counts["right" if each.gold is not None else "rightly words"] += 1
        else:
            counts["left as words" if each.found is None else "wrong"] += 1
    return counts


def value_rates(judged: Iterable[Judged]) -> Rates:
    """Return the rates of normalised values: one counts if it is gold's in every key.

    >>> value_rates([Judged("n", 0, 5, "strength", {"parts": [{"value": 5, "unit": "mg"}]}, None)])
    Rates(gold=1, found=0, right=0)
    """
    rows = list(judged)
    return Rates(
        sum(each.gold is not None for each in rows), sum(each.found is not None for each in rows),
        sum(each.gold is not None and each.found == each.gold for each in rows),
    )


def heading_rates(gold: FactGold, found: Mapping[str, NoteFacts]) -> Rates:
    """Return the rates of headings: one counts if it begins where gold's does and has its key."""
    wanted = {(name, heading) for name in _common(gold.headings, found) for heading in (gold.headings or {})[name]}
    given = {(name, heading) for name in _common(gold.headings, found) for heading in found[name].headings}
    return Rates(len(wanted), len(given), len(wanted & given))
