"""Whatever the inputs hold, every note is either written whole or reported, and a second run goes on."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from kiwi_spacy.errors import KiwiError
from kiwi_spacy.formats import outputs
from kiwi_spacy.formats.outputs import Format
from kiwi_spacy.run.extract import Summary, extract

FORMATS: list[Format] = ["brat", "jsonl", "csv", "docbin"]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "ward").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"denies fever\r\nmild cough")
    (folder / "b.v2.txt").write_bytes(b"aspirin 5 mg daily")
    (folder / "ward" / "a.txt").write_bytes(b"nothing here")
    return folder


def _names(output: Path, format: Format) -> list[str]:
    """The notes that an output holds, in order."""
    if format == "brat":
        return sorted(p.relative_to(output).as_posix().removesuffix(".ann") for p in output.rglob("*.ann"))
    if format == "jsonl":
        return [json.loads(line)["id"] for line in (output / "extracted.jsonl").read_text().splitlines()]
    if format == "csv":
        return [json.loads(line)[0] for line in (output / "extracted.csv.done").read_text().splitlines()]
    bins = [DocBin(store_user_data=True).from_disk(p) for p in sorted(output.glob("*.spacy"))]
    return [outputs._note_name(data, output) for docs in bins for data in docs.user_data]


@pytest.mark.parametrize("format", FORMATS)
def test_extract_writes_each_note_once_and_skips_it_in_a_second_run(
    nlp: Language, notes: Path, tmp_path: Path, format: Format
) -> None:
    output = tmp_path / "out"
    assert extract([str(notes)], nlp, output, format, batch_size=2) == Summary(done=3)
    assert _names(output, format) == ["a", "b.v2", "ward/a"]
    assert extract([str(notes)], nlp, output, format) == Summary(skipped=3)
    assert _names(output, format) == ["a", "b.v2", "ward/a"]
    assert extract([str(notes)], nlp, output, format, overwrite=True) == Summary(done=3)
    assert _names(output, format) == ["a", "b.v2", "ward/a"]
    assert [p.name for p in output.rglob(".*")] == []


@pytest.mark.parametrize("format", FORMATS)
def test_extract_of_one_bad_note_does_the_others(nlp: Language, tmp_path: Path, format: Format) -> None:
    (tmp_path / "in").mkdir()
    for name, data in [("a", b"fever"), ("b", b"EXPLODE secret"), ("c", b"caf\xe9"), ("d", b"PROBLEM cough")]:
        (tmp_path / "in" / f"{name}.txt").write_bytes(data)
    summary = extract([str(tmp_path / "in")], nlp, tmp_path / "out", format)
    assert summary == Summary(
        done=2, failed=[("c", "not UTF-8 at byte 3"), ("b", "the pipeline raised RuntimeError")],
        problems={"test problem": 1},
    )
    assert _names(tmp_path / "out", format) == ["a", "d"]


def test_extract_brat_gives_offsets_into_the_text_as_it_is(nlp: Language, notes: Path, tmp_path: Path) -> None:
    extract([str(notes)], nlp, tmp_path / "out", "brat")
    lines = (tmp_path / "out" / "a.ann").read_text(encoding="utf-8").splitlines()
    assert {tuple(line.split("\t")[1:]) for line in lines if line.startswith("T")} == {
        ("negation 0 6", "denies"), ("problem 7 12", "fever"), ("severity 14 18", "mild"), ("problem 19 24", "cough"),
    }


def test_extract_brat_keeps_no_half_written_file(
    nlp: Language, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(doc: object, path: Path) -> None:
        path.write_text("T1\tprob")
        raise KeyboardInterrupt

    monkeypatch.setattr(outputs, "write_brat", killed)
    with pytest.raises(KeyboardInterrupt):
        extract([str(notes)], nlp, tmp_path / "out", "brat")
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_extract_goes_on_after_a_line_cut_in_half(
    nlp: Language, notes: Path, tmp_path: Path, format: Format
) -> None:
    file = tmp_path / "out" / f"extracted.{format}"
    extract([str(notes)], nlp, tmp_path / "out", format)
    whole = file.read_bytes()
    if format == "csv":
        log = tmp_path / "out" / "extracted.csv.done"
        log.write_bytes(log.read_bytes()[:-4])
        file.write_bytes(whole + b"ward/a,1")
    else:
        file.write_bytes(whole[:-5])
    assert extract([str(notes)], nlp, tmp_path / "out", format) == Summary(done=1, skipped=2)
    assert file.read_bytes() == whole


@pytest.mark.parametrize("format", FORMATS)
def test_extract_of_a_doc_that_cannot_be_written_does_the_others(
    nlp: Language, notes: Path, tmp_path: Path, format: Format
) -> None:
    @Language.component("kiwi_test_spoils")
    def spoils(doc: Doc) -> Doc:
        if "aspirin" in doc.text:  # links whose entity is gone, and what msgpack cannot hold
            doc.set_ents([])
            doc.user_data["x"] = object()
        return doc

    nlp.add_pipe("kiwi_test_spoils")
    summary = extract([str(notes)], nlp, tmp_path / "out", format)
    wrong = {"brat": "KeyError", "jsonl": "KeyError", "docbin": "TypeError"}
    assert summary.failed == ([("b.v2", f"writing the result raised {wrong[format]}")] if format in wrong else [])
    assert set(_names(tmp_path / "out", format)) - {"b.v2"} == {"a", "ward/a"}
    if format == "docbin":
        docs = DocBin(store_user_data=True).from_disk(tmp_path / "out" / "extracted-00001.spacy").get_docs(nlp.vocab)
        assert [len(doc._.relations) for doc in docs] == [2, 0]


def test_extract_brat_reports_a_note_whose_folder_is_a_file(nlp: Language, notes: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "ward").write_text("")
    summary = extract([str(notes)], nlp, tmp_path / "out", "brat")
    assert (summary.done, summary.failed) == (2, [("ward/a", "its file cannot be written: File exists")])


def test_extract_csv_does_notes_again_whose_rows_are_gone(nlp: Language, notes: Path, tmp_path: Path) -> None:
    extract([str(notes)], nlp, tmp_path / "out", "csv")
    file = tmp_path / "out" / "extracted.csv"
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    assert extract([str(notes)], nlp, tmp_path / "out", "csv").failed == []
    assert file.read_bytes() == whole


def test_extract_csv_leaves_its_log_first(
    nlp: Language, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, size: int) -> Any:
        if path.suffix == ".csv":
            raise KeyboardInterrupt
        return open_at(path, size)

    open_at = outputs._open_at
    monkeypatch.setattr(outputs, "_open_at", killed)
    with pytest.raises(KeyboardInterrupt):
        extract([str(notes)], nlp, tmp_path / "out", "csv")
    monkeypatch.undo()
    assert extract([str(notes)], nlp, tmp_path / "out", "csv").done == 3


@pytest.mark.parametrize(
    "format, files, said",
    [
        ("jsonl", {"extracted.jsonl": b"[]\n"}, "extracted.jsonl, line 1"),
        ("csv", {"extracted.csv": b"a,b\n"}, "lacks extracted.csv.done"),
        ("csv", {"extracted.csv": b"a,b\n", "extracted.csv.done": b"{}\n"}, "extracted.csv.done, line 1"),
        ("docbin", {"extracted-00001.spacy": b"cut"}, "extracted-00001.spacy: not a DocBin"),
        ("docbin", {"extracted-old.spacy": b""}, "extracted-old.spacy is not this command's"),
    ],
)
def test_extract_names_a_foreign_file_among_its_outputs(
    nlp: Language, notes: Path, tmp_path: Path, format: Format, files: dict[str, bytes], said: str
) -> None:
    (tmp_path / "out").mkdir()
    for name, data in files.items():
        (tmp_path / "out" / name).write_bytes(data)
    with pytest.raises(KiwiError, match=said):
        extract([str(notes)], nlp, tmp_path / "out", format)


def test_extract_reads_a_byte_order_mark_before_jsonl(nlp: Language, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes('\ufeff{"id": "a", "text": "fever"}\n'.encode())
    assert extract([str(tmp_path / "in.jsonl")], nlp, tmp_path / "out", "brat") == Summary(done=1)


def test_extract_reports_a_link_that_leads_nowhere(nlp: Language, notes: Path, tmp_path: Path) -> None:
    (notes / "z.txt").symlink_to(tmp_path / "nowhere")
    assert extract([str(notes)], nlp, tmp_path / "out", "brat").failed == [("z", "No such file or directory")]


@pytest.mark.parametrize("name", ["a//b", "a/./b", "a/", "/a", "..", ".", ""])
def test_check_name_refuses_a_second_way_to_write_a_path(name: str) -> None:
    with pytest.raises(KiwiError):
        outputs.check_name(name)


def test_extract_csv_has_a_row_for_each_link_and_for_what_has_none(nlp: Language, tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("denies fever. CT. 5 mg, aspirin\n")
    (tmp_path / "m.txt").write_text("5 mg")
    extract([str(tmp_path / "n.txt"), str(tmp_path / "m.txt")], nlp, tmp_path / "out", "csv")
    with (tmp_path / "out" / "extracted.csv").open(newline="") as file:
        rows = [(r["note"], r["text"], r["negated"], r["modifier"], r["modifier_text"]) for r in csv.DictReader(file)]
    assert rows == [
        ("n", "fever", "1", "negation", "denies"),
        ("n", "CT", "0", "", ""),
        ("n", "aspirin", "0", "strength", "mg"),
        ("m", "", "", "strength", "mg"),
    ]


def test_extract_docbin_starts_a_new_file_after_so_many_notes(
    nlp: Language, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "SHARD", 2)
    extract([str(notes)], nlp, tmp_path / "out", "docbin")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["extracted-00001.spacy", "extracted-00002.spacy"]
    (doc, _) = DocBin(store_user_data=True).from_disk(tmp_path / "out" / "extracted-00001.spacy").get_docs(nlp.vocab)
    assert [(r.head.text, r.modifier.text) for r in doc._.relations] == [("fever", "denies"), ("cough", "mild")]


def test_extract_reads_packed_jsonl_and_refuses_half_of_it(nlp: Language, tmp_path: Path) -> None:
    packed = gzip.compress(b'{"id": "a", "text": "fever"}\n{"text": "cough"}\n' + b" " * 10_000)
    (tmp_path / "in.jsonl.gz").write_bytes(packed)
    assert extract([str(tmp_path / "in.jsonl.gz")], nlp, tmp_path / "out", "brat") == Summary(done=2)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.ann", "in-000002.ann"]
    (tmp_path / "half.jsonl.gz").write_bytes(packed[:-20])
    with pytest.raises(KiwiError, match=r"half\.jsonl\.gz' is not a whole gzip file"):
        extract([str(tmp_path / "half.jsonl.gz")], nlp, tmp_path / "out", "brat")


def test_extract_reads_jsonl_and_reports_lines_that_it_cannot_read(nlp: Language, tmp_path: Path) -> None:
    lines = [
        b'{"id": 7, "text": "fever"}', b"", b'{"text": "cough"}', b'{"id": "x"}', b"{bad", b'{"text": "\xff"}',
        b'{"text": "\\ud800"}', b'{"id": "../up", "text": "fever"}',
    ]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    summary = extract([str(tmp_path / "in.jsonl")], nlp, tmp_path / "out", "brat")
    assert _names(tmp_path / "out", "brat") == ["7", "in-000003"]
    assert summary.failed == [
        ("in-000004", 'no "text" that is a string'),
        ("in-000005", "not JSON at column 2"),
        ("in-000006", "not UTF-8 at byte 10"),
        ("in-000007", "half a surrogate pair at character 0"),
        ("../up", "its id cannot be a file name below the output folder"),
    ]
    assert not (tmp_path / "up.ann").exists()


@pytest.mark.parametrize(
    "data, names, failed",
    [
        (b"denies fever\nmild cough", ["stdin"], []),
        (b'\n{"id": "a", "text": "fever"}\n{"id": "b", "text": ""}\n', ["a", "b"], []),
        (b'{"id": "a", "text": "fever"}\n{"id": "a", "text": "cough"}\n', ["a"],
         [("a", "a second note of this name; it was not read")]),
        (b"", [], []),
    ],
    ids=["plain", "jsonl", "same-id", "empty"],
)
def test_extract_reads_standard_input(
    nlp: Language, tmp_path: Path, data: bytes, names: list[str], failed: list[tuple[str, str]]
) -> None:
    summary = extract(["-"], nlp, tmp_path / "out", "jsonl", stdin=io.BytesIO(data))
    assert _names(tmp_path / "out", "jsonl") == names
    assert summary.failed == failed


@pytest.mark.parametrize("inputs", [["notes", "notes/a.txt"], ["notes", "notes/ward"]], ids=["file", "folder"])
def test_extract_refuses_two_notes_of_one_name(
    nlp: Language, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KiwiError, match=f"Two notes are named 'a', from 'notes' and '{inputs[1]}'"):
        extract(inputs, nlp, tmp_path / "out", "brat")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_extract_refuses_inputs_that_hold_nothing(nlp: Language, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(KiwiError, match=name):
        extract([str(tmp_path / name)], nlp, tmp_path / "out", "brat")


def test_extract_raises_max_length_for_the_run_only(nlp: Language, notes: Path, tmp_path: Path) -> None:
    nlp.max_length = 5
    assert extract([str(notes)], nlp, tmp_path / "out", "brat").done == 3
    assert nlp.max_length == 5


def test_extract_does_not_grow_the_vocabulary(nlp: Language, tmp_path: Path) -> None:
    record = "\n".join(json.dumps({"id": i, "text": f"denies fever word{i}"}) for i in range(200))
    (tmp_path / "in.jsonl").write_text(record)
    extract([str(tmp_path / "in.jsonl")], nlp, tmp_path / "out", "docbin", batch_size=10)
    assert "word150" not in nlp.vocab.strings
    docs = DocBin(store_user_data=True).from_disk(tmp_path / "out" / "extracted-00001.spacy").get_docs(nlp.vocab)
    assert [doc.text for doc in docs][150] == "denies fever word150"
