"""The commands parse, call, and turn the user's mistakes into one line and exit code 2."""

import json
import sqlite3
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet
import pytest
from spacy.language import Language
from typer.testing import CliRunner, Result

from kiwi_spacy.cli import app
from kiwi_spacy.cli.train import _overrides
from kiwi_spacy.errors import KiwiError
from kiwi_spacy.schema import schema_from_dict
from kiwi_spacy.study.evaluate import evaluate


def _run(*args: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    """Two notes: one as the rules of conftest find it, one with an entity that they miss."""
    folder = tmp_path / "gold"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"denies fever")
    (folder / "a.ann").write_bytes(
        b"T1\tnegation 0 6\tdenies\nT2\tproblem 7 12\tfever\nR1\tnegation Arg1:T2 Arg2:T1\t\n"
    )
    (folder / "b.txt").write_bytes(b"mild ache")
    (folder / "b.ann").write_bytes(
        b"T1\tseverity 0 4\tmild\nT2\tproblem 5 9\tache\nR1\tseverity Arg1:T2 Arg2:T1\t\n"
    )
    return folder


@pytest.mark.parametrize("command", [[], ["extract"], ["evaluate"], ["convert"], ["show"], ["train"]], ids=str)
def test_help_of_each_command(command: list[str]) -> None:
    result = _run(*command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_extract_writes_brat_and_says_what_it_did(pipeline_path: Path, gold: Path, tmp_path: Path) -> None:
    result = _run("extract", gold, "--pipeline", pipeline_path, "--output", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "2 done, 0 kept, 0 incomplete, 0 failed, 2 left out" in result.stderr
    assert sorted(p.name for p in (tmp_path / "out").glob("*.ann")) == ["a.ann", "b.ann"]


def test_extract_ends_with_1_and_names_the_notes_that_failed(pipeline_path: Path, tmp_path: Path) -> None:
    lines = '{"id": "good", "text": "fever"}\n{"id": "bad", "text": "EXPLODE secret"}\n'
    result = _run("extract", "-", "-p", pipeline_path, "-o", tmp_path / "out", "-f", "jsonl", stdin=lines)
    assert result.exit_code == 1
    assert "bad: the pipeline raised RuntimeError" in result.stderr
    assert "secret" not in result.output


@pytest.mark.parametrize(
    "args, said",
    [
        (["extract", "missing.txt", "-p", "PIPELINE", "-o", "out"], "'missing.txt' does not exist"),
        (["extract", "gold", "-p", "en_nowhere", "-o", "out"], "[E050]"),
        (["evaluate", "-p", "PIPELINE", "-g", "missing"], "missing"),
        (["convert", "missing", "out", "--from", "brat", "--to", "jsonl"], "missing"),
        (["show", "missing.txt", "-p", "PIPELINE"], "missing.txt"),
        (["train", "missing.cfg", "-o", "out", "--steps", "5"], "'--steps' is no setting"),
    ],
    ids=["extract-input", "extract-pipeline", "evaluate", "convert", "show", "train"],
)
def test_a_mistake_gives_one_line_and_exit_code_2(
    pipeline_path: Path, gold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run(*(str(pipeline_path) if arg == "PIPELINE" else arg for arg in args))
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("kiwi: ")]
    assert said in line
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["show", "evaluate"])
def test_what_a_pipeline_raises_or_warns_shows_no_text(
    pipeline_path: Path, gold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (gold / "a.txt").write_bytes(b"SECRET EXPLODE")
    where = ["show", gold / "a.txt"] if command == "show" else ["evaluate", "-g", gold]
    result = _run(*where, "-p", pipeline_path)
    assert (result.exit_code, "RuntimeError" in result.stderr) == (2, True)
    assert "SECRET" not in result.output
    monkeypatch.setattr("tests.conftest.count_problem", lambda doc, kind: warnings.warn(f"[W030] {doc.text}", stacklevel=1))
    (gold / "a.txt").write_bytes(b"SECRET PROBLEM")
    result = _run(*where, "-p", pipeline_path)
    assert (result.exit_code, "UserWarning [W030]" in result.stderr) == (0, True)
    assert "SECRET" not in result.output


def test_evaluate_says_what_the_gold_lost_and_takes_the_pipelines_schema(
    nlp: Language, gold: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gold / "b.ann").write_bytes(b"T1\tproblem 5 8\tach\n")
    scores = evaluate(nlp, gold)
    assert scores["problems"] == {"gold: span snapped to tokens": 1}
    other = schema_from_dict({"entities": {"ache": {}}, "modifiers": {}})
    monkeypatch.setattr(nlp.get_pipe("kiwi_test_rules"), "schema", other, raising=False)  # a function, which all tests share
    assert evaluate(nlp, gold)["entities"]["all"]["gold"] == 0


def test_evaluate_prints_a_table_and_writes_the_scores(pipeline_path: Path, gold: Path, tmp_path: Path) -> None:
    result = _run("evaluate", "-p", pipeline_path, "-g", gold, "-o", tmp_path / "scores.json")
    assert result.exit_code == 0, result.output
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["notes"] == 2
    assert "entities" in result.stdout


def test_evaluate_of_named_notes_only(pipeline_path: Path, gold: Path, tmp_path: Path) -> None:
    (tmp_path / "names").write_text("a\n")
    result = _run(
        "evaluate", "-p", pipeline_path, "-g", gold, "--notes", tmp_path / "names", "-o", tmp_path / "scores.json"
    )
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "scores.json").read_text())["notes"] == 1


