"""How far two annotators agree on facts: status by axis, values and headings, of the tables in both folders (`fact_gold.py`)."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ...components.cues import AXES
from ...contract import SpanKey
from ...errors import FormatError
from ...formats.brat import read_note
from ...schema import Schema
from ..fact_gold import COLUMNS, UNJUDGED, FactGold, NoteText, note_text, read_tables
from ..facts import Judged, Rates, status_counts, value_rates
from .kappa import Confusion, cohen_kappa, kappa_dict

HEADING = "heading"

T = TypeVar("T")
NotePair = tuple[str, str]  # A's name of a note, B's


@dataclass(frozen=True)
class FactAgreement:
    """What two annotators say of the same spans; of each `Judged`, `gold` is A's and `found` is B's, at A's offsets.

    status: One for each axis of each entity that both tables name; `?` is not judged. values: One for each modifier that both
    tables name. headings: Rates, with A as gold. All three are None where not both folders have the table. notes: {table: the
    notes that both name}. alone: {"status" | "values": how many spans A alone names in these notes, how many B alone}. unequal:
    notes of both folders' tables whose two texts differ, so that they are not compared. only_a, only_b: tables that one folder
    alone has.
    """

    status: list[Judged] | None = None
    values: list[Judged] | None = None
    headings: Rates | None = None
    headings_apart: list[Judged] = field(default_factory=list)
    notes: Mapping[str, list[str]] = field(default_factory=dict)
    alone: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    unequal: list[str] = field(default_factory=list)
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)

    def confusion(self, axis: str, *, unjudged: bool = False) -> Confusion:
        """Return how often A and B said which words on an axis of status; `unjudged` takes `?` as a word of its own."""
        mine = ((each.gold, each.found) for each in self.status or () if each.what == axis)
        return Counter(pair for pair in mine if unjudged or UNJUDGED not in pair)

    def judged_by_both(self, axis: str) -> list[Judged]:
        """Return the entities on whose axis neither annotator said `?`."""
        return [each for each in self.status or () if each.what == axis and UNJUDGED not in (each.gold, each.found)]

    @property
    def disagreements(self) -> list[Judged]:
        """What the two say otherwise, in order: status, values, headings."""
        said = [each for each in (self.status or []) + (self.values or []) if each.gold != each.found]
        return said + self.headings_apart

    def to_dict(self, show_text: bool = False) -> dict[str, Any]:
        """Return it plain and ready for JSON; values, which come from the note's words, only where they are asked for."""
        made: dict[str, Any] = {"notes": dict(self.notes)}
        if self.status is not None:
            made["status"] = {axis: self._axis(axis) for axis in AXES}
        if self.values is not None:
            made["values"] = {"all": _same(self.values), "labels": {x: _same(rows) for x, rows in by_label(self.values).items()}}
        if self.headings is not None:
            made["sections"] = self.headings.to_dict()
        return {
            **made,
            "in_one_table_alone": {table: {"a": a, "b": b} for table, (a, b) in self.alone.items()},
            "texts_differ": self.unequal, "tables_only_in_a": self.only_a, "tables_only_in_b": self.only_b,
            "disagreements": [
                {
                    "note": each.note, "start": each.start_char, "end": each.end_char, "what": each.what,
                    **({"a": each.gold, "b": each.found} if show_text or not is_value(each) else {}),
                }
                for each in self.disagreements
            ],
        }

    def _axis(self, axis: str) -> dict[str, Any]:
        accuracy, rates = status_counts(self.judged_by_both(axis), axis)
        with_unjudged = cohen_kappa(self.confusion(axis, unjudged=True))
        return {
            "accuracy": round(accuracy, 4), "not_default": rates.to_dict(), **kappa_dict(self.confusion(axis)),
            "kappa_with_unjudged": None if with_unjudged is None else round(with_unjudged, 4),
        }


def is_value(judged: Judged) -> bool:
    """Whether it is a value, which says what the note says; axes and keys of headings do not."""
    return judged.what not in (*AXES, HEADING)


