"""Gold of facts: what a person says of the spans of a folder of brat notes, in tables beside them.

    status.tsv      note, start, end, type, words, certainty, time, experiencer, condition, use     one line an entity
    values.tsv      note, start, end, label, words, value                                           one line a modifier
    sections.tsv    note, heading_start, heading_end, key                                           one line a heading

Columns stand between tabs; a line that begins with `#`, or is empty, counts for nothing. Offsets are those of the .ann file:
characters, half-open. A table need not hold all notes of its folder: what it does not name is not judged. Of status, `-` is
none and `?` is not judged. A value is JSON, an object or `null` (no sure value). A key is one of `sections.yml`, or `-`.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..components.cues import AXES
from ..contract import SpanKey
from ..contract.status import Status
from ..errors import FormatError, KiwiError
from ..formats.brat import BratNote, read_folder
from ..schema import Schema

STATUS, VALUES, SECTIONS = "status.tsv", "values.tsv", "sections.tsv"
COLUMNS = {
    STATUS: ("note", "start", "end", "type", "words", *AXES),
    VALUES: ("note", "start", "end", "label", "words", "value"),
    SECTIONS: ("note", "heading_start", "heading_end", "key"),
}
NONE, UNJUDGED = "-", "?"
DEFAULTS: Mapping[str, str] = {axis: getattr(Status(), axis) or NONE for axis in AXES}
WORDS: Mapping[str, tuple[str, ...]] = {  # what may stand in a column of status
    axis: (*dict.fromkeys((DEFAULTS[axis], *words)), UNJUDGED) for axis, words in AXES.items()
}

Heading = tuple[int, str]  # where it begins, its key


@dataclass(frozen=True)
class NoteText:
    """A note as tables point into it. Its text is secret."""

    text: str = field(repr=False)
    spans: frozenset[SpanKey] = frozenset()


@dataclass(frozen=True)
class FactGold:
    """What the tables of a folder say, by note; None where the folder lacks the table.

    `status` is of entities, {axis: word}, unjudged axes left out; `values` of modifiers; `headings` as (start, key). `spans` are
    all spans of the notes, as a span that no line names must not take the place of one that a line names.
    """

    status: Mapping[str, Mapping[SpanKey, Mapping[str, str]]] | None = None
    values: Mapping[str, Mapping[SpanKey, Any]] | None = None
    headings: Mapping[str, frozenset[Heading]] | None = None
    spans: Mapping[str, frozenset[SpanKey]] = field(default_factory=dict)

    @property
    def notes(self) -> set[str]:
        """The notes that a table names."""
        return {name for table in (self.status, self.values, self.headings) for name in table or ()}


def has_tables(folder: Path) -> bool:
    """Whether any of the tables is in a folder."""
    return any((folder / name).is_file() for name in COLUMNS)


def read_fact_gold(
    folder: Path, schema: Schema, *, text_dir: Path | None = None, keys: Collection[str] | None = None
) -> FactGold | None:
    """Return the gold of facts of a folder of brat notes; None where it has none of the tables.

    Lines of a note that cannot be read are passed over: reading the notes reports it.

    keys (Collection[str] | None): The keys that a heading may have; any by default.
    RAISES (FormatError): A table does not fit the notes; the message names file and line.
    """
    if not has_tables(folder):
        return None
    notes: dict[str, NoteText | None] = {
        note.name: note_text(note) if isinstance(note, BratNote) else None
        for note in read_folder(folder, text_dir, schema=schema)
    }
    return read_tables(folder, notes, schema, keys=keys)


def note_text(note: BratNote) -> NoteText:
    """Return a brat note's text and spans."""
    return NoteText(note.text, frozenset((s.start_char, s.end_char, s.label) for s in note.spans))


