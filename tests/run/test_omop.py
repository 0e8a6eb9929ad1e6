"""NOTE_NLP holds what the pipeline finds in NOTE: each row once, ids that stay, others' rows untouched, killed or not."""

import itertools
import os
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from spacy.language import Language
from spacy.tokens import Doc
from typer.testing import CliRunner

from kiwi_spacy.cli import app
from kiwi_spacy.components.codes.build import build_vocabulary
from kiwi_spacy.components.codes.sources.term import Term
from kiwi_spacy.contract import Failure, set_failures
from kiwi_spacy.errors import HeldError, KiwiError, OutputError
from kiwi_spacy.formats.omop_database import NoteStore
from kiwi_spacy.run.extract import Summary
from kiwi_spacy.run.lock import hold
from kiwi_spacy.run.manifest import pipeline_identity
from kiwi_spacy.run.omop import fill_note_nlp, name_system

from .cdm import DAY, MEMORY, Cdm, copied, postgresql

NUMBERS = itertools.count()  # of the databases of the server
NOTES = {1: "denies fever, mild cough", 2: "nothing here", 5: "aspirin 5 mg daily"}


SEEN: list[date | None] = []  # dates of the notes that went through the component below


@Language.component("kiwi_test_sees_date")
def kiwi_test_sees_date(doc: Doc) -> Doc:
    SEEN.append(doc._.note_date)
    return doc


