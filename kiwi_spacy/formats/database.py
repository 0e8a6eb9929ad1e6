"""Notes in a database, read in pages by their ids, and tables of rows written there, in one transaction a batch."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..contract import NOTE
from ..errors import HeldError, KiwiError
from ..extras import extra
from .outputs import Output
from .records import Row
from .tables import Column, Type, rows_of_doc, typed

with extra("database"):
    import sqlalchemy as sa
    from sqlalchemy import exc

_TEXTS, _IDS = 64, 10_000  # rows of a page: with text, of which one may be a megabyte; and of ids alone
_PARTS = 500  # values of one IN, far below what any database takes
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_KINDS: Mapping[type, Type] = {bool: "bool", int: "int64", float: "double", date: "date32", datetime: "timestamp[us]"}
_TYPES: Mapping[Type, Any] = {
    "string": sa.Text(), "int32": sa.Integer(), "int64": sa.BigInteger(), "double": sa.Double(), "bool": sa.Boolean(),
    "date32": sa.Date(), "timestamp[us]": sa.DateTime(),
}
_NAME = sa.Text().with_variant(sa.String(255), "mysql", "mariadb", "mssql")  # which index no text without a length


def shown(url: str) -> str:
    """Return a URL without its password.

    >>> shown("postgresql://me:secret@host/notes")
    'postgresql://me:***@host/notes'
    """
    return _parsed(url).render_as_string(hide_password=True)


def connect(url: str) -> sa.Engine:
    """Return what connects to a database; no statement's values ever stand in its errors.

    RAISES (KiwiError): The URL is none, or its driver is not installed.
    """
    parsed = _parsed(url)
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    try:
        engine = sa.create_engine(parsed, hide_parameters=True)
    except (exc.ArgumentError, exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise KiwiError(f"'{shown(url)}': {str(error).splitlines()[0]}. Install the driver that SQLAlchemy names.") from None
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _parsed(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except exc.ArgumentError:
        raise KiwiError("The URL of the database cannot be read. Write DIALECT://USER:PASSWORD@HOST/NAME.") from None


def _set_up_sqlite(connection: Any, _: object) -> None:
    # Bytes that are not UTF-8 would stop the page with an error that shows the text.
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    connection.execute("pragma busy_timeout = 30000")


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """Say what a database refuses in one line, without what the statement held."""
    try:
        yield
    except exc.DBAPIError as error:
        raise KiwiError(f"The database stops {doing}: {type(error.orig).__name__}, {_first(error)}.") from None
    except exc.SQLAlchemyError as error:
        raise KiwiError(f"The database stops {doing}: {type(error).__name__}.") from None


def _first(error: exc.DBAPIError) -> str:
    """Return the first line of a driver's message, or a code where it may show a value."""
    if not isinstance(error, exc.ProgrammingError | exc.OperationalError):  # 'invalid input syntax for type integer: "…"'
        code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", None)
        return f"code {code}" if code else "its message is left out, as it may hold note text"
    # What comes after the first line may show a row ("DETAIL: Key (text)=(…)").
    return (str(error.orig).strip().splitlines() or ["without a reason"])[0].rstrip(".")