def by_label(values: Iterable[Judged]) -> dict[str, list[Judged]]:
    """Return values by the label of their span, in the order of labels."""
    rows: dict[str, list[Judged]] = {}
    for each in sorted(values, key=lambda each: each.what):
        rows.setdefault(each.what, []).append(each)
    return rows


def _same(values: Sequence[Judged]) -> dict[str, Any]:
    same = sum(each.gold == each.found for each in values)
    return {"spans": len(values), "same": same, **value_rates(values).to_dict()}


def agree_facts(
    folder_a: Path, folder_b: Path, schema: Schema, *, pairs: Sequence[NotePair] | None = None
) -> FactAgreement | None:
    """Return how far the tables of two folders agree; None where the folders have no table in common.

    A table may stand at the spans of either folder, so that a second annotator can say what the first one's spans mean.

    pairs: Which notes go together; those of one name by default.
    RAISES (FormatError): A table does not fit the notes; the message names file and line.
    """
    in_a, in_b = ([name for name in COLUMNS if (folder / name).is_file()] for folder in (folder_a, folder_b))
    if not set(in_a) & set(in_b):
        return None
    anns = ((path, folder) for folder in (folder_a, folder_b) for path in folder.rglob("*.ann"))
    names = {path.relative_to(folder).with_suffix("").as_posix() for path, folder in anns}
    wanted = list(pairs) if pairs is not None else [(name, name) for name in sorted(names)]
    notes_a: dict[str, NoteText | None] = dict.fromkeys(names)
    notes_b = dict(notes_a)
    together, apart = [], []
    for a, b in wanted:
        one, other = _read(folder_a, a, folder_b, b, schema), _read(folder_b, b, folder_a, a, schema)
        notes_a[a], notes_b[b] = one, other
        if one is not None and other is not None and one.text == other.text:
            notes_a[a] = notes_b[b] = NoteText(one.text, one.spans | other.spans)
            together.append((a, b))
        elif one is not None and other is not None:
            apart.append((a, b))
    gold_a, gold_b = read_tables(folder_a, notes_a, schema), read_tables(folder_b, notes_b, schema)
    unequal = [a if a == b else f"{a} = {b}" for a, b in apart if a in gold_a.notes and b in gold_b.notes]
    return _compare(gold_a, gold_b, together, unequal, [x for x in in_a if x not in in_b], [x for x in in_b if x not in in_a])


def _read(folder: Path, name: str, other: Path, other_name: str, schema: Schema) -> NoteText | None:
    """Return a note of a folder; what it lacks, its text or its spans, is that of the other's. None where it cannot be read."""
    texts = [text for text in (folder / f"{name}.txt", other / f"{other_name}.txt") if text.is_file()]
    anns = [ann for ann in (folder / f"{name}.ann", other / f"{other_name}.ann") if ann.is_file()]
    try:
        return note_text(read_note(texts[0], anns[0], schema=schema, name=name)) if texts and anns else None
    except FormatError:
        return None  # `agree` reports it


def _compare(
    a: FactGold, b: FactGold, together: Sequence[NotePair], unequal: list[str], only_a: list[str], only_b: list[str]
) -> FactAgreement:
    status = _both(a.status, b.status, together)
    values = _both(a.values, b.values, together)
    headings = _both(a.headings, b.headings, together)
    notes = {
        table: [note for note, _, _ in rows]
        for table, rows in (("status", status), ("values", values), ("sections", headings)) if rows is not None
    }
    alone = {
        table: (sum(_alone(one, other) for _, one, other in rows), sum(_alone(other, one) for _, one, other in rows))
        for table, rows in (("status", status), ("values", values)) if rows is not None
    }
    return FactAgreement(
        None if status is None else [
            Judged(note, *span[:2], axis, one[span].get(axis, UNJUDGED), other[span].get(axis, UNJUDGED))
            for note, one, other in status for span in sorted(set(one) & set(other)) for axis in AXES
        ],
        None if values is None else [
            Judged(note, *span, one[span], other[span])
            for note, one, other in values for span in sorted(set(one) & set(other))
        ],
        None if headings is None else Rates(
            sum(len(one) for _, one, _ in headings), sum(len(other) for _, _, other in headings),
            sum(len(one & other) for _, one, other in headings),
        ),
        [each for row in headings or () for each in _headings_apart(*row)],
        notes, alone, unequal, only_a, only_b,
    )


