"""The result contract: entities in `doc.ents`, modifiers in `doc.spans["modifiers"]`, links in `doc._.relations`.

Links and scores are plain numbers and strings in `doc.user_data`, so they survive bytes, DocBin
(with `store_user_data=True`), pickle and other processes. What the extensions give are views.

    doc._.relations      list[Relation]: head, modifier (spans), label, score
    doc._.provenance     dict: pipeline, version, engine, weights (hash)
    doc._.problems       dict: what went wrong or was repaired > how often
    doc._.failures       list[Failure]: stretches of the note that have no answer; the note is incomplete where there is one
    doc._.note_date      date or None: of the note, which the user sets; times such as "yesterday" count from it
    doc._.columns        dict: other columns of the table that the note comes from
    span._.modifiers     dict: modifier type > list of spans linked to this entity
    span._.score         float or None, of an entity or a modifier
    span._.is_negated, is_uncertain, is_conditional, is_somebody_else: of the entity's fact, else by its links alone
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup

from ..errors import KiwiError
from ..schema import ROLES, Schema, load_schema
from .facts import plays_role

MODIFIERS = "modifiers"  # the key in doc.spans
# Keys of doc.user_data. Rows of links and scores are sorted, so that one span's are found without going through all.
RELATIONS = "kiwi_relations"  # list of (head start, end, label, modifier start, end, label, label, score)
SCORES = "kiwi_scores"  # list of (start, end, label, score)
PROVENANCE = "kiwi_provenance"  # dict of str
PROBLEMS = "kiwi_problems"  # dict of str > int
ROLE_LABELS = "kiwi_roles"  # role > list of labels, kept where a schema of the user's own made the Doc
FAILURES = "kiwi_failures"  # list of (start_char, end_char, reason)
NOTE = "kiwi_note"  # the note's name
NOTE_DATE = "kiwi_note_date"  # the note's date, as YYYY-MM-DD
COLUMNS = "kiwi_columns"  # column of the table that the note comes from > its value there: text, a number, a truth value, None

SpanKey = tuple[int, int, str]  # start_char, end_char, label


@dataclass(frozen=True)
class Relation:
    """One link. Equal when head, modifier and label are; the score is not compared."""

    head: Span
    modifier: Span
    label: str
    score: float

    @property
    def key(self) -> tuple[SpanKey, SpanKey, str]:
        """Plain form: head and modifier as (start_char, end_char, label), and the link's label."""
        return span_key(self.head), span_key(self.modifier), self.label

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Relation) and self.key == other.key and self.head.doc is other.head.doc

    def __hash__(self) -> int:
        return hash(self.key)


def span_key(span: Span) -> SpanKey:
    """Return (start_char, end_char, label), half-open, into `doc.text`."""
    return span.start_char, span.end_char, span.label_


def set_modifiers(doc: Doc, spans: Iterable[Span]) -> None:
    """Put the modifiers into `doc.spans["modifiers"]`, in reading order, each once."""
    unique = {(s.start, s.end, s.label): s for s in spans}
    doc.spans[MODIFIERS] = SpanGroup(doc, name=MODIFIERS, spans=[unique[key] for key in sorted(unique)])


def get_modifiers(doc: Doc) -> list[Span]:
    """Return the modifiers, in reading order; empty where no component has set them."""
    return list(doc.spans[MODIFIERS]) if MODIFIERS in doc.spans else []


def set_scores(doc: Doc, scored: Iterable[tuple[Span, float]]) -> None:
    """Keep the scores (0 to 1) of entities or modifiers; scores of other spans stay."""
    rows = {(row[0], row[1], row[2]): row[3] for row in doc.user_data.get(SCORES, ())}
    rows.update({span_key(span): float(score) for span, score in scored})
    doc.user_data[SCORES] = [[*key, score] for key, score in sorted(rows.items())]


def get_score(span: Span) -> float | None:
    """Return the score of an entity or modifier, None where the engine gave none."""
    rows = rows_of(span.doc.user_data.get(SCORES, ()), span_key(span))
    return float(rows[0][3]) if rows else None


