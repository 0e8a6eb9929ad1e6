"""NOTE and NOTE_NLP in a database of OMOP CDM 5.4: notes read in pages, rows replaced in one transaction a batch.

Beside them stands a table of our own, `kiwi_note_done`: a row a note, with what its rows were made of and by, and the block of
`note_nlp_id` that is the note's for good. Rows of NOTE_NLP in no such block, or of another `nlp_system`, are never touched.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, get_type_hints

from ..errors import HeldError, KiwiError, OutputError
from ..extras import extra
from .database import connect
from .omop_rows import NoteNlp

with extra("database"):
    import sqlalchemy as sa
    from sqlalchemy import exc

SYSTEM = "kiwi_spacy "  # how our `nlp_system` begins
DONE = "kiwi_note_done"
_TYPES: dict[Any, type[sa.types.TypeEngine[Any]]] = {int: sa.BigInteger, str: sa.String, date: sa.Date, datetime: sa.DateTime}
_PARTS = 500  # values of one IN, far below what any database takes


class RefusedError(KiwiError):
    """The database does not take rows as they are; nothing of their transaction was written."""


@dataclass(frozen=True)
class SourceNote:
    """A note as NOTE holds it: `text` and `day` may be anything that a column of SQLite can hold."""

    note_id: int
    text: Any
    day: Any


@dataclass(frozen=True)
class NoteDone:
    """What became of a note: `sha256` of its text and date, `made_by` a hash of pipeline and settings."""

    note_id: int
    outcome: Literal["done", "incomplete", "failed"]
    sha256: str
    made_by: str


@dataclass(frozen=True)
class _Block:
    """The ids that are a note's own, both ends included; its rows need not fill them."""

    first: int
    last: int


