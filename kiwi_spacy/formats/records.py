"""Rows of tables that hold notes: which column is what, and a row's values as plain data."""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..errors import FormatError, KiwiError
from .decode import MARKS, decode
from .sources import is_packed
from .tables import Type

_ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that are not UTF-8, as Python's "surrogateescape" keeps them
_LONGEST = 2**31 - 1  # characters of a cell; the csv module stops at 131,072 by itself
_DELIMITERS = {".tsv": "\t"}

Plain = str | int | float | bool | None


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what of a note.

    id: None takes "id", where there is such a column; else rows are numbered.
    date: Of the note, as ISO 8601 writes it, or a date; None where there is none.
    carry: Columns whose values go along into the output; None takes all others.
    query: Of a database: a table, perhaps SCHEMA.TABLE, or a SELECT.
    """

    text: str = "text"
    id: str | None = None
    date: str | None = None
    carry: tuple[str, ...] | None = None
    query: str | None = None


@dataclass(frozen=True)
class Chosen:
    """The columns that a table is read by; `carried` are those of the output > their types."""

    text: str
    id: str | None
    date: str | None
    carried: Mapping[str, Type]

    @property
    def read(self) -> tuple[str, ...]:
        """All columns that are read."""
        return tuple(dict.fromkeys(name for name in (self.text, self.id, self.date, *self.carried) if name is not None))


@dataclass(frozen=True)
class Row:
    """A row of a table: its values by column, or what is `wrong` with it; `fallback` names a note without an id."""

    fallback: str
    place: str
    values: Mapping[str, Any]
    wrong: str = ""


def choose(kinds: Mapping[str, Type], columns: Columns, place: str, *, sure: bool = True) -> Chosen:
    """Return the columns to read of a table that has these columns and types.

    sure (bool): Whether all columns are known; of JSON lines those of the lines that were read.
    RAISES (KiwiError): The table lacks one that was named.

    >>> choose({"note": "string", "ward": "string"}, Columns(text="note"), "n.csv").carried
    {'ward': 'string'}
    """
    given = [name for name in (columns.text, columns.id, columns.date, *(columns.carry or ())) if name is not None]
    missing = [name for name in given if name not in kinds]
    if missing and sure:
        raise KiwiError(
            f"{place} has no column '{missing[0]}'; it has: {', '.join(kinds) or 'none'}. "
            "Name its columns by --text, --id, --date, --carry."
        )
    id_ = columns.id if columns.id is not None else ("id" if "id" in kinds else None)
    taken = {columns.text, id_, columns.date}
    carried = columns.carry if columns.carry is not None else tuple(name for name in kinds if name not in taken)
    return Chosen(columns.text, id_, columns.date, {name: kinds.get(name, "string") for name in carried})


def joined(tables: Iterable[Mapping[str, Type]]) -> dict[str, Type]:
    """Return the columns of several tables; one that they have of several types becomes text.

    >>> joined([{"a": "int64"}, {"a": "double", "b": "bool"}])
    {'a': 'string', 'b': 'bool'}
    """
    kinds: dict[str, Type] = {}
    for table in tables:
        for name, kind in table.items():
            kinds[name] = kind if kinds.get(name, kind) == kind else "string"
    return kinds


def kinds_of_values(rows: Iterable[Mapping[str, Any]]) -> dict[str, Type]:
    """Return the columns of rows that say no types, and the type that holds all values of each.

    >>> kinds_of_values([{"a": 1, "b": None}, {"a": 2, "b": "x", "c": 1}, {"c": [1]}])
    {'a': 'int64', 'b': 'string', 'c': 'string'}
    """
    found: dict[str, set[Type]] = {}
    for row in rows:
        for name, value in row.items():
            seen = found.setdefault(name, set())
            if value is not None:
                seen.add(_kind_of(value))
    return {name: _common(seen) for name, seen in found.items()}


def _kind_of(value: Any) -> Type:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64" if -(2**63) <= value < 2**63 else "string"
    return "double" if isinstance(value, float) else "string"


def _common(seen: set[Type]) -> Type:
    if seen == {"int64", "double"}:
        return "double"
    return next(iter(seen)) if len(seen) == 1 else "string"


def plain(value: Any, kind: Type) -> Plain:
    """Return a value of a column as plain data, which JSON, msgpack and `set_columns` can hold.

    >>> plain(date(2024, 3, 15), "date32"), plain([1, None], "string"), plain(3, "string")
    ('2024-03-15', '[1, null]', '3')
    """
    if value is None or isinstance(value, str):
        return value
    if kind == "double" and isinstance(value, int | float):
        return float(value)
    if kind in ("int64", "bool"):
        return cast(Plain, value)
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(value, default=str) if isinstance(value, list | dict | bool) else str(value)


def name_of(value: Any, column: str = "id") -> str | None:
    """Return the value of a column of ids as a note's name, None where there is none.

    RAISES (FormatError): It is neither text nor a whole number.

    >>> name_of(7), name_of(7.0), name_of(float("nan"))
    ('7', '7', None)
    """
    if value is None or value == "" or value != value:  # pandas writes a missing number as nan, and then all as 7.0
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise FormatError(f"its \"{column}\" is neither a string nor a whole number")
    try:
        name = str(value)
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise FormatError(f"half a surrogate pair in its \"{column}\", at character {error.start}") from None
    except ValueError:  # more digits than Python writes
        raise FormatError(f"its \"{column}\" is too long a number") from None
    return name


def date_of(value: Any) -> str | None:
    """Return the value of a date as text for `set_note_date`, which says whether it is one; None where there is none."""
    if value is None or value != value or value == "":
        return None
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def header_of(path: Path, encoding: str | None, text: str) -> list[str]:
    """Return the names of the columns of a CSV or TSV file; empty of an empty one.

    RAISES (FormatError, OSError): The file cannot be read.
    """
    return next(csv.reader(_lines(path, encoding), delimiter=_delimiter(path, encoding, text)), [])


def read_csv(path: Path, name: str, place: str, encoding: str | None, text: str) -> Iterator[Row]:
    """Yield the rows of a CSV or TSV file, one at a time; a bad one says what is wrong and the others are read.

    Cells are separated by a tab in .tsv; else by the first of comma, semicolon and tab that makes a column `text`.

    RAISES (FormatError, OSError): The file cannot be read on.
    """
    csv.field_size_limit(_LONGEST)
    reader = csv.reader(_lines(path, encoding), delimiter=_delimiter(path, encoding, text))
    header = next(reader, [])
    number = 0
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield Row(f"{name}-{number:06d}", f"{place}, line {start}", {}, f"not CSV: {error}")
            continue
        if not cells:
            continue
        number += 1
        end = reader.line_num
        where = f"{place}, line {start}" if end == start else f"{place}, lines {start}-{end}"
        yield _row(header, cells, f"{name}-{number:06d}", where, encoding)


def _row(header: list[str], cells: list[str], fallback: str, place: str, encoding: str | None) -> Row:
    if len(cells) != len(header):
        return Row(fallback, place, {}, f"{place} has {len(cells)} cells, and the header has {len(header)}. Mend its quotes")
    try:
        cells = [_decoded(cell, encoding) if _ESCAPED.search(cell) else cell for cell in cells]
    except FormatError as error:
        return Row(fallback, place, {}, str(error))
    return Row(fallback, place, dict(zip(header, cells)))


def _decoded(cell: str, encoding: str | None) -> str:
    return decode(cell.encode("utf-8", "surrogateescape"), encoding)


def _delimiter(path: Path, encoding: str | None, text: str) -> str:
    name = path.name.lower().removesuffix(".gz")
    known = next((mark for suffix, mark in _DELIMITERS.items() if name.endswith(suffix)), None)
    if known:
        return known
    first = next(_lines(path, encoding), "")
    return next((mark for mark in ",;\t" if text in next(csv.reader([first], delimiter=mark), [])), ",")


def _lines(path: Path, encoding: str | None) -> Iterator[str]:
    """Yield the lines of a file, unpacked, their ends kept as they are.

    RAISES (FormatError): It is packed, and cut short or no gzip file. RAISES (OSError): It cannot be read.
    """
    try:
        with gzip.open(path) if is_packed(path) else path.open("rb") as raw:
            wide = _wide_name(raw.read(4096), encoding)
            raw.seek(0)
            coding, errors = (wide, "strict") if wide else ("utf-8-sig", "surrogateescape")
            yield from io.TextIOWrapper(cast(BinaryIO, raw), encoding=coding, errors=errors, newline="")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(f"not a whole gzip file ({type(error).__name__}). Pack it again") from None
    except UnicodeDecodeError as error:  # of an encoding of two or four bytes a character
        raise FormatError(f"not {error.encoding}") from None


def _wide_name(head: bytes, encoding: str | None) -> str | None:
    """Return the encoding of two or four bytes a character that a file's head is in, None of any other."""
    for mark, name in MARKS:
        if head.startswith(mark):
            return name
    if b"\0" not in head:
        return None
    if encoding and encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32")):
        return encoding
    raise FormatError("it looks like UTF-16 without a byte order mark. If it is, --encoding utf-16-le reads it")