def rows_of(rows: Sequence[Sequence[Any]], key: SpanKey) -> Sequence[Sequence[Any]]:
    """Return those of sorted rows that begin with a span's start, end and label; the cost does not grow with the note.

    >>> rows_of([[0, 5, "problem", 0.9], [7, 9, "drug", 0.8]], (7, 9, "drug"))
    [[7, 9, 'drug', 0.8]]
    """

    def begin(row: Sequence[Any]) -> SpanKey:
        return row[0], row[1], row[2]

    first = last = bisect_left(rows, key, key=begin)
    while last < len(rows) and begin(rows[last]) == key:
        last += 1
    return rows[first:last]


def set_relations(doc: Doc, links: Iterable[tuple[Span, Span, float]], schema: Schema | None = None) -> None:
    """Set the Doc's links, (head, modifier, score) each; the label is the modifier's.

    schema (Schema | None): Kept with the Doc where its roles are not the packaged schema's.
    RAISES (KiwiError): A span of another Doc.
    """
    rows: dict[tuple[SpanKey, SpanKey], float] = {}
    for head, modifier, score in links:
        if head.doc is not doc or modifier.doc is not doc:
            raise KiwiError("A relation joins spans of the Doc that it is set on; one of these belongs to another.")
        rows[span_key(head), span_key(modifier)] = float(score)
    doc.user_data[RELATIONS] = [[*h, *m, m[2], score] for (h, m), score in sorted(rows.items())]
    if schema is not None:
        doc.user_data.pop(ROLE_LABELS, None)
        roles = {role: sorted(schema.role_labels(role)) for role in ROLES}
        if roles != packaged_roles():
            doc.user_data[ROLE_LABELS] = roles


def get_relations(doc: Doc) -> list[Relation]:
    """Return the Doc's links as views, in reading order of their heads."""
    return [
        Relation(_view(doc, row[0], row[1], row[2]), _view(doc, row[3], row[4], row[5]), row[6], float(row[7]))
        for row in doc.user_data.get(RELATIONS, ())
    ]


def _view(doc: Doc, start_char: int, end_char: int, label: str) -> Span:
    span = doc.char_span(start_char, end_char, label=label)
    if span is None:
        raise KiwiError(
            f"A relation's span at {start_char}-{end_char} does not begin and end on this Doc's tokens: "
            "the Doc was retokenized after the relations were set. Set them again afterwards."
        )
    return span


def count_problem(doc: Doc, kind: str, times: int = 1) -> None:
    """Count something that went wrong or was repaired, so that it shows in `doc._.problems`."""
    problems = dict(doc.user_data.get(PROBLEMS, {}))
    problems[kind] = problems.get(kind, 0) + times
    doc.user_data[PROBLEMS] = problems


@dataclass(frozen=True)
class Failure:
    """A stretch of a note that has no answer: half-open character offsets, and why; never note text."""

    start_char: int
    end_char: int
    reason: str


def set_failures(doc: Doc, failures: Iterable[Failure]) -> None:
    """Keep which stretches of the note have no answer; none of them takes an earlier mark away."""
    rows = [[f.start_char, f.end_char, f.reason] for f in sorted(failures, key=lambda f: (f.start_char, f.end_char))]
    if rows:
        doc.user_data[FAILURES] = rows
    else:
        doc.user_data.pop(FAILURES, None)


def get_failures(doc: Doc) -> list[Failure]:
    """Return the stretches without an answer, in reading order; the note is complete where there is none."""
    return [Failure(int(row[0]), int(row[1]), str(row[2])) for row in doc.user_data.get(FAILURES, ())]


def get_problems(doc: Doc) -> dict[str, int]:
    """Return what went wrong or was repaired > how often."""
    return dict(doc.user_data.get(PROBLEMS, {}))


def set_provenance(doc: Doc, **entries: str) -> None:
    """Note where the Doc's annotations come from: pipeline, version, engine, weights."""
    doc.user_data[PROVENANCE] = {**doc.user_data.get(PROVENANCE, {}), **entries}


def name_pipeline(meta: Mapping[str, Any]) -> dict[str, str]:
    """Return the provenance that a pipeline's meta gives: its installed name and its version."""
    return {
        "pipeline": f"{meta.get('lang', '')}_{meta.get('name', '')}", "version": str(meta.get("version", "")),
    }