def test_show_prints_a_table_or_writes_a_page(pipeline_path: Path, gold: Path, tmp_path: Path) -> None:
    result = _run("show", gold / "a.txt", "-p", pipeline_path)
    assert result.stdout.splitlines()[1].split() == ["fever", "problem", "absent", "negation:", "denies"]
    assert _run("show", gold / "a.txt", "-p", pipeline_path, "--html", tmp_path / "a.html").exit_code == 0
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_train_passes_settings_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []
    fake = ModuleType("kiwi_spacy.train.loop")
    fake.train = lambda *args, **named: calls.append((*args, named))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kiwi_spacy.train.loop", fake)
    result = _run("train", "c.cfg", "-o", tmp_path, "--training.max_steps", "5", "--paths.train=corpus/train")
    assert result.exit_code == 0, result.output
    overrides = {"training.max_steps": 5, "paths.train": "corpus/train"}
    assert calls == [(Path("c.cfg"), tmp_path, overrides, {"base": None, "device": "cpu"})]


@pytest.mark.parametrize("args", [["--steps", "5"], ["--a.b"], ["word"]], ids=str)
def test_overrides_refuses_what_is_no_setting(args: list[str]) -> None:
    with pytest.raises(KiwiError):
        _overrides(args)


def test_convert_there_and_back_keeps_annotations(gold: Path, tmp_path: Path) -> None:
    for source, target, from_, to in [
        (gold, "a.jsonl", "brat", "jsonl"), ("a.jsonl", "b.spacy", "jsonl", "docbin"),
        ("b.spacy", "back", "docbin", "brat"),
    ]:
        result = _run("convert", tmp_path / source, tmp_path / target, "--from", from_, "--to", to)
        assert (result.exit_code, result.stderr) == (0, "2 done, 0 failed, 0 problems\n")
    (tmp_path / "back" / "a.txt").unlink()
    result = _run("convert", tmp_path / "back", tmp_path / "c.jsonl", "--from", "brat", "--to", "jsonl",
                  "--text-dir", gold)
    assert result.exit_code == 0
    assert (tmp_path / "c.jsonl").read_text() == (tmp_path / "a.jsonl").read_text()


def test_convert_to_bio_says_what_it_loses(gold: Path, tmp_path: Path) -> None:
    result = _run("convert", gold, tmp_path / "n.bio", "--from", "brat", "--to", "bio")
    assert result.exit_code == 0
    assert "a: 1 x relations that bio cannot hold" in result.stderr
    assert (tmp_path / "n.bio").read_text().splitlines()[:2] == ["denies\tB-negation", "fever\tB-problem"]


def test_convert_ends_with_1_where_a_note_cannot_be_read(gold: Path, tmp_path: Path) -> None:
    (gold / "b.txt").unlink()
    result = _run("convert", gold, tmp_path / "n.jsonl", "--from", "brat", "--to", "jsonl")
    assert result.exit_code == 1
    assert "1 done, 1 failed" in result.stderr


def test_convert_to_brat_reports_ids_that_are_no_file_and_ids_that_stand_twice(tmp_path: Path) -> None:
    lines = [{"id": id_, "text": "fever"} for id_ in ("../up", "a", "a", "n" * 300, "b")]
    (tmp_path / "n.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = _run("convert", tmp_path / "n.jsonl", tmp_path / "out", "--from", "jsonl", "--to", "brat")
    assert result.exit_code == 1
    assert "2 done, 3 failed, 0 problems" in result.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.ann", "a.txt", "b.ann", "b.txt"]


def test_extract_has_a_code_for_a_pipeline_that_lacks_a_file(pipeline_path: Path, gold: Path, tmp_path: Path) -> None:
    (pipeline_path / "tokenizer").unlink()
    result = _run("extract", gold, "--pipeline", pipeline_path, "--output", tmp_path / "out")
    assert result.exit_code == 5
    assert result.stderr.startswith(f"kiwi: The pipeline '{pipeline_path}' lacks its file ") and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_extract_writes_parquet_by_the_output_and_rows_into_a_database(pipeline_path: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.csv"
    notes.write_text("note_id,body,seen,ward\n7,denies fever,2024-03-15,b\n")
    options = ["--text", "body", "--id", "note_id", "--date", "seen", "-p", pipeline_path]
    for output in (tmp_path / "out.parquet", f"sqlite:///{tmp_path}/out.db"):
        result = _run("extract", notes, *options, "--output", output, "--table", "problems")
        assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    (row,) = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert (row["note"], row["text"], row["status"], row["ward"]) == ("7", "fever", "absent", "b")
    with sqlite3.connect(tmp_path / "out.db") as db:
        assert db.execute("select note, text, status, ward from kiwi_problems").fetchall() == [("7", "fever", "absent", "b")]
    result = _run("extract", f"sqlite:///{tmp_path}/out.db", "--query", "kiwi_problems", "--id", "note", "-p", pipeline_path,
                  "-o", tmp_path / "again", "-f", "jsonl")
    assert result.exit_code == 0 and json.loads((tmp_path / "again" / "extracted.jsonl").read_text())["text"] == "fever"
