"""Everything that a Doc carries besides its words, a layer each; what cuts, joins or writes Docs goes through `LAYERS`.

A layer reads its rows off a Doc and writes them onto another: plain data, offsets in characters of `doc.text`, half-open.
It shifts rows to another place, restricts them to a stretch of the note, and joins those of parts. So a layer that is
added here is cut, joined and written from then on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from spacy.tokens import Doc, Span, SpanGroup

from ..errors import KiwiError
from . import annotations as a
from .facts import FACTS
from .remarks import REMARKS
from .sections import SECTIONS

Row = list[Any]


@dataclass(frozen=True)
class Part:
    """A stretch of a note that becomes a Doc of its own: characters, half-open, and whether it is the first one."""

    start_char: int
    end_char: int
    first: bool = True

    def holds(self, start_char: int, end_char: int) -> bool:
        """Whether a stretch lies in it whole."""
        return self.start_char <= start_char and end_char <= self.end_char

    def cuts(self, start_char: int, end_char: int) -> bool:
        """Whether a stretch begins in it and goes on behind it."""
        return self.start_char <= start_char < self.end_char < end_char


class Layer(Protocol):
    """One kind of thing that a Doc carries: `name` is its key in records, `cut` the problem counted where a cut hits it."""

    @property
    def name(self) -> str: ...

    @property
    def cut(self) -> str | None: ...

    def read(self, doc: Doc) -> Any:
        """Return the rows of a Doc as plain data; empty where it has none."""

    def write(self, doc: Doc, rows: Any) -> None:
        """Put rows on a Doc in place of its own; does nothing for empty rows."""

    def shift(self, rows: Any, by: int) -> Any:
        """Return the rows `by` characters further on."""

    def restrict(self, rows: Any, part: Part) -> tuple[Any, int]:
        """Return the rows of a part, at the part's own offsets, and how many a cut goes through."""

    def join(self, parts: Sequence[Any]) -> Any:
        """Return the rows of several parts as one, each shifted to its place already."""


@dataclass(frozen=True)
class Table:
    """Rows in `doc.user_data[key]`. `offsets` are the columns (start, end) of each stretch that a row names.

    A row is kept where a part holds all its stretches, or, with `clip`, what the part holds of its only stretch.
    """

    name: str
    key: str
    offsets: tuple[tuple[int, int], ...]
    cut: str | None = None
    clip: bool = False

    def read(self, doc: Doc) -> list[Row]:
        return [list(row) for row in doc.user_data.get(self.key, ())]

    def write(self, doc: Doc, rows: list[Row]) -> None:
        if rows:
            doc.user_data[self.key] = rows

    def shift(self, rows: list[Row], by: int) -> list[Row]:
        columns = {column for pair in self.offsets for column in pair}
        return [[value + by if i in columns else value for i, value in enumerate(row)] for row in rows]

    def restrict(self, rows: list[Row], part: Part) -> tuple[list[Row], int]:
        kept, lost = [], 0
        for row in rows:
            start = min(row[first] for first, _ in self.offsets)
            end = max(row[last] for _, last in self.offsets)
            if part.holds(start, end):
                kept.append(row)
            elif self.clip and start < part.end_char and end > part.start_char:
                clipped = list(row)
                clipped[self.offsets[0][0]], clipped[self.offsets[0][1]] = max(start, part.start_char), min(end, part.end_char)
                kept.append(clipped)
            else:
                lost += part.cuts(start, end)
        return self.shift(kept, -part.start_char), lost

    def join(self, parts: Sequence[list[Row]]) -> list[Row]:
        return [row for rows in parts for row in rows]


