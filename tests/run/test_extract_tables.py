"""Runs over tables: dates and other columns reach the Docs and the output, and a change of them is a change of the note."""

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy.errors import KiwiError, OutputError
from kiwi_spacy.formats import arrow
from kiwi_spacy.formats.arrow import schema_of
from kiwi_spacy.formats.records import Columns
from kiwi_spacy.run.extract import Summary, extract
from kiwi_spacy.run.manifest import MANIFEST

COLUMNS = Columns("note", "note_id", "day")


def _table(path: Path, rows: list[tuple[str, str, str, str]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("note_id", "day", "note", "text"), *rows])
    return str(path)


@pytest.fixture
def table(tmp_path: Path) -> str:
    return _table(tmp_path / "n.csv", [
        ("1", "2024-03-15", "denies fever", "ward b"), ("2", "", "mild cough", "ward c"), ("3", "someday", "CT", ""),
    ])


def test_the_date_reaches_the_pipeline_and_one_that_cannot_be_read_is_counted(
    nlp: Language, table: str, tmp_path: Path
) -> None:
    seen: list[str] = []

    @Language.component("kiwi_test_sees_dates")
    def sees(doc: Doc) -> Doc:
        seen.append(f"{doc._.note_date} {doc._.columns['text']}".strip())
        return doc

    nlp.add_pipe("kiwi_test_sees_dates")
    summary = extract([table], nlp, tmp_path / "out", "jsonl", columns=COLUMNS)
    assert seen == ["2024-03-15 ward b", "None ward c", "None"]
    assert (summary.done, summary.problems) == (3, {"date of the note that cannot be read": 1})
    first = json.loads((tmp_path / "out" / "extracted.jsonl").read_text().splitlines()[0])
    assert (first["id"], first["note_date"], first["columns"]) == ("1", "2024-03-15", {"text": "ward b"})


@pytest.mark.parametrize("facts", [False, True])
def test_csv_has_the_other_columns_of_the_input_at_its_end(nlp: Language, table: str, tmp_path: Path, facts: bool) -> None:
    assert extract([table], nlp, tmp_path / "out", "csv", columns=COLUMNS, facts=facts).done == 3
    with (tmp_path / "out" / "extracted.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["note"], row["text"], row["input_text"]) for row in rows] == [
        ("1", "fever", "ward b"), ("2", "cough", "ward c"), ("3", "CT", ""),
    ]
    assert list(rows[0])[-1] == "input_text"


@pytest.mark.parametrize("place", [1, 3], ids=["date", "column"])
def test_a_changed_date_or_column_is_a_changed_note(nlp: Language, table: str, tmp_path: Path, place: int) -> None:
    extract([table], nlp, tmp_path / "out", "jsonl", columns=COLUMNS)
    assert extract([table], nlp, tmp_path / "out", "jsonl", columns=COLUMNS) == Summary(kept=3)
    rows = [["1", "2024-03-15", "denies fever", "ward b"], ["2", "", "mild cough", "ward c"], ["3", "someday", "CT", ""]]
    rows[0][place] = "2024-03-16"
    _table(Path(table), [tuple(row) for row in rows])  # type: ignore[misc]
    with pytest.raises(OutputError, match="1 notes have another text: 1"):
        extract([table], nlp, tmp_path / "out", "jsonl", columns=COLUMNS)
    assert extract([table], nlp, tmp_path / "out", "jsonl", columns=COLUMNS, redo="changed").kept == 2


def test_other_columns_than_before_are_another_run(nlp: Language, table: str, tmp_path: Path) -> None:
    extract([table], nlp, tmp_path / "out", "csv", columns=COLUMNS)
    fewer = Columns("note", "note_id", "day", carry=())
    with pytest.raises(OutputError, match=r"columns: \{'text': 'string'\} > \{\}"):
        extract([table], nlp, tmp_path / "out", "csv", columns=fewer)
    extract([table], nlp, tmp_path / "out", "csv", columns=fewer, redo="changed")
    extract([table], nlp, tmp_path / "fresh", "csv", columns=fewer)
    for name in ("extracted.csv", MANIFEST):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()