def read_tables(
    folder: Path, notes: Mapping[str, NoteText | None], schema: Schema, *, keys: Collection[str] | None = None
) -> FactGold:
    """Return what the tables of a folder say of some notes; arguments and errors as of `read_fact_gold`.

    notes: {name: text and spans}; None where the note is known and cannot be read.
    """
    status: dict[str, dict[SpanKey, Mapping[str, str]]] = {}
    for where, name, span, says in _rows_of_spans(folder / STATUS, notes, schema.entities, "entity"):
        for axis, word in zip(AXES, says, strict=True):
            if word not in WORDS[axis]:
                raise FormatError(f"{where}: {axis} is none of {', '.join(WORDS[axis])}. Write one of them.")
        status.setdefault(name, {})[span] = {axis: word for axis, word in zip(AXES, says) if word != UNJUDGED}
    values: dict[str, dict[SpanKey, Any]] = {}
    for where, name, span, says in _rows_of_spans(folder / VALUES, notes, schema.modifiers, "modifier"):
        values.setdefault(name, {})[span] = _value(where, *says)
    headings: dict[str, set[Heading]] = {}
    for where, name, note, start, end, (key,) in _rows(folder / SECTIONS, notes):
        if not 0 <= start < end <= len(note.text):
            raise FormatError(f"{where}: {start}-{end} is no place in '{name}', which has {len(note.text)} characters.")
        if keys is not None and key != NONE and key not in keys:
            raise FormatError(f"{where}: the key is none of those of sections.yml. Write one of them, or - where none fits.")
        headings.setdefault(name, set()).add((start, key))
    there = {name: (folder / name).is_file() for name in COLUMNS}
    return FactGold(
        status if there[STATUS] else None, values if there[VALUES] else None,
        {name: frozenset(found) for name, found in headings.items()} if there[SECTIONS] else None,
        {name: note.spans for name, note in notes.items() if note is not None},
    )


def join_golds(golds: Iterable[FactGold]) -> FactGold | None:
    """Return the gold of several folders as one; None where there is none.

    RAISES (KiwiError): Two of them name one note.
    """
    kept = list(golds)
    if not kept:
        return None
    seen: set[str] = set()
    for gold in kept:
        if twice := seen & gold.notes:
            raise KiwiError(f"Two folders have tables of a note '{min(twice)}'. Score the folders one by one.")
        seen |= gold.notes
    return FactGold(
        _joined(gold.status for gold in kept), _joined(gold.values for gold in kept), _joined(gold.headings for gold in kept),
        {name: spans for gold in kept for name, spans in gold.spans.items()},
    )


def _joined(tables: Iterable[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    present = [table for table in tables if table is not None]
    return {name: rows for table in present for name, rows in table.items()} if present else None


def _rows_of_spans(
    path: Path, notes: Mapping[str, NoteText | None], labels: Collection[str], what: str
) -> Iterator[tuple[str, str, SpanKey, list[str]]]:
    """Yield (where, note, span, the columns behind its words) of a table of spans of some labels."""
    for where, name, note, start, end, (label, words, *says) in _rows(path, notes):
        span = start, end, label
        if span not in note.spans or label not in labels:
            there = sorted(own for a, b, own in note.spans if (a, b) == (start, end))
            holds = f"there stands {', '.join(there)}" if there else "no span has these borders"
            raise FormatError(
                f"{where}: {start}-{end} is no {what} of that label in '{name}'; {holds}. Give label and offsets as in its .ann."
            )
        if words.split() != note.text[start:end].split():
            raise FormatError(f"{where}: the words are not those of '{name}' at {start}-{end}. Copy them from its .ann.")
        yield where, name, span, says


def _rows(path: Path, notes: Mapping[str, NoteText | None]) -> Iterator[tuple[str, str, NoteText, int, int, list[str]]]:
    """Yield (where, note, what it holds, start, end, other columns) of each line; nothing where there is no file."""
    if not path.is_file():
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 at byte {error.start}. Convert the file to UTF-8.") from None
    columns = COLUMNS[path.name]
    first: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{path}, line {number}"
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise FormatError(f"{where}: {len(cells)} columns, not {len(columns)}. Put tabs between {', '.join(columns)}.")
        name, *offsets = cells[:3]
        if name not in notes:
            raise FormatError(f"{where}: the folder has no note of that name. Write that of its .ann file, without the ending.")
        if not all(offset.isascii() and offset.isdigit() for offset in offsets):
            raise FormatError(f"{where}: the offsets must be whole numbers, as in the .ann file.")
        place = (name, *offsets, cells[3]) if path.name != SECTIONS else (name, offsets[0])
        if first.setdefault(place, number) != number:
            raise FormatError(f"{where}: the same place as line {first[place]}. Delete one of the two.")
        note = notes[name]
        if note is not None:
            yield where, name, note, int(offsets[0]), int(offsets[1]), cells[3:]


def _value(where: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:  # its own message quotes nothing, but names the place
        raise FormatError(f"{where}: the value is no JSON at its character {error.pos + 1}. Write an object, or null.") from None
    except RecursionError:
        raise FormatError(f"{where}: the value is nested too deep. Write an object, or null.") from None
    if value is not None and not isinstance(value, dict):
        raise FormatError(f"{where}: the value is a {type(value).__name__}. Write an object, or null.")
    return value