@dataclass(frozen=True)
class Records:
    """Objects in `doc.user_data[key]`: every value under a key that is, or ends with, `start_char` or `end_char` is an offset.

    An object lies where its own `start_char` and `end_char` say; what it points to elsewhere moves with it.
    """

    name: str
    key: str
    cut: str | None = None
    clip: bool = False

    def read(self, doc: Doc) -> list[dict[str, Any]]:
        return [dict(row) for row in doc.user_data.get(self.key, ())]

    def write(self, doc: Doc, rows: list[dict[str, Any]]) -> None:
        if rows:
            doc.user_data[self.key] = rows

    def shift(self, rows: list[dict[str, Any]], by: int) -> list[dict[str, Any]]:
        return [_moved(row, by) for row in rows]

    def restrict(self, rows: list[dict[str, Any]], part: Part) -> tuple[list[dict[str, Any]], int]:
        kept, lost = [], 0
        for row in rows:
            places = list(_places(row))
            start, end = row["start_char"], row["end_char"]
            if all(part.holds(a, b) for a, b in places):
                kept.append(row)
            elif self.clip and start < part.end_char and end > part.start_char:
                kept.append(_clipped(row, part))
            else:
                lost += part.holds(start, end) or part.cuts(start, end)
        return self.shift(kept, -part.start_char), lost

    def join(self, parts: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
        return [row for rows in parts for row in rows]


@dataclass(frozen=True)
class Stretches(Table):
    """Sections: a part has its stretch of each, with the heading where it holds that; joining restores them."""

    def restrict(self, rows: list[Row], part: Part) -> tuple[list[Row], int]:
        kept = []
        for row in rows:
            if row[3] < part.end_char and (row[6] > part.start_char or row[3] >= part.start_char):
                kept.append([*row[:3], *(min(max(place, part.start_char), part.end_char) for place in row[3:7]), *row[7:]])
        return self.shift(kept, -part.start_char), 0

    def join(self, parts: Sequence[list[Row]]) -> list[Row]:
        joined: list[Row] = []
        for rows in parts:
            for i, row in enumerate(rows):
                if i == 0 and joined and self._goes_on(joined[-1], row):
                    last = joined[-1]
                    last[4] = row[4] if row[3] < row[4] else last[4]
                    last[5] = row[5] if last[5] == last[6] else last[5]
                    last[6] = row[6]
                else:
                    joined.append(list(row))
        return joined

    def _goes_on(self, last: Row, row: Row) -> bool:
        """Whether a part's first section is the one before it, cut within its body or its heading."""
        same = (*last[:3], *last[7:]) == (*row[:3], *row[7:])
        return same and last[6] == row[3] and (row[3] == row[4] or last[5] == last[6])


def _is_offset(key: Any, value: Any) -> bool:
    return isinstance(value, int) and isinstance(key, str) and key.endswith(("start_char", "end_char"))


def _moved(value: Any, by: int) -> Any:
    if isinstance(value, Mapping):
        return {k: v + by if _is_offset(k, v) else _moved(v, by) for k, v in value.items()}
    return [_moved(v, by) for v in value] if isinstance(value, list | tuple) else value


def _places(value: Any) -> Iterable[tuple[int, int]]:
    """Yield every stretch that an object names, its parts' among them."""
    if isinstance(value, Mapping):
        for key, start in value.items():
            if _is_offset(key, start) and key.endswith("start_char"):
                yield start, value[key.removesuffix("start_char") + "end_char"]
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _places(each)


def _clipped(row: dict[str, Any], part: Part) -> dict[str, Any]:
    return {
        key: min(max(value, part.start_char), part.end_char) if _is_offset(key, value) else value for key, value in row.items()
    }


@dataclass(frozen=True)
class Spans:
    """Spans that spaCy holds: the entities, or those of `doc.spans`; rows (start_char, end_char, label)."""

    name: str
    cut: str | None = "span cut in two"

    def read(self, doc: Doc) -> list[Row]:
        spans = doc.ents if self.name == "entities" else a.get_modifiers(doc)
        return [list(a.span_key(span)) for span in spans]

    def write(self, doc: Doc, rows: list[Row]) -> None:
        spans = [_span(doc, row) for row in rows]
        if self.name == "entities":
            doc.set_ents(spans)
        else:
            a.set_modifiers(doc, spans)

    def shift(self, rows: list[Row], by: int) -> list[Row]:
        return [[start + by, end + by, *rest] for start, end, *rest in rows]

    def restrict(self, rows: list[Row], part: Part) -> tuple[list[Row], int]:
        kept = [row for row in rows if part.holds(row[0], row[1])]
        return self.shift(kept, -part.start_char), sum(part.cuts(row[0], row[1]) for row in rows)

    def join(self, parts: Sequence[list[Row]]) -> list[Row]:
        return [row for rows in parts for row in rows]


def _span(doc: Doc, row: Sequence[Any]) -> Span:
    span = doc.char_span(row[0], row[1], label=row[2], kb_id=row[3] if len(row) > 3 else 0)
    if span is None:
        raise KiwiError(f"A span at {row[0]}-{row[1]} does not begin and end on this Doc's tokens.")
    return span


@dataclass(frozen=True)
class Groups:
    """The span groups of others: {name of the group: rows (start_char, end_char, label, knowledge base id)}."""

    name: str = "groups"
    cut: str | None = "span of another group cut in two"

    def read(self, doc: Doc) -> dict[str, list[Row]]:
        return {
            str(name): [[s.start_char, s.end_char, s.label_, s.kb_id_] for s in group]
            for name, group in doc.spans.items() if name != a.MODIFIERS
        }

    def write(self, doc: Doc, rows: dict[str, list[Row]]) -> None:
        for name, group in rows.items():
            doc.spans[name] = SpanGroup(doc, name=name, spans=[_span(doc, row) for row in group])

    def shift(self, rows: dict[str, list[Row]], by: int) -> dict[str, list[Row]]:
        return {name: [[start + by, end + by, *rest] for start, end, *rest in group] for name, group in rows.items()}

    def restrict(self, rows: dict[str, list[Row]], part: Part) -> tuple[dict[str, list[Row]], int]:
        kept = {name: [row for row in group if part.holds(row[0], row[1])] for name, group in rows.items()}
        lost = sum(part.cuts(row[0], row[1]) for group in rows.values() for row in group)
        return self.shift(kept, -part.start_char), lost

    def join(self, parts: Sequence[dict[str, list[Row]]]) -> dict[str, list[Row]]:
        names = dict.fromkeys(name for rows in parts for name in rows)
        return {name: [row for rows in parts for row in rows.get(name, ())] for name in names}


@dataclass(frozen=True)
class Whole:
    """What is said of the whole note: each part says it too, and the first part that says it speaks for the join."""

    name: str
    key: str
    cut: str | None = None

    def read(self, doc: Doc) -> Any:
        return doc.user_data.get(self.key)

    def write(self, doc: Doc, rows: Any) -> None:
        if rows is not None:
            doc.user_data[self.key] = rows

    def shift(self, rows: Any, by: int) -> Any:
        return rows

    def restrict(self, rows: Any, part: Part) -> tuple[Any, int]:
        return rows, 0

    def join(self, parts: Sequence[Any]) -> Any:
        return next((rows for rows in parts if rows is not None), None)


@dataclass(frozen=True)
class Roles(Whole):
    """Which labels play which role; of parts by two schemas, both keep theirs."""

    def join(self, parts: Sequence[Any]) -> Any:
        if not any(parts):
            return None
        packaged = a.packaged_roles()
        return {role: sorted({label for rows in parts for label in (rows or packaged)[role]}) for role in packaged}


@dataclass(frozen=True)
class Counts(Whole):
    """Counts of a note: the first part takes them, so that joining counts them once."""

    def restrict(self, rows: Any, part: Part) -> tuple[Any, int]:
        return (dict(rows) if rows and part.first else None), 0

    def join(self, parts: Sequence[Any]) -> Any:
        total: Counter[str] = Counter()
        for rows in parts:
            total.update(rows or {})
        return dict(total) or None


@dataclass(frozen=True)
class Others:
    """What users keep in `doc.user_data`: values of their extensions, of spans too, and keys of their own.

    Rows [key, value], or [key, value, start_char, end_char] for a span's.
    """

    name: str = "user_data"
    cut: str | None = None

    def read(self, doc: Doc) -> list[Row]:
        known = {layer.key for layer in LAYERS if isinstance(layer, Table | Records | Whole)}
        rows: list[Row] = []
        for key, value in doc.user_data.items():
            if isinstance(key, tuple) and len(key) == 4 and key[2] is not None:
                start, end = key[2], key[3]  # a token's has no end
                rows.append([[*key[:2], end is None], value, start, start + 1 if end is None else end])
            elif key not in known:
                rows.append([key, value])
        return rows

    def write(self, doc: Doc, rows: list[Row]) -> None:
        for key, value, *place in rows:
            whole: Any = (*key[:2], place[0], None if key[2] else place[1]) if place else key
            doc.user_data[whole] = value

    def shift(self, rows: list[Row], by: int) -> list[Row]:
        return [[key, value, *(offset + by for offset in place)] for key, value, *place in rows]

    def restrict(self, rows: list[Row], part: Part) -> tuple[list[Row], int]:
        kept = [row for row in rows if len(row) == 2 or part.holds(row[2], row[3])]
        return self.shift(kept, -part.start_char), 0

    def join(self, parts: Sequence[list[Row]]) -> list[Row]:
        found: dict[Any, Row] = {}
        for rows in parts:
            for row in rows:
                key = (tuple(row[0]), *row[2:]) if len(row) > 2 else row[0]
                found.setdefault(key, row)
        return list(found.values())


LAYERS: tuple[Layer, ...] = (
    Spans("entities"),
    Spans("modifiers"),
    Table("scores", a.SCORES, ((0, 1),)),
    Table("relations", a.RELATIONS, ((0, 1), (3, 4)), cut="link cut in two"),
    Table("remarks", REMARKS, ((0, 1),)),
    Table("failures", a.FAILURES, ((0, 1),), clip=True),
    Stretches("sections", SECTIONS, ((3, 4), (5, 6))),
    Records("facts", FACTS, cut="fact cut in two"),
    Roles("roles", a.ROLE_LABELS),
    Whole("provenance", a.PROVENANCE),
    Counts("problems", a.PROBLEMS),
    Whole("note", a.NOTE),
    Whole("note_date", a.NOTE_DATE),
    Whole("columns", a.COLUMNS),
    Groups(),
    Others(),
)