def _parquet(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


@pytest.mark.parametrize("table_name, texts", [("facts", ["fever", "cough", "CT"]), ("problems", ["fever", "cough"])])
def test_parquet_has_the_rows_of_a_table_with_the_columns_of_the_input(
    nlp: Language, table: str, tmp_path: Path, table_name: str, texts: list[str]
) -> None:
    extract([table], nlp, tmp_path / "out", "parquet", table=table_name, columns=COLUMNS)
    rows = _parquet(tmp_path / "out" / "extracted-00001.parquet")
    assert [row["text"] for row in rows] == texts
    first = rows[0]
    assert (first["note"], first["note_date"], first["input_text"]) == ("1", date(2024, 3, 15), "ward b")
    assert first["status"] == "absent"


def test_parquet_has_parts_and_row_groups_that_end_with_a_note(
    nlp: Language, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow, "_GROUP", 3)
    monkeypatch.setattr(arrow, "_PART", 3)
    table = _table(tmp_path / "n.csv", [(str(i), "", "fever cough" if i != 1 else "none", "") for i in range(5)])
    extract([table], nlp, tmp_path / "out", "parquet", columns=COLUMNS, table="entities")
    files = [pq.ParquetFile(path) for path in sorted((tmp_path / "out").glob("*.parquet"))]
    assert [[file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] for file in files] == [[4], [4]]
    entries = [json.loads(line) for line in (tmp_path / "out" / MANIFEST).read_text().splitlines()[1:]]
    assert [(entry["start"], entry["end"]) for entry in entries] == [(0, 2), (2, 2), (2, 4), (0, 2), (2, 4)]


def test_one_parquet_file_is_made_of_the_parts_and_made_again_when_they_change(
    nlp: Language, table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow, "_PART", 1)
    out = tmp_path / "out.parquet"
    assert extract([table], nlp, out, "parquet", columns=COLUMNS).done == 3
    assert [row["note"] for row in _parquet(out)] == ["1", "2", "3"]
    before = out.stat().st_mtime_ns
    assert extract([table], nlp, out, "parquet", columns=COLUMNS).kept == 3
    assert out.stat().st_mtime_ns == before
    _table(Path(table), [("1", "2024-03-15", "fever", "ward b"), ("4", "", "cough", "")])
    assert extract([table], nlp, out, "parquet", columns=COLUMNS, redo="changed").done == 2
    assert [(row["note"], row["status"]) for row in _parquet(out)] == [("1", "present"), ("4", "present")]


def test_a_parquet_file_of_others_is_not_replaced(nlp: Language, table: str, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    out.write_bytes(b"of others")
    with pytest.raises(OutputError, match="did not make it or it was changed since"):
        extract([table], nlp, out, "parquet", columns=COLUMNS)
    out.unlink()
    extract([table], nlp, out, "parquet", columns=COLUMNS)
    out.write_bytes(b"changed")
    with pytest.raises(OutputError, match="did not make it or it was changed since"):
        extract([table], nlp, out, "parquet", columns=COLUMNS, redo="all")
    assert out.read_bytes() == b"changed"


def test_no_notes_with_rows_make_a_parquet_file_with_columns(nlp: Language, tmp_path: Path) -> None:
    extract([_table(tmp_path / "n.csv", [("1", "", "EXPLODE", "")])], nlp, tmp_path / "out.parquet", "parquet", columns=COLUMNS)
    assert pq.read_table(tmp_path / "out.parquet").schema.names == schema_of("facts", {"text": "string"}).names


def test_an_unknown_table_is_refused(nlp: Language, table: str, tmp_path: Path) -> None:
    with pytest.raises(KiwiError, match="'drugs' is not a table"):
        extract([table], nlp, tmp_path / "out", "parquet", table="drugs")
