"""Runs over tables: dates and other columns reach the Docs and the output, and a change of them is a change of the note."""

import csv
import json
from pathlib import Path

import pytest
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy.errors import OutputError
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