def _both(
    ours: Mapping[str, T] | None, theirs: Mapping[str, T] | None, together: Sequence[NotePair]
) -> list[tuple[str, T, T]] | None:
    """Return (A's name, A's rows, B's rows) of the notes that both tables name; None where one folder lacks the table."""
    if ours is None or theirs is None:
        return None
    return [(x, ours[x], theirs[y]) for x, y in together if x in ours and y in theirs]


def _alone(one: Mapping[SpanKey, Any], other: Mapping[SpanKey, Any]) -> int:
    return len(set(one) - set(other))


def _headings_apart(note: str, one: Iterable[tuple[int, str]], other: Iterable[tuple[int, str]]) -> Iterator[Judged]:
    """Yield headings with the key of each side, None where it has none there."""
    ours, theirs = dict(one), dict(other)
    for start in sorted(set(ours) | set(theirs)):
        if ours.get(start) != theirs.get(start):
            yield Judged(note, start, start, HEADING, ours.get(start), theirs.get(start))


def format_fact_agreement(result: FactAgreement, *, show_text: bool = False) -> str:
    """Return the agreement on facts as text; arguments as of `format_agreement`."""
    lines = []
    if result.status is not None:
        entities = len({(each.note, each.start_char, each.end_char) for each in result.status})
        lines += [
            f"Status of {entities} entities in {len(result.notes['status'])} notes, where neither said ?; F1 of what is not the "
            "default; the last column takes ? as a word",
            f"  {'':12}{'both':>7}{'accuracy':>10}{'F1':>8}{'kappa':>8}{'with ?':>8}",
        ]
        for axis in AXES:
            accuracy, rates = status_counts(result.judged_by_both(axis), axis)
            kappas = (_number(cohen_kappa(result.confusion(axis, unjudged=each))) for each in (False, True))
            f1 = _number(rates.f1 if rates.gold or rates.found else None)
            both = result.confusion(axis).total()
            lines.append(f"  {axis:12}{both:>7}{accuracy:>10.3f}{f1:>8}" + "".join(f"{each:>8}" for each in kappas))
    if result.values is not None:
        lines += [
            f"Values of {len(result.values)} spans in {len(result.notes['values'])} notes",
            f"  {'':16}{'both':>7}{'the same':>10}{'F1':>8}",
        ]
        for label, rows in {"all": result.values, **by_label(result.values)}.items():
            rates = value_rates(rows)
            same = sum(each.gold == each.found for each in rows)
            f1 = _number(rates.f1 if rates.gold or rates.found else None)
            lines.append(f"  {label:16}{len(rows):>7}{same:>10}{f1:>8}")
    if result.headings is not None:
        rates = result.headings
        lines.append(
            f"Headings with their key in {len(result.notes['sections'])} notes: {rates.gold} of A, {rates.found} of B, "
            f"{rates.right} of both, F1 {rates.f1:.3f}"
        )
    for table, (a, b) in result.alone.items():
        if a or b:
            lines.append(f"In one table of {table} alone, not compared: {a} spans of A, {b} of B")
    if result.unequal:
        lines.append(f"The texts of these notes differ, so their facts are not compared: {', '.join(result.unequal)}")
    for side, tables in (("A", result.only_a), ("B", result.only_b)):
        if tables:
            lines.append(f"Only {side} has these tables, not compared: {', '.join(tables)}")
    lines.append(f"Disagreements on facts: {len(result.disagreements)}")
    lines += [_line(each, show_text) for each in result.disagreements]
    return "\n".join(lines)


def _line(each: Judged, show_text: bool) -> str:
    place = f"  {each.note}  {each.what} {each.start_char}" + (f"-{each.end_char}" if each.end_char > each.start_char else "")
    if is_value(each):
        sides = (json.dumps(side, ensure_ascii=False) for side in (each.gold, each.found))
        return place + (": A {}, B {}".format(*sides) if show_text else "")
    return f"{place}: A {each.gold or 'nothing'}, B {each.found or 'nothing'}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