class NoteTable:
    """A table of notes, or what a SELECT gives. `columns` are its columns and their types; of a SELECT all are text."""

    def __init__(self, url: str, query: str) -> None:
        """Look at the table.

        query (str): A table's name, perhaps SCHEMA.NAME, or a SELECT.
        RAISES (KiwiError): It is not there, or the database cannot be reached.
        """
        file = _parsed(url).database if _parsed(url).drivername.startswith("sqlite") else None
        if file is not None and not Path(file).exists():  # SQLite would make it
            raise KiwiError(f"'{file}' does not exist.")
        self._engine, self.place = connect(url), f"{shown(url)}, {query if _is_name(query) else 'the query'}"
        with _told(f"reading {self.place}"):
            if _is_name(query):
                schema, _, name = query.rpartition(".")
                look = sa.inspect(self._engine)
                if not (look.has_table(name, schema=schema or None) or name in look.get_view_names(schema=schema or None)):
                    raise KiwiError(f"{shown(url)} has no table '{query}'. Name one by --query.")
                found = look.get_columns(name, schema=schema or None)
                self.columns: dict[str, Type] = {each["name"]: self._kind(each["type"]) for each in found}
                self._source: sa.FromClause = sa.table(name, *map(sa.column, self.columns), schema=schema or None)
            else:
                text = sa.text(query.strip().rstrip(";").replace(":", r"\:"))
                every = sa.select(sa.text("*")).select_from(text.columns().subquery("notes"))
                with self._engine.connect() as db:
                    names = list(db.execute(every.limit(0)).keys())
                self.columns = dict.fromkeys(names, "string")
                self._source = text.columns(*map(sa.column, names)).subquery("notes")

    def _kind(self, kind: sa.types.TypeEngine[Any]) -> Type:
        try:
            found = _KINDS.get(kind.python_type, "string")
        except NotImplementedError:
            return "string"
        if self._engine.dialect.name == "sqlite" and found not in ("int64", "double"):  # which has no others
            return "int64" if found == "bool" else "string"
        return "string" if getattr(kind, "timezone", False) else found

    def rows(self, id_: str, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows in the order of their ids, a page at a time; a page ends with its connection.

        RAISES (KiwiError): The database cannot be read on.
        """
        size = _IDS if list(columns) == [id_] else _TEXTS
        wanted, key = [self._source.c[name] for name in columns], self._source.c[id_]
        page = sa.select(*wanted).where(key.is_not(None)).order_by(key).limit(size)
        last: Any = None
        while True:
            found = self._all(page if last is None else page.where(key > last))
            full = len(found) == size
            if full:  # rows of the last id may go on behind the page
                last = found[-1][id_]
                found = [row for row in found if row[id_] != last] + self._all(sa.select(*wanted).where(key == last))
            for row in found:
                yield Row(str(row[id_]), f"{self.place}, {id_} {row[id_]}", row)
            if not full:
                break
        without = self._all(sa.select(sa.func.count().label("n")).select_from(self._source).where(key.is_(None)))[0]["n"]
        if without:
            place = f"{self.place}, {id_} null"
            yield Row(place, place, {}, f"{without} rows without an id, which cannot be told apart, were not read. Give them ids")

    def _all(self, select: sa.Select[Any]) -> list[dict[str, Any]]:
        with _told(f"reading {self.place}"), self._engine.connect() as db:
            return [dict(row._mapping) for row in db.execute(select)]


def _is_name(query: str) -> bool:
    return not query.strip().lower().startswith(("select", "with", "("))


def database_output(table: str, carried: Mapping[str, Type] | None) -> Output:
    """Return how a table's rows become bytes on their way into a database."""
    return Output("database", "", partial(_render, table, carried))


def _render(table: str, carried: Mapping[str, Type] | None, name: str, doc: Doc) -> bytes:
    doc.user_data[NOTE] = name
    return json.dumps(list(rows_of_doc(doc, table, carried)), default=lambda value: value.isoformat()).encode()


class RowTable:
    """A table of rows of notes, and beside it the lines of a manifest, which change in one transaction with the rows."""

    def __init__(self, url: str, name: str, columns: Sequence[Column]) -> None:
        """Look at the table, which need not be there.

        RAISES (KiwiError): The database cannot be reached.
        """
        self.engine, self.place = connect(url), f"{shown(url)}, table {name}"
        self._columns = columns
        schema, _, bare = name.rpartition(".")
        notes = sa.MetaData(schema=schema or None)
        self._rows = sa.Table(bare, notes, *(
            sa.Column(each.name, _NAME if each.name == "note" else _TYPES["string" if each.fields else each.type],
                      index=each.name == "note")
            for each in columns
        ))
        self._lines = sa.Table(
            f"{bare}_kiwi_manifest", notes, sa.Column("note", _NAME, primary_key=True), sa.Column("line", sa.Text())
        )
        self._metadata = notes
        with _told(f"looking for {self.place}"):
            look = sa.inspect(self.engine)
            self.is_ours = look.has_table(self._lines.name, schema=schema or None)
            self.is_there = look.has_table(bare, schema=schema or None)
            there = look.get_columns(bare, schema=schema or None) if self.is_there else []
        self.fits = [each["name"] for each in there] == [each.name for each in columns]

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other runs out of the table while the block runs; the server frees the lock when the process ends.

        Only PostgreSQL is asked: see `run.database` for SQLite. Others have no such lock.

        RAISES (HeldError): Another run holds it.
        """
        if self.engine.dialect.name != "postgresql":
            yield
            return
        key = int.from_bytes(hashlib.sha256(f"kiwi {self._rows.fullname}".encode()).digest()[:8], "big", signed=True)
        with _told("taking its lock"):
            db = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            db.detach()  # the lock lasts as long as the connection, which a pool would keep
        try:
            if not db.execute(sa.select(sa.func.pg_try_advisory_lock(key))).scalar():
                raise HeldError(f"Another run writes to {self.place}. Wait for its end, or name another table.")
            yield
        finally:
            db.close()

    def lines(self) -> dict[str, str]:
        """Return the lines of the manifest, note > line; its head is that of the empty name."""
        with _told(f"reading {self.place}"), self.engine.connect() as db:
            return {row.note: row.line for row in db.execute(sa.select(self._lines))}

    def counts(self) -> dict[str, int]:
        """Return how many rows each note has; none of one without."""
        with _told(f"reading {self.place}"), self.engine.connect() as db:
            note = self._rows.c.note
            return {found: n for found, n in db.execute(sa.select(note, sa.func.count()).group_by(note))}

    def make(self) -> None:
        """Make the table and the manifest's anew, without rows."""
        with _told(f"making {self.place}"), self.engine.begin() as db:
            self._metadata.drop_all(db)
            self._metadata.create_all(db)

    def replace(self, notes: Iterable[str], rows: Sequence[Mapping[str, Any]], lines: Mapping[str, str]) -> None:
        """Take the rows and lines of some notes away and write others, all or nothing.

        rows: As `database_output` renders them.
        """
        gone = list(dict.fromkeys(notes))
        with _told(f"writing to {self.place}"), self.engine.begin() as db:
            for first in range(0, len(gone), _PARTS):
                part = gone[first : first + _PARTS]
                for table in (self._rows, self._lines):
                    db.execute(sa.delete(table).where(table.c.note.in_(part)))
            if rows:
                db.execute(sa.insert(self._rows), [self._row(row) for row in rows])
            if lines:
                db.execute(sa.insert(self._lines), [{"note": note, "line": line} for note, line in lines.items()])

    def _row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            each.name: json.dumps(row[each.name]) if each.fields else _valid(typed(row[each.name], each.type))
            for each in self._columns
        }


def _valid(value: Any) -> Any:
    """Return a value as any database takes it: PostgreSQL refuses a NUL in text, and the rows of its batch with it."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value