@Language.component("kiwi_test_no_answer")
def kiwi_test_no_answer(doc: Doc) -> Doc:
    end = {"fever cough": 5, "cough": 5}.get(doc.text, 0)
    set_failures(doc, [Failure(0, end, "out of memory")] if end else [])
    return doc


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where databases of SQLite are."""
    with tempfile.TemporaryDirectory(prefix="kiwi-cdm-", dir=MEMORY) as path:
        yield Path(path)


@pytest.fixture(params=["sqlite", "postgresql"])
def cdm(request: pytest.FixtureRequest, folder: Path) -> Iterator[Cdm]:
    """A CDM without notes."""
    if request.param == "postgresql":
        with copied(request.getfixturevalue("server"), f"cdm{next(NUMBERS)}") as made:
            yield made
        return
    made = Cdm(f"sqlite:///{folder / 'cdm.db'}")
    made.create()
    yield made


def places(cdm: Cdm) -> list[tuple]:
    return cdm.rows("note_nlp_id", "note_id", "offset", "lexical_variant")


def test_fill_note_nlp_writes_a_row_a_fact(nlp: Language, cdm: Cdm) -> None:
    cdm.put(NOTES)
    assert fill_note_nlp(cdm.url, nlp) == Summary(done=3)
    system = name_system(pipeline_identity(nlp))
    assert system.startswith("kiwi_spacy 0.")
    assert cdm.rows() == [
        (1, 1, 0, NOTES[1], "7", "fever", 0, 0, system, "N", "present", "certainty=absent,negation=denies"),
        (2, 1, 0, NOTES[1], "19", "cough", 0, 0, system, "Y", "present", "severity=mild"),
        (3, 5, 0, NOTES[5], "0", "aspirin", 0, 0, system, "Y", "present", "use=taking,strength=mg,frequency=daily"),
    ]
    assert {day == moment.date() for day, moment in cdm.rows("nlp_date", "nlp_datetime")} == {True}


def test_fill_note_nlp_run_again_keeps_all_rows(nlp: Language, cdm: Cdm) -> None:
    cdm.put(NOTES)
    fill_note_nlp(cdm.url, nlp)
    before = cdm.rows(), cdm.rows("nlp_datetime")
    assert fill_note_nlp(cdm.url, nlp) == Summary(kept=3)
    assert (cdm.rows(), cdm.rows("nlp_datetime")) == before
    assert fill_note_nlp(cdm.url, nlp, redo="all") == Summary(done=3)
    assert places(cdm) == [(1, 1, "7", "fever"), (2, 1, "19", "cough"), (3, 5, "0", "aspirin")]


def test_fill_note_nlp_replaces_the_rows_of_a_changed_note_alone(nlp: Language, cdm: Cdm) -> None:
    cdm.put(NOTES)
    fill_note_nlp(cdm.url, nlp)
    others = [row for row in cdm.rows() if row[1] != 1]
    cdm.put({1: "cough"})
    assert fill_note_nlp(cdm.url, nlp) == Summary(done=1, kept=2)
    assert [row for row in cdm.rows() if row[1] != 1] == others
    assert places(cdm) == [(1, 1, "0", "cough"), (3, 5, "0", "aspirin")]


def test_a_note_keeps_its_ids_until_it_has_more_rows_than_ids(nlp: Language, cdm: Cdm) -> None:
    ids = []
    for text in ("fever, cough", "cough", "cough, fever", "cough, fever, CT", "nothing", "fever"):
        cdm.put({1: text, 2: "aspirin"})
        fill_note_nlp(cdm.url, nlp)
        ids.append([number for number, note in cdm.rows("note_nlp_id", "note_id") if note == 1])
    assert ids == [[1, 2], [1], [1, 2], [4, 5, 6], [], [4]]
    assert cdm.rows("note_nlp_id", "lexical_variant") == [(3, "aspirin"), (4, "fever")]


def test_a_changed_date_of_a_note_is_a_change(nlp: Language, cdm: Cdm) -> None:
    cdm.put(NOTES)
    fill_note_nlp(cdm.url, nlp)
    cdm.put({1: NOTES[1]}, day=date(2026, 3, 3))
    assert fill_note_nlp(cdm.url, nlp) == Summary(done=1, kept=2)


def test_the_date_of_the_note_is_known_to_the_pipeline(nlp: Language, cdm: Cdm) -> None:
    SEEN.clear()
    nlp.add_pipe("kiwi_test_sees_date", first=True)
    cdm.put({1: "fever"})
    fill_note_nlp(cdm.url, nlp)
    assert SEEN == [DAY]


def test_rows_of_other_systems_stay_as_they_are(nlp: Language, cdm: Cdm) -> None:
    cdm.put(NOTES)
    cdm.put_foreign(7, 1)
    cdm.put_foreign(8, 5, None)
    fill_note_nlp(cdm.url, nlp)
    assert [row[0] for row in places(cdm)] == [7, 8, 9, 10, 11]
    cdm.put({1: "cough"})
    fill_note_nlp(cdm.url, nlp)
    cdm.put_foreign(10, 1)  # an id that is kept for note 1, and free
    cdm.put({1: "cough, fever"})
    fill_note_nlp(cdm.url, nlp)
    found = cdm.rows("note_nlp_id", "note_id", "lexical_variant")
    assert found == [(7, 1, "x"), (8, 5, "x"), (10, 1, "x"), (11, 5, "aspirin"), (12, 1, "cough"), (13, 1, "fever")]


def test_a_note_that_fails_is_named_without_its_text_has_no_rows_and_is_tried_again(nlp: Language, cdm: Cdm) -> None:
    cdm.put(NOTES)
    fill_note_nlp(cdm.url, nlp)
    cdm.put({1: "EXPLODE secret"})
    for _ in range(2):
        summary = fill_note_nlp(cdm.url, nlp)
        ((name, why),) = summary.failed
        assert (name, why.startswith("the pipeline raised RuntimeError"), "secret" in why) == ("1", True, False)
        assert (summary.done, summary.kept, places(cdm)) == (0, 2, [(3, 5, "0", "aspirin")])
    cdm.put({1: "cough"})
    assert fill_note_nlp(cdm.url, nlp) == Summary(done=1, kept=2)
    assert places(cdm)[0] == (1, 1, "0", "cough")


def test_a_note_without_some_answers_is_written_named_and_done_again(nlp: Language, cdm: Cdm) -> None:
    nlp.add_pipe("kiwi_test_no_answer")
    cdm.put({1: "fever cough", 2: "cough"})
    for _ in range(2):
        summary = fill_note_nlp(cdm.url, nlp)
        assert summary.incomplete == [("1", "no answer for 0-5 out of memory")]
        assert summary.failed == [("2", "no answer for 0-5 out of memory")]
        assert {note for _, note, _, _ in places(cdm)} == {1}


def test_rows_of_another_pipeline_are_replaced_on_demand(nlp: Language, cdm: Cdm) -> None:
    cdm.put(NOTES)
    fill_note_nlp(cdm.url, nlp)
    before = cdm.rows()
    nlp.meta["version"] = "9.9"
    with pytest.raises(OutputError, match=r"^3 notes have rows of another pipeline or other settings"):
        fill_note_nlp(cdm.url, nlp)
    assert cdm.rows() == before
    cdm.put({6: "fever"})
    assert fill_note_nlp(cdm.url, nlp, where="note_id = 6") == Summary(done=1)
    assert fill_note_nlp(cdm.url, nlp, redo="changed") == Summary(done=3, kept=1)
    assert {"9.9" in system for (system,) in cdm.rows("nlp_system")} == {True}
    assert [row[0] for row in places(cdm)] == [1, 2, 3, 4]


def test_rows_of_notes_that_are_gone_go_on_demand(nlp: Language, cdm: Cdm) -> None:
    cdm.put(NOTES)
    fill_note_nlp(cdm.url, nlp)
    if not cdm.is_sqlite:
        cdm.run("alter table note_nlp drop constraint fk_note_nlp_note_id_note")
    cdm.run("delete from note where note_id = 1")
    assert fill_note_nlp(cdm.url, nlp) == Summary(kept=2)
    assert fill_note_nlp(cdm.url, nlp, redo="changed") == Summary(kept=2, removed=1)
    assert places(cdm) == [(3, 5, "0", "aspirin")]


@pytest.mark.parametrize("where", ["note_id > 1 and note_date > '2026-01-01'", "cast(note_date as varchar(10)) like '2026%'"])
def test_a_condition_chooses_notes(nlp: Language, cdm: Cdm, where: str) -> None:
    cdm.put(NOTES)
    cdm.put({1: NOTES[1]}, day=date(2020, 1, 1))
    fill_note_nlp(cdm.url, nlp, where=where)
    assert {note for _, note, _, _ in places(cdm)} == {5}


def test_a_condition_that_cannot_be_used_is_refused(nlp: Language, cdm: Cdm) -> None:
    with pytest.raises(KiwiError, match=r"--where cannot be used: .*nothing"):
        fill_note_nlp(cdm.url, nlp, where="nothing = 1")


def _die_at(step: int, cdm: Cdm, nlp: Language) -> bool:
    """Run in a process that is killed before the step of this number in the database; whether it came so far."""
    child = os.fork()
    if child == 0:
        steps = iter(range(1, step + 1))

        def strike(*args: object) -> None:
            if next(steps, step) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        for event in ("before_cursor_execute", "commit"):
            sa.event.listen(sa.Engine, event, strike)
        fill_note_nlp(cdm.url, nlp, batch_size=2)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_run_that_is_killed_ends_as_one_that_was_not(nlp: Language, cdm: Cdm) -> None:
    """Before every fifth step in the database, of 30 or more; each of them took minutes, and passed."""

    def begin() -> None:
        cdm.run("delete from note_nlp")
        cdm.run("drop table if exists kiwi_note_done")
        cdm.put({**NOTES, 6: "cough, fever"})
        cdm.put_foreign(4, 2)
        fill_note_nlp(cdm.url, nlp, where="note_id < 6")
        cdm.put({1: "cough, fever, CT", 5: "nothing"})

    begin()
    fill_note_nlp(cdm.url, nlp, batch_size=2)
    whole, step = cdm.rows(), 1
    while True:
        begin()
        if not _die_at(step, cdm, nlp):
            break
        assert len({row[0] for row in cdm.rows()}) == len(cdm.rows())
        fill_note_nlp(cdm.url, nlp, batch_size=2)
        assert cdm.rows() == whole, step
        step += 5
    assert (step > 30, cdm.rows()) == (True, whole)


def test_a_second_run_at_once_is_kept_out(nlp: Language, cdm: Cdm, folder: Path) -> None:
    cdm.put(NOTES)
    store = NoteStore(cdm.url)
    with hold(folder) if store.folder else store.hold(), pytest.raises(HeldError, match="Another run writes to"):
        fill_note_nlp(cdm.url, nlp)
    store.close()
    assert fill_note_nlp(cdm.url, nlp).done == 3


def test_notes_are_read_in_pages_by_their_ids(cdm: Cdm) -> None:
    cdm.put({number: "fever" for number in (9, 2, 5, 7, 1)})
    store = NoteStore(cdm.url)
    pages = [[note.note_id for note, _ in page] for page in store.read_notes(page=2)]
    store.close()
    assert pages == [[1, 2], [5, 7], [9]]


@pytest.fixture
def athena(tmp_path: Path) -> Path:
    """Fever and cough, with their numbers in OMOP."""
    concepts = {"fever": 437663, "cough": 254761}
    terms = [Term(f"C{omop}", word, 0, ("problem",), "urn:test", omop=omop) for word, omop in concepts.items()]
    build_vocabulary(iter(terms), tmp_path / "athena.sqlite")
    return tmp_path / "athena.sqlite"


def test_concepts_come_from_the_vocabulary_and_must_be_in_concept_where_a_key_asks_it(
    nlp: Language, cdm: Cdm, athena: Path
) -> None:
    cdm.put({1: "fever, cough, CT"})
    cdm.put_concept(437663, "386661006")
    summary = fill_note_nlp(cdm.url, nlp, vocabularies=[athena])
    assert (summary.done, "kiwi_codes_of_omop" in nlp.pipe_names) == (1, False)
    lacking = summary.problems.get("concept that CONCEPT lacks", 0)
    known = [("fever", 437663), ("cough", 254761 if cdm.is_sqlite else 0), ("CT", 0)]
    assert (cdm.rows("lexical_variant", "note_nlp_concept_id"), lacking) == (known, 0 if cdm.is_sqlite else 1)
    with pytest.raises(OutputError, match="1 notes have rows"):
        fill_note_nlp(cdm.url, nlp)


def test_sections_have_the_concepts_of_their_loinc_codes(nlp: Language, cdm: Cdm) -> None:
    cdm.put({1: "PLAN: fever\n\nALLERGIES: cough"})
    cdm.put_concept(3030023, "18776-5", "LOINC")
    fill_note_nlp(cdm.url, nlp)
    assert cdm.rows("lexical_variant", "section_concept_id") == [("fever", 3030023), ("cough", 0)]


def test_a_row_that_the_database_refuses_costs_its_note_alone(nlp: Language, cdm: Cdm) -> None:
    if cdm.is_sqlite:
        cdm.run(
            "create trigger no_cough before insert on note_nlp when new.lexical_variant = 'cough' "
            "begin select raise(abort, 'no cough'); end"
        )
    else:
        cdm.run("alter table note_nlp add constraint no_cough check (lexical_variant <> 'cough')")
    cdm.put({1: "fever", 2: "fever, cough", 3: "CT"})
    summary = fill_note_nlp(cdm.url, nlp)
    ((name, why),) = summary.failed
    kind = why.removesuffix(" SQLITE_CONSTRAINT_TRIGGER")  # Python 3.10 does not tell SQLite's codes
    said = f"the database refuses its rows: IntegrityError{'' if cdm.is_sqlite else ' 23514 no_cough'}"
    assert (summary.done, name, kind) == (2, "2", said)
    assert places(cdm) == [(1, 1, "0", "fever"), (2, 3, "0", "CT")]


def test_a_table_of_ours_that_is_lost_stops_the_run(nlp: Language, cdm: Cdm) -> None:
    cdm.put(NOTES)
    fill_note_nlp(cdm.url, nlp)
    cdm.run("drop table kiwi_note_done")
    with pytest.raises(OutputError, match="note_nlp holds rows of kiwi_spacy, and kiwi_note_done knows none"):
        fill_note_nlp(cdm.url, nlp)
    assert len(places(cdm)) == 3


def test_ids_that_run_out_stop_the_run_and_write_nothing(nlp: Language, server: str) -> None:
    with copied(server, "out_of_ids") as cdm:
        cdm.put({1: "fever", 2: "cough"})
        cdm.put_foreign(2**31 - 2, 1)
        with pytest.raises(KiwiError, match="note_nlp_id has run out: it takes numbers up to 2147483647"):
            fill_note_nlp(cdm.url, nlp)
        assert len(places(cdm)) == 1


def test_a_schema_of_its_own_is_named(nlp: Language, server: str) -> None:
    with copied(server, "with_schema") as other:
        cdm = Cdm(other.url, schema="cdm54")
        cdm.create()
        cdm.put(NOTES)
        assert fill_note_nlp(cdm.url, nlp, schema="cdm54").done == 3
        assert (len(places(cdm)), places(other)) == (3, [])
        with pytest.raises(KiwiError, match=r"no table nowhere\.note\. Name the CDM's schema: --schema NAME"):
            fill_note_nlp(cdm.url, nlp, schema="nowhere")


def test_a_database_without_the_concept_for_none_is_refused(nlp: Language, server: str) -> None:
    with copied(server, "no_concepts") as cdm:
        cdm.run("set session_replication_role = replica; delete from concept")
        with pytest.raises(KiwiError, match="CONCEPT lacks the concept 0"):
            fill_note_nlp(cdm.url, nlp)


@pytest.fixture
def loose(folder: Path) -> sqlite3.Connection:
    """A database of SQLite with columns of no type, which hold anything."""
    db = sqlite3.connect(folder / "loose.db", isolation_level=None)
    db.execute("create table note (note_id integer primary key, note_date, note_text)")
    names = "note_nlp_id primary key, note_id, section_concept_id, snippet, 'offset', lexical_variant, note_nlp_concept_id, "
    db.execute(
        f"create table note_nlp ({names} note_nlp_source_concept_id, nlp_system, nlp_date, nlp_datetime, term_exists, "
        "term_temporal, term_modifiers)"
    )
    return db


def test_notes_that_are_no_text_fail_and_odd_ones_are_counted(nlp: Language, loose: sqlite3.Connection, folder: Path) -> None:
    texts = [(1, "2026-03-02", "fever"), (2, "soon", "cough"), (3, None, None), (4, None, b"\xff"), (5, None, 7)]
    loose.executemany("insert into note values (?, ?, ?)", texts)
    loose.execute("insert into note values (6, '2026-03-02 10:00:00', cast(x'63e96c' as text))")  # Latin-1
    summary = fill_note_nlp(f"sqlite:///{folder / 'loose.db'}", nlp)
    assert (summary.done, summary.problems) == (3, {"note without text": 1, "date of the note that cannot be read": 1})
    assert summary.failed == [(name, "its text is not UTF-8") for name in "456"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "The URL of the database cannot be read"), ("mysql://me:secret@host/x", "A database of 'mysql' is not read"),
        ("sqlite:///missing.db", "No database at 'missing.db'"), ("sqlite://", "No database at"),
        ("postgresql://me:secret@/x?host=/nowhere", "The database cannot be opened: "),
    ],
    ids=["no URL", "another kind", "no file", "in memory", "no server"],
)
def test_a_database_that_cannot_be_opened_is_refused_without_its_password(nlp: Language, url: str, said: str) -> None:
    with pytest.raises(KiwiError, match=said) as caught:
        fill_note_nlp(url, nlp)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("drop table note", "no table note"), ("alter table note_nlp drop column term_modifiers", "lacks term_modifiers"),
        ("alter table note rename note_text to text", "note lacks note_text"),
    ],
)
def test_a_database_of_another_model_is_refused(
    nlp: Language, loose: sqlite3.Connection, folder: Path, change: str, said: str
) -> None:
    loose.execute(change)
    with pytest.raises(KiwiError, match=said):
        fill_note_nlp(f"sqlite:///{folder / 'loose.db'}", nlp)


def test_a_database_that_fails_stops_the_run_and_shows_no_text(
    nlp: Language, loose: sqlite3.Connection, folder: Path
) -> None:
    loose.execute("insert into note values (1, '2026-03-02', 'SECRET fever')")
    loose.execute("create trigger fails before insert on note_nlp begin select unknown(new.snippet); end")
    with pytest.raises(KiwiError, match="The database failed while writing rows: OperationalError") as caught:
        fill_note_nlp(f"sqlite:///{folder / 'loose.db'}", nlp)
    assert "SECRET" not in str(caught.value)


def test_the_command_says_what_it_did_by_its_exit_code(cdm: Cdm, pipeline_path: Path) -> None:
    def kiwi(*args: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["omop", "--database", cdm.url, "--pipeline", str(pipeline_path), *args])
        return done.exit_code, done.stderr.replace("\r", "\n").strip().splitlines()[-1]

    cdm.put(NOTES)
    assert kiwi() == (0, "3 done, 0 kept, 0 incomplete, 0 failed")
    cdm.put({2: "EXPLODE"})
    assert kiwi("--batch-size", "1") == (1, "0 done, 2 kept, 0 incomplete, 1 failed")
    assert kiwi("--where", "nothing = 1")[0] == 2
    cdm.put({2: "CT"})
    cdm.run("update kiwi_note_done set made_by = 'others'")
    assert kiwi()[0] == 3
    assert kiwi("--redo", "changed") == (0, "3 done, 0 kept, 0 incomplete, 0 failed")
