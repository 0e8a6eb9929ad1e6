"""Tables of notes: every row is a note, or is named with the reason; other columns go along as plain data."""

import csv
import gzip
import io
import json
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kiwi_spacy.errors import FormatError, KiwiError
from kiwi_spacy.formats import arrow
from kiwi_spacy.formats.inputs import Note, Plan, plan_notes
from kiwi_spacy.formats.records import Columns

NAMED = Columns("note", "note_id", "day")


def _plan(*inputs: Path, columns: Columns | None = NAMED, encoding: str | None = None) -> Plan:
    return plan_notes([str(item) for item in inputs], io.BytesIO(), encoding, columns=columns)


def _text(note: Note) -> str:
    try:
        return note.read()
    except FormatError as error:
        return f"! {error}"


def _notes(plan: Plan) -> list[tuple[str, str, str | None, dict[str, Any]]]:
    return [(note.name, _text(note), note.date, dict(note.columns)) for note in plan.files()]


def _parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


@pytest.mark.parametrize("suffix, mark", [(".csv", ","), (".csv", ";"), (".csv", "\t"), (".tsv", "\t")])
def test_csv_gives_notes_with_line_breaks_quotes_and_separators_as_they_are(tmp_path: Path, suffix: str, mark: str) -> None:
    text = f'Na <135{mark} "low"\r\nK >5\n'
    path = tmp_path / f"n{suffix}"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=mark).writerows([["note_id", "day", "note", "ward"], ["7", "2024-03-15", text, "b"]])
    assert _notes(_plan(path)) == [("7", text, "2024-03-15", {"ward": "b"})]


def test_csv_packed_or_in_utf16_or_in_another_encoding_is_read(tmp_path: Path) -> None:
    data = "note_id,day,note\n1,,é\n"
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(data.encode("utf-8-sig")))
    (tmp_path / "b.csv").write_bytes(data.replace("1", "2").encode("utf-16"))
    (tmp_path / "c.csv").write_bytes(data.replace("1", "3").encode("latin-1"))
    plan = _plan(*sorted(tmp_path.iterdir()), encoding="latin-1")
    assert [found[:3] for found in _notes(plan)] == [("1", "é", None), ("2", "é", None), ("3", "é", None)]


def test_a_bad_row_of_csv_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_bytes(b"note_id,day,note\n1,,fever\n2,,caf\xe9\n3,fever\n,,cough\n1,,again\n\n")
    assert [(name, text) for name, text, _, _ in _notes(_plan(path))] == [
        ("1", "fever"),
        ("n-000002", "! not UTF-8 at byte 3. Name what it is in: --encoding latin-1, say"),
        ("n-000003", f"! {path}, line 4 has 2 cells, and the header has 3. Mend its quotes"),
        ("n-000004", "cough"),
        (f"{path}, line 6", f"! a second note named '1', after {path}, line 2; it was not read. Rename one"),
    ]


def test_a_cell_of_a_million_characters_is_read(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("text\n" + "a" * 1_000_000 + "\n")
    ((name, text, _, _),) = _notes(_plan(tmp_path / "n.csv", columns=None))
    assert (name, len(text)) == ("n-000001", 1_000_000)


def test_parquet_gives_columns_by_their_types(tmp_path: Path) -> None:
    at = datetime(2024, 3, 15, 8, 30)
    path = _parquet(
        tmp_path / "n.parquet", note_id=[1, 2, 3], note=["fever", None, "cough"], day=[date(2024, 3, 15), None, None],
        ward=["b", None, "c"], age=pa.array([7, None, 9], pa.int16()), weight=[1.5, None, 2.0], coded=[True, None, False],
        seen=pa.array([at, None, at], pa.timestamp("ns")), sent=pa.array([at] * 3, pa.timestamp("s", "UTC")),
        tags=[["a"], None, []],
    )
    plan = _plan(path)
    assert plan.carried == {
        "ward": "string", "age": "int64", "weight": "double", "coded": "bool", "seen": "timestamp[us]", "sent": "string",
        "tags": "string",
    }
    sent = at.replace(tzinfo=timezone.utc).isoformat()
    first, second, _ = _notes(plan)
    assert first == ("1", "fever", "2024-03-15", {
        "ward": "b", "age": 7, "weight": 1.5, "coded": True, "seen": at.isoformat(), "sent": sent, "tags": '["a"]',
    })
    assert second[:3] == ("2", '! no "note" that is a string', None)
    assert (plan.total, plan.names) == (3, {"1", "2", "3"})


def test_parquet_is_read_a_few_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "_AT_ONCE", 2)
    path = _parquet(tmp_path / "n.parquet", text=[f"fever {i}" for i in range(5)])
    plan = _plan(path, columns=None)
    assert [found[:2] for found in _notes(plan)] == [(f"n-{i + 1:06d}", f"fever {i}") for i in range(5)]
    assert plan.total == 5


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "n.parquet"
    path.write_bytes(b"no")
    ((name, text, _, _),) = _notes(_plan(path))
    assert (name, text) == (
        str(path), "! not a parquet file, or cut short (ArrowInvalid). Write it again; 0 rows of it were read"
    )


def test_json_lines_are_read_by_columns_when_they_are_named(tmp_path: Path) -> None:
    rows = [{"note_id": 1, "note": "fever", "age": 7}, {"note_id": 2, "note": "cough", "age": 1.5, "day": "2024-03-15"}]
    (tmp_path / "n.jsonl").write_text("\n".join(map(json.dumps, rows)))
    plan = _plan(tmp_path / "n.jsonl")
    assert _notes(plan) == [("1", "fever", None, {"age": 7.0}), ("2", "cough", "2024-03-15", {"age": 1.5})]
    (tmp_path / "m.jsonl").write_text('{"id": "a", "text": "fever", "age": 7}')
    assert _notes(_plan(tmp_path / "m.jsonl", columns=None)) == [("a", "fever", None, {})]


def test_carry_chooses_and_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "n.parquet", id=["a"], text=["fever"], ward=["b"], bed=["c"])
    assert _notes(_plan(path, columns=Columns(carry=("bed",)))) == [("a", "fever", None, {"bed": "c"})]
    with pytest.raises(KiwiError, match=r"n\.parquet' has no column 'note'; it has: id, text, ward, bed"):
        _plan(path)


def test_tables_in_a_folder_are_read_where_their_columns_are_named(tmp_path: Path) -> None:
    for name, ward in (("a", 1), ("b", 2.5)):
        _parquet(tmp_path / f"{name}.parquet", text=["fever"], id=[name], ward=[ward])
    (tmp_path / "n.txt").write_text("cough")
    plan = _plan(tmp_path, columns=Columns())
    assert plan.carried == {"ward": "string"}
    assert _notes(plan) == [
        ("a", "fever", None, {"ward": "1"}), ("b", "fever", None, {"ward": "2.5"}), ("n", "cough", None, {}),
    ]
    assert {place for place, _ in _plan(tmp_path, columns=None).left_out} == {"a.parquet", "b.parquet"}
