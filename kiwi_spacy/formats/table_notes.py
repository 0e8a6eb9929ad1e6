"""The tables among the inputs, CSV, parquet and JSON: their columns, and their rows one at a time."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import FormatError, KiwiError
from .decode import decode
from .records import Chosen, Columns, Row, choose, header_of, joined, kinds_of_values, read_csv
from .sources import Source, read_lines
from .tables import Type

if TYPE_CHECKING:
    from .database import NoteTable

_WITHOUT_TYPES = ("lines", "json")


class Tables:
    """Reads the rows of tables. Their headers are read at once, as is JSON where columns of it are named."""

    carried: Mapping[str, Type]

    def __init__(self, columns: Columns | None, encoding: str | None, sources: Sequence[Source]) -> None:
        """Find the columns of each table.

        RAISES (KiwiError): A table lacks a column that is named.
        """
        self._columns, self._encoding = columns or Columns(), encoding
        self._json = Chosen("text", "id", None, {})  # JSON whose columns nobody named
        if columns is not None:
            self._json = choose({}, replace(columns, id=columns.id or "id"), "", sure=False)
        self._chosen: dict[str, Chosen] = {}
        self._databases = {source.place: self._database(source) for source in sources if source.kind == "database"}
        for source in sources:
            try:
                if source.kind in ("csv", "parquet", "database"):
                    self._chosen[source.place] = choose(self._kinds(source), self._columns, f"'{source.place}'")
                elif source.kind in _WITHOUT_TYPES and columns is not None:
                    self._chosen[source.place] = choose(self._kinds(source), self._columns, f"'{source.place}'", sure=False)
            except (FormatError, OSError):
                continue  # its rows say why it cannot be read
        self.carried = joined([chosen.carried for chosen in self._chosen.values()])
        if not self._chosen:
            self.carried = self._json.carried

    def chosen(self, source: Source) -> Chosen:
        """Return the columns that a table is read by, of the types that all tables together give them."""
        found = self._chosen.get(source.place, self._json)
        return replace(found, carried={name: self.carried.get(name, kind) for name, kind in found.carried.items()})

    def rows(self, source: Source, *, names_only: bool = False) -> Iterator[Row]:
        """Yield the rows of a table; what cannot be read is a row that says so.

        names_only (bool): Whether the column of ids is enough; of a large table the rest need not be read.
        """
        read = 0
        try:
            for row in self._rows(source, names_only):
                read += 1
                yield row
        except FormatError as error:
            whole = source.kind == "json"
            yield Row(source.name if whole else source.place, source.place, {}, f"{error}{'' if whole else _so_far(read)}")
        except OSError as error:
            yield Row(source.name, source.place, {}, error.strerror or "it cannot be read")

    def json_lines(self, lines: Iterable[bytes], stem: str, place: str) -> Iterator[tuple[Row, Chosen]]:
        """Yield the rows of JSON lines from elsewhere than a file, as they come, and the columns that they are read by."""
        for row in _from_lines(lines, stem, place, self._encoding):
            yield row, self._json

    def _database(self, source: Source) -> "NoteTable":
        from .database import NoteTable  # SQLAlchemy is an extra

        if self._columns.query is None:
            raise KiwiError(f"{source.place} is a database. Say by --query which table or SELECT of it holds the notes.")
        return NoteTable(source.url, self._columns.query)

    def _kinds(self, source: Source) -> Mapping[str, Type]:
        if source.kind == "csv":
            return dict.fromkeys(header_of(source.path, self._encoding, self._columns.text), "string")
        if source.kind == "parquet":
            from .arrow import parquet_columns

            return parquet_columns(source.path)
        if source.kind == "database":
            return self._databases[source.place].columns
        return kinds_of_values(row.values for row in self._rows(source, False))

    def _rows(self, source: Source, names_only: bool) -> Iterator[Row]:
        if source.kind == "csv":
            return read_csv(source.path, source.name, source.place, self._encoding, self._columns.text)
        if source.kind == "parquet":
            from .arrow import read_parquet

            chosen = self.chosen(source)
            wanted = [chosen.id] if names_only and chosen.id is not None else [] if names_only else list(chosen.read)
            return read_parquet(source.path, source.name, source.place, wanted)
        if source.kind == "database":
            chosen = self.chosen(source)
            if chosen.id is None:
                raise KiwiError(f"{source.place} is read by ids. Name their column by --id.")
            return self._databases[source.place].rows(chosen.id, [chosen.id] if names_only else chosen.read)
        if source.kind == "lines":
            return _from_lines(read_lines(source.path), source.name, source.place, self._encoding)
        return _from_json(source, self._encoding)


def _so_far(rows: int) -> str:
    return f"; {rows} rows of it were read"


def _from_lines(lines: Iterable[bytes], stem: str, place: str, encoding: str | None) -> Iterator[Row]:
    """Yield a row for each line that is not blank; one that cannot be read is named by its line.

    RAISES (FormatError, OSError): The file cannot be read on.
    """
    for number, line in enumerate(lines, start=1):
        if number == 1 and (line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in line[:4]):
            yield Row(stem, place, {}, "not UTF-8 but UTF-16, as it looks; JSON Lines is UTF-8. Convert it")
            return
        if not line.strip():
            continue
        fallback, where = f"{stem}-{number:06d}", f"{place}, line {number}"
        try:
            yield _from_object(json.loads(decode(line, encoding).removeprefix("\ufeff")), fallback, where)
        except FormatError as error:
            yield Row(fallback, where, {}, str(error))
        except (ValueError, RecursionError) as error:
            yield Row(fallback, where, {}, f"not JSON at column {getattr(error, 'colno', 1)}")


def _from_json(source: Source, encoding: str | None) -> Iterator[Row]:
    """Yield the rows of a JSON file: one object, or a list of them.

    RAISES (FormatError, OSError): The file cannot be read.
    """
    text = decode(b"".join(read_lines(source.path)), encoding).removeprefix("\ufeff")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"line {getattr(error, 'lineno', 1)}, column {getattr(error, 'colno', 1)}"
        mend = "; if each line is a record of its own, name the file .jsonl" if "Extra data" in str(error) else ""
        raise FormatError(f"not JSON at {where}{mend}") from None
    for number, record in enumerate(data if isinstance(data, list) else [data], start=1):
        fallback = f"{source.name}-{number:06d}" if isinstance(data, list) else source.name
        yield _from_object(record, fallback, f"{source.place}, record {number}")


def _from_object(record: Any, fallback: str, place: str) -> Row:
    return Row(fallback, place, record if isinstance(record, dict) else {})