class NoteStore:
    """NOTE, NOTE_NLP and `kiwi_note_done` of one database."""

    def __init__(self, url: str, schema: str | None = None) -> None:
        """Open the database, and make `kiwi_note_done` where it is not there.

        url (str): As SQLAlchemy takes it; PostgreSQL, by psycopg, or SQLite.
        schema (str | None): Where the tables stand; by default where the database looks first.
        RAISES (KiwiError): It cannot be opened, or a table or column is missing.
        RAISES (OutputError): NOTE_NLP holds rows of ours that `kiwi_note_done` does not know.
        """
        self.engine, self.folder = _connect(url)
        known = sa.MetaData(schema=schema)
        self.notes = sa.Table("note", known, *(sa.Column(name) for name in ("note_id", "note_date", "note_text")))
        self.rows = sa.Table("note_nlp", known, *(sa.Column(n, _TYPES[kind]) for n, kind in get_type_hints(NoteNlp).items()))
        self.done = sa.Table(
            DONE, known, sa.Column("note_id", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("outcome", sa.String(10), nullable=False), sa.Column("sha256", sa.String(64), nullable=False),
            sa.Column("made_by", sa.String(64), nullable=False), sa.Column("first_id", sa.BigInteger),
            sa.Column("last_id", sa.BigInteger, index=True),
        )
        self._loinc: dict[str, int] = {}
        self._known: dict[int, bool] = {}
        with _told("looking for its tables"):
            self._look(schema)
        with _told(f"making {self.done.fullname}"):
            known.create_all(self.engine, tables=[self.done])
        self._refuse_strangers()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _look(self, schema: str | None) -> None:
        """Find out what the database holds: tables, columns, the width of ids, and where concepts stand."""
        there = sa.inspect(self.engine)
        for table in (self.notes, self.rows):
            if not there.has_table(table.name, schema):
                raise KiwiError(f"The database has no table {table.fullname}. Name the CDM's schema: --schema NAME.")
            found = {column["name"].lower(): column["type"] for column in there.get_columns(table.name, schema)}
            missing = [column.name for column in table.columns if column.name not in found]
            if missing:
                raise KiwiError(f"{table.fullname} lacks {', '.join(missing)}, so it is not of CDM 5.4.")
        wide = self.engine.dialect.name == "sqlite" or isinstance(found["note_nlp_id"], sa.BigInteger)
        self._largest = 2**63 - 1 if wide else 2**31 - 1
        keys = there.get_foreign_keys("note_nlp", schema)
        keys = [key for key in keys if key["constrained_columns"] == ["note_nlp_concept_id"]]
        place = keys[0]["referred_schema"] if keys else schema
        self._binding = bool(keys) and self.engine.dialect.name != "sqlite"  # SQLite does not enforce them by itself
        names = ("concept_id", "concept_code", "vocabulary_id", "invalid_reason")
        self._concepts = (
            sa.Table("concept", sa.MetaData(schema=place), *map(sa.Column, names)) if there.has_table("concept", place) else None
        )
        if self._binding and not self.known_concepts([0]):
            raise KiwiError("CONCEPT lacks the concept 0, which stands for none. Load the vocabulary of Athena first.")

    def _refuse_strangers(self) -> None:
        ours = sa.select(self.rows.c.note_nlp_id).where(self.rows.c.nlp_system.startswith(SYSTEM, autoescape=True)).limit(1)
        with _told("looking for other results"), self.engine.connect() as db:
            if db.execute(sa.select(self.done.c.note_id).limit(1)).first() is None and db.execute(ours).first() is not None:
                raise OutputError(
                    f"{self.rows.fullname} holds rows of kiwi_spacy, and {self.done.fullname} knows none of them. Bring that "
                    f"table back, or delete the rows whose nlp_system begins with '{SYSTEM}'."
                )

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other runs out of NOTE_NLP while the block runs; PostgreSQL frees the lock when the process ends, however it ends.

        Of SQLite, `folder` is what the caller should hold.

        RAISES (HeldError): Another run holds it.
        """
        if self.engine.dialect.name == "sqlite":
            yield
            return
        key = int.from_bytes(hashlib.sha256(self.done.fullname.encode()).digest()[:8], "big", signed=True)
        with _told("taking its lock"), self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            db.detach()  # the lock lasts as long as the connection, which a pool would keep
            db.execute(sa.text("set lock_timeout = '5s'"))  # the server takes a moment to see that a killed run is gone
            try:
                db.execute(sa.select(sa.func.pg_advisory_lock(key)))
            except exc.OperationalError as error:
                if getattr(error.orig, "sqlstate", "") != "55P03":
                    raise
                raise HeldError(f"Another run writes to {self.rows.fullname} of this database. Wait for its end.") from None
            yield

    def count(self, where: str = "") -> int:
        """Return how many notes there are.

        where (str): A condition in the database's SQL, on columns of NOTE.
        RAISES (KiwiError): The condition cannot be used.
        """
        try:
            with self.engine.connect() as db:
                return int(db.execute(sa.select(sa.func.count()).select_from(self.notes).where(*_condition(where))).scalar_one())
        except exc.SQLAlchemyError as error:
            raise KiwiError(f"--where cannot be used: {_first_line(error)}") from None

    def read_notes(self, where: str = "", *, page: int = 256) -> Iterator[list[tuple[SourceNote, NoteDone | None]]]:
        """Yield all notes by their ids, with what is known to be done of them, a page at a time.

        No transaction is open between two pages, and no more than one is in memory.
        """
        note_id, last = self.notes.c.note_id, None
        while True:
            asked = sa.select(note_id, self.notes.c.note_text, self.notes.c.note_date).where(*_condition(where))
            asked = asked.order_by(note_id).limit(page)
            with _told("reading notes"), self.engine.connect() as db:
                found = [SourceNote(*row) for row in db.execute(asked if last is None else asked.where(note_id > last))]
                done = self._done(db, [note.note_id for note in found])
            if not found:
                return
            yield [(note, done.get(note.note_id)) for note in found]
            last = found[-1].note_id

    def _done(self, db: sa.Connection, ids: Sequence[int]) -> dict[int, NoteDone]:
        at = self.done.c
        asked = sa.select(at.note_id, at.outcome, at.sha256, at.made_by)
        return {row[0]: NoteDone(row[0], row[1], row[2], row[3]) for row in _by_parts(db, asked, at.note_id, ids)}

    def count_others(self, made_by: str, where: str = "") -> int:
        """Return how many of the notes have rows of another pipeline or other settings."""
        other = (self.done.c.made_by != made_by) & (self.done.c.outcome != "failed")
        some = sa.select(self.done.c.note_id).where(other).limit(1)
        chosen = sa.select(self.notes.c.note_id).where(*_condition(where))
        every = sa.select(sa.func.count()).select_from(self.done).where(other, self.done.c.note_id.in_(chosen))
        with _told("looking for other results"), self.engine.connect() as db:
            return int(db.execute(every).scalar_one()) if db.execute(some).first() else 0

    def remove_gone(self) -> int:
        """Take away the rows of notes that NOTE no longer holds; return how many notes these are."""
        there = sa.exists().where(self.notes.c.note_id == self.done.c.note_id)
        with _told("removing rows of notes that are gone"), self.engine.begin() as db:
            gone = list(db.execute(sa.select(self.done.c.note_id).where(~there)).scalars())
            self._clear(db, gone)
            db.execute(sa.delete(self.done).where(~there))
        return len(gone)

    def write(self, results: Mapping[NoteDone, Sequence[NoteNlp]]) -> None:
        """Replace the rows of some notes, in one transaction; the ids that the rows come with are not used.

        A note keeps its block of ids; where it has none, or more rows than ids, it gets a new one behind all ids of the table.

        RAISES (RefusedError): A row breaks a rule of the database.
        RAISES (KiwiError): The database failed, or ids have run out.
        """
        with _told("writing rows"), self.engine.begin() as db:
            blocks = self._clear(db, [note.note_id for note in results])
            next_id = self._next(db)
            made: list[dict[str, Any]] = []
            kept: list[dict[str, Any]] = []
            for note, rows in results.items():
                block = blocks.get(note.note_id)
                if rows and (block is None or block.last - block.first + 1 < len(rows)):
                    block = _Block(next_id, next_id + len(rows) - 1)
                    next_id = block.last + 1
                made += [asdict(replace(row, note_nlp_id=block.first + i)) for i, row in enumerate(rows) if block]
                kept.append({**asdict(note), "first_id": block and block.first, "last_id": block and block.last})
            if next_id - 1 > self._largest:
                raise KiwiError(f"note_nlp_id has run out: it takes numbers up to {self._largest}. Make the column bigint.")
            if made:
                db.execute(sa.insert(self.rows), made)
            db.execute(
                sa.delete(self.done).where(self.done.c.note_id == sa.bindparam("id")), [{"id": note["note_id"]} for note in kept]
            )
            db.execute(sa.insert(self.done), kept)

    def _clear(self, db: sa.Connection, notes: Sequence[int]) -> dict[int, _Block]:
        """Delete our rows of some notes; return {note: its block}, without blocks in which others have put rows."""
        asked = sa.select(self.done.c.note_id, self.done.c.first_id, self.done.c.last_id)
        blocks = {
            row.note_id: _Block(row.first_id, row.last_id)
            for row in _by_parts(db, asked, self.done.c.note_id, notes) if row.first_id is not None
        }
        within = self.rows.c.note_nlp_id.between(sa.bindparam("first"), sa.bindparam("last"))
        ours = (self.rows.c.note_id == sa.bindparam("note")) & self.rows.c.nlp_system.startswith(SYSTEM, autoescape=True)
        if blocks:
            places = [{"note": note, "first": block.first, "last": block.last} for note, block in blocks.items()]
            db.execute(sa.delete(self.rows).where(within, ours), places)
        other = sa.select(self.rows.c.note_nlp_id).where(within).limit(1)
        return {
            note: block for note, block in blocks.items()
            if db.execute(other, {"first": block.first, "last": block.last}).first() is None
        }

    def _next(self, db: sa.Connection) -> int:
        """Return the first id behind those of NOTE_NLP and those that are kept for notes."""
        ends = (sa.select(sa.func.max(column)) for column in (self.rows.c.note_nlp_id, self.done.c.last_id))
        return max(0, *(db.execute(end).scalar() or 0 for end in ends)) + 1

    def section_concepts(self, codes: Iterable[str]) -> Mapping[str, int]:
        """Return {LOINC code: concept_id} of CONCEPT; what it lacks is 0."""
        new = [code for code in dict.fromkeys(codes) if code not in self._loinc]
        if new:
            self._loinc |= dict.fromkeys(new, 0)
            if self._concepts is not None:
                at = self._concepts.c
                asked = sa.select(at.concept_code, at.concept_id).where(at.vocabulary_id == "LOINC")
                with _told("looking for concepts"), self.engine.connect() as db:
                    self._loinc |= {row[0]: row[1] for row in _by_parts(db, asked, at.concept_code, new)}
        return self._loinc

    def known_concepts(self, ids: Iterable[int]) -> set[int]:
        """Return those of some concepts that NOTE_NLP may hold: all, unless a key of the database ties it to CONCEPT."""
        asked = set(ids)
        if not self._binding or self._concepts is None:
            return asked
        new = [each for each in asked if each not in self._known]
        if new:
            column = self._concepts.c.concept_id
            with _told("looking for concepts"), self.engine.connect() as db:
                found = {row[0] for row in _by_parts(db, sa.select(column), column, new)}
            self._known |= {each: each in found for each in new}
        return {each for each in asked if self._known[each]}


def _connect(url: str) -> tuple[sa.Engine, Path | None]:
    """Return an open database, and the folder of SQLite's file.

    RAISES (KiwiError): There is none, it is of another kind, or it cannot be opened.
    """
    kind, found, _ = url.partition("://")
    how = "Write postgresql://USER@HOST/NAME, or sqlite:///FILE, with four slashes for an absolute path."
    if found and kind.partition("+")[0] not in ("postgresql", "postgres", "sqlite"):
        raise KiwiError(f"A database of '{kind}' is not read. {how}")
    engine = connect(url)
    path = Path(engine.url.database or "") if engine.dialect.name == "sqlite" else None
    if path is not None:
        if not path.is_file():  # SQLite would make it
            raise KiwiError(f"No database at '{path}'. {how}")
        sa.event.listen(engine, "connect", _leave_transactions)
        # Taken at the start, the right to write cannot be lost to another writer between reading ids and using them.
        sa.event.listen(engine, "begin", lambda db: db.exec_driver_sql("begin immediate"))
    try:
        engine.connect().close()
    except exc.SQLAlchemyError as error:
        raise KiwiError(f"The database cannot be opened: {_first_line(error)}") from None
    return engine, path.absolute().parent if path else None


def _leave_transactions(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the module would begin transactions by itself, and later


def _condition(where: str) -> list[sa.TextClause]:
    return [sa.text("({})".format(where.replace(":", "\\:")))] if where else []


def _by_parts(
    db: sa.Connection, asked: "sa.Select[Any]", column: "sa.ColumnElement[Any]", values: Sequence[Any]
) -> Iterator[Any]:
    """Yield the rows of a query whose column has one of many values."""
    for i in range(0, len(values), _PARTS):
        yield from db.execute(asked.where(column.in_(values[i : i + _PARTS])))


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """Turn the database's errors into ours, without their messages: those tell of the row that failed."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None)
        said = (
            getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None),
            getattr(getattr(cause, "diag", None), "constraint_name", None),
        )
        kind = " ".join([type(error).__name__, *(str(word) for word in said if word)])
        if isinstance(error, exc.IntegrityError | exc.DataError):
            raise RefusedError(f"the database refuses its rows: {kind}") from None
        why = f"The database failed while {doing}: {kind}. Its message is left out, as it may hold note text."
        raise KiwiError(why) from None


def _first_line(error: exc.SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().split("\n")[0]