def get_provenance(doc: Doc) -> dict[str, str]:
    """Return pipeline, version, engine and hash of the weights; empty on a Doc made by hand."""
    return dict(doc.user_data.get(PROVENANCE, {}))


def entity_modifiers(ent: Span) -> dict[str, list[Span]]:
    """Return {modifier type: spans} of what is linked to an entity; types without any are left out."""
    found: dict[str, list[Span]] = {}
    for row in rows_of(ent.doc.user_data.get(RELATIONS, ()), span_key(ent)):
        found.setdefault(row[6], []).append(_view(ent.doc, row[3], row[4], row[5]))
    return found


def has_role(ent: Span, role: str) -> bool:
    """Whether a modifier linked to the entity plays `role`, one of `schema.ROLES`."""
    labels = role_labels(ent.doc, role)
    return any(row[6] in labels for row in rows_of(ent.doc.user_data.get(RELATIONS, ()), span_key(ent)))


def packaged_roles() -> dict[str, list[str]]:
    """Return role > labels under the packaged schema."""
    return {role: sorted(load_schema().role_labels(role)) for role in ROLES}


def role_labels(doc: Doc, role: str) -> Iterable[str]:
    """Return the labels that play `role` under the schema that made the Doc, the packaged one where none is kept."""
    kept = doc.user_data.get(ROLE_LABELS)
    return load_schema().role_labels(role) if kept is None else kept[role]


def is_said(ent: Span, role: str) -> bool:
    """Whether the entity's fact says what a role says; where no fact is kept, whether a linked modifier plays the role."""
    said = plays_role(ent, role)  # a fact weighs cues in the text and the section too
    return has_role(ent, role) if said is None else said


def get_note_date(doc: Doc) -> date | None:
    """Return the note's date, None where nobody has set it."""
    kept = doc.user_data.get(NOTE_DATE)
    return None if kept is None else date.fromisoformat(kept)


def set_note_date(doc: Doc, value: date | str | None) -> None:
    """Set the note's date, before the pipeline reads the Doc; None takes it away.

    value (date | str | None): A date, a datetime, whose time is left out, or text that begins with one as ISO 8601 writes it.
    RAISES (KiwiError): It is none of these.
    """
    if value is None:
        doc.user_data.pop(NOTE_DATE, None)
        return
    try:
        day = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
        doc.user_data[NOTE_DATE] = date(day.year, day.month, day.day).isoformat()
    except (ValueError, AttributeError, TypeError):
        raise KiwiError("A note's date must be a date, a datetime, or text such as 2026-03-04 or 2026-03-04T08:30.") from None


def get_columns(doc: Doc) -> dict[str, Any]:
    """Return what the table that the note comes from says of it, column > value; empty of other notes."""
    return dict(doc.user_data.get(COLUMNS, {}))


def set_columns(doc: Doc, columns: Mapping[str, str | int | float | bool | None]) -> None:
    """Keep values of other columns of the table that a note comes from, for the output's rows; none takes them away."""
    if columns:
        doc.user_data[COLUMNS] = dict(columns)
    else:
        doc.user_data.pop(COLUMNS, None)


def register_extensions() -> None:
    """Add `doc._.relations` and the rest, unless another import has done so."""
    doc_getters = {
        "relations": get_relations,
        "provenance": get_provenance,
        "problems": get_problems,
        "failures": get_failures,
        "columns": get_columns,
    }
    span_getters: dict[str, Any] = {"modifiers": entity_modifiers, "score": get_score}
    span_getters |= {f"is_{role}": partial(is_said, role=role) for role in ROLES}  # no closures: a spawned process pickles them
    for name, getter in doc_getters.items():
        if not Doc.has_extension(name):
            Doc.set_extension(name, getter=getter)
    if not Doc.has_extension("note_date"):
        Doc.set_extension("note_date", getter=get_note_date, setter=set_note_date)
    for name, getter in span_getters.items():
        if not Span.has_extension(name):
            Span.set_extension(name, getter=getter)
