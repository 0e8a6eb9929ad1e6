"""Whatever the inputs hold, every note is either written whole or reported, and a second run goes on."""

import csv
import gzip
import io
import json
import os
from pathlib import Path

import pytest
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from kiwi_spacy.contract import Failure, set_failures
from kiwi_spacy.errors import BackboneError, HeldError, KiwiError, OutputError
from kiwi_spacy.formats import names
from kiwi_spacy.formats.outputs import Format
from kiwi_spacy.run import folder
from kiwi_spacy.run.extract import Redo, Summary, extract
from kiwi_spacy.run.lock import hold
from kiwi_spacy.run.manifest import MANIFEST

FORMATS: list[Format] = ["brat", "jsonl", "csv", "docbin", "parquet", "html"]
BROKEN: set[str] = set()  # words whose notes get no answer for their start


@Language.component("kiwi_test_incomplete")
def kiwi_test_incomplete(doc: Doc) -> Doc:
    set_failures(doc, [Failure(0, 4, "out of memory")] if any(word in doc.text for word in BROKEN) else [])
    return doc


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
    records = map(json.loads, (output / MANIFEST).read_text().splitlines()[1:])
    return [record["note"] for record in records if record.get("file")]


def _bytes(output: Path) -> dict[str, bytes]:
    return {p.relative_to(output).as_posix(): p.read_bytes() for p in sorted(output.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("format", FORMATS)
def test_extract_writes_each_note_once_and_skips_it_in_a_second_run(
    nlp: Language, notes: Path, tmp_path: Path, format: Format
) -> None:
    output = tmp_path / "out"
    problems = {"value not read": 1} if format in ("parquet", "html") else {}
    assert extract([str(notes)], nlp, output, format, batch_size=2) == Summary(done=3, problems=problems)
    assert _names(output, format) == ["a", "b.v2", "ward/a"]
    whole = _bytes(output)
    assert extract([str(notes)], nlp, output, format) == Summary(kept=3)
    assert _bytes(output) == whole
    assert extract([str(notes)], nlp, output, format, redo="all") == Summary(done=3, problems=problems)
    assert _bytes(output) == whole
    assert [p.name for p in output.rglob(".*")] == []


@pytest.mark.parametrize("format", FORMATS)
def test_extract_of_one_bad_note_does_the_others(nlp: Language, tmp_path: Path, format: Format) -> None:
    (tmp_path / "in").mkdir()
    for name, data in [("a", b"fever"), ("b", b"EXPLODE secret"), ("c", b"caf\xe9"), ("d", b"PROBLEM cough")]:
        (tmp_path / "in" / f"{name}.txt").write_bytes(data)
    summary = extract([str(tmp_path / "in")], nlp, tmp_path / "out", format)
    assert (summary.done, summary.problems) == (2, {"test problem": 1})
    (c, not_utf8), (b, raised) = summary.failed
    assert (c, not_utf8) == ("c", "not UTF-8 at byte 3. Name what it is in: --encoding latin-1, say")
    assert b == "b" and raised.startswith("the pipeline raised RuntimeError at tests/conftest.py:")
    assert "secret" not in raised
    assert _names(tmp_path / "out", format) == ["a", "d"]


def test_extract_brat_gives_offsets_into_the_text_as_it_is(nlp: Language, notes: Path, tmp_path: Path) -> None:
    extract([str(notes)], nlp, tmp_path / "out", "brat")
    lines = (tmp_path / "out" / "a.ann").read_text(encoding="utf-8").splitlines()
    assert {tuple(line.split("\t")[1:]) for line in lines if line.startswith("T")} == {
        ("negation 0 6", "denies"), ("problem 7 12", "fever"), ("severity 14 18", "mild"), ("problem 19 24", "cough"),
    }


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_extract_goes_on_after_a_line_cut_in_half(
    nlp: Language, notes: Path, tmp_path: Path, format: Format
) -> None:
    file = tmp_path / "out" / f"extracted.{format}"
    extract([str(notes)], nlp, tmp_path / "out", format)
    whole = _bytes(tmp_path / "out")
    file.write_bytes(file.read_bytes()[:-5])
    again = extract([str(notes)], nlp, tmp_path / "out", format)
    assert again.done + again.kept == 3 and again.done > 0
    assert _bytes(tmp_path / "out") == whole


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
    names = [name for name, _ in summary.failed]
    wrong = {"brat": "KeyError", "jsonl": "KeyError", "docbin": "TypeError"}
    assert names == (["b.v2"] if format in wrong else [])
    assert set(_names(tmp_path / "out", format)) - {"b.v2"} == {"a", "ward/a"}
    if format == "docbin":
        docs = DocBin(store_user_data=True).from_disk(tmp_path / "out" / "extracted-00001.spacy").get_docs(nlp.vocab)
        assert [len(doc._.relations) for doc in docs] == [2, 0]


def test_extract_brat_reports_a_note_whose_folder_is_a_file(nlp: Language, notes: Path, tmp_path: Path) -> None:
    (notes / "ward.ann").mkdir()
    (notes / "ward.ann" / "x.txt").write_text("fever")
    (notes / "ward.txt").write_text("fever")
    summary = extract([str(notes)], nlp, tmp_path / "out", "brat")
    ((name, why),) = summary.failed
    assert (summary.done, name) == (4, "ward")
    assert why.startswith("its file cannot be written: ")


@pytest.mark.parametrize(
    "file", ["gold.ann", "ward/gold.ann", "extracted.jsonl", "extracted.csv", "extracted-00001.spacy", "a.pdf"]
)
@pytest.mark.parametrize("redo", [None, "all"])
def test_extract_refuses_a_folder_that_it_did_not_make(
    nlp: Language, notes: Path, tmp_path: Path, file: str, redo: Redo | None
) -> None:
    (tmp_path / "out" / "ward").mkdir(parents=True)
    (tmp_path / "out" / file).write_bytes(b"of others")
    with pytest.raises(OutputError, match=f"holds {file}"):
        extract([str(notes)], nlp, tmp_path / "out", "brat", redo=redo)
    assert _bytes(tmp_path / "out") == {file: b"of others"}


def test_extract_reads_a_byte_order_mark_before_jsonl(nlp: Language, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes('\ufeff{"id": "a", "text": "fever"}\n'.encode())
    assert extract([str(tmp_path / "in.jsonl")], nlp, tmp_path / "out", "brat") == Summary(done=1)


def test_extract_reports_a_link_that_leads_nowhere(nlp: Language, notes: Path, tmp_path: Path) -> None:
    (notes / "z.txt").symlink_to(tmp_path / "nowhere")
    assert extract([str(notes)], nlp, tmp_path / "out", "brat").failed == [("z", "No such file or directory")]


@pytest.mark.parametrize("name", ["a//b", "a/./b", "a/", "/a", "..", ".", ""])
def test_check_name_refuses_a_second_way_to_write_a_path(name: str) -> None:
    with pytest.raises(KiwiError):
        names.check_name(name)


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
    monkeypatch.setattr(folder, "shard_size", lambda output: 2)
    seen: list[list[str]] = []
    monkeypatch.setattr("kiwi_spacy.run.work.give_back", lambda: seen.append(sorted(p.name for p in out.glob("*.spacy"))))
    out = tmp_path / "out"
    extract([str(notes)], nlp, out, "docbin", batch_size=1)
    assert seen == [[], ["extracted-00001.spacy"], ["extracted-00001.spacy"]]  # while the run goes on
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "extracted-00001.spacy", "extracted-00002.spacy", MANIFEST,
    ]
    (doc, _) = DocBin(store_user_data=True).from_disk(tmp_path / "out" / "extracted-00001.spacy").get_docs(nlp.vocab)
    assert [(r.head.text, r.modifier.text) for r in doc._.relations] == [("fever", "denies"), ("cough", "mild")]


def test_extract_reads_packed_jsonl_and_refuses_half_of_it(nlp: Language, tmp_path: Path) -> None:
    packed = gzip.compress(b'{"id": "a", "text": "fever"}\n{"text": "cough"}\n' + b" " * 10_000)
    (tmp_path / "in.jsonl.gz").write_bytes(packed)
    assert extract([str(tmp_path / "in.jsonl.gz")], nlp, tmp_path / "out", "brat") == Summary(done=2)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.ann", "in-000002.ann", MANIFEST]
    (tmp_path / "half.jsonl.gz").write_bytes(packed[:-20])
    (_, why), = extract([str(tmp_path / "half.jsonl.gz")], nlp, tmp_path / "half", "brat").failed
    assert why.startswith("not a whole gzip file")


def test_extract_reads_jsonl_and_reports_lines_that_it_cannot_read(nlp: Language, tmp_path: Path) -> None:
    lines = [
        b'{"id": 7, "text": "fever"}', b"", b'{"text": "cough"}', b'{"id": "x"}', b"{bad", b'{"text": "\xff"}',
        b'{"text": "\\ud800"}', b'{"id": "../up", "text": "fever"}',
    ]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    summary = extract([str(tmp_path / "in.jsonl")], nlp, tmp_path / "out", "brat")
    assert _names(tmp_path / "out", "brat") == ["7", "in-000003", "in-000007"]
    assert summary.failed == [
        ("x", 'no "text" that is a string'),
        ("in-000005", "not JSON at column 2"),
        ("in-000006", "not UTF-8 at byte 10. Name what it is in: --encoding latin-1, say"),
        ("../up", "its id cannot be a file name below the output folder"),
    ]
    assert not (tmp_path / "up.ann").exists()


@pytest.mark.parametrize(
    "data, names, failed",
    [
        (b"denies fever\nmild cough", ["stdin"], []),
        (b'\n{"id": "a", "text": "fever"}\n{"id": "b", "text": ""}\n', ["a", "b"], []),
        (b'{"id": "a", "text": "fever"}\n{"id": "a", "text": "cough"}\n', ["a"],
         [("standard input, line 2", "a second note named 'a', after standard input, line 1; it was not read. Rename one")]),
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


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("change", ["text", "gone", "pipeline"])
def test_extract_says_what_changed_and_stops_unless_told_to_redo(
    nlp: Language, notes: Path, tmp_path: Path, format: Format, change: str
) -> None:
    output = tmp_path / "out"
    extract([str(notes)], nlp, output, format)
    before = _bytes(output)
    if change == "text":
        (notes / "a.txt").write_text("no cough")
    elif change == "gone":
        (notes / "a.txt").unlink()
    else:
        nlp.meta["version"] = "9.9"
    said = {"text": "1 notes have another text: a", "gone": "no longer among the inputs: a", "pipeline": "version: .* > 9.9"}
    with pytest.raises(OutputError, match=said[change]):
        extract([str(notes)], nlp, output, format)
    assert _bytes(output) == before
    extract([str(notes)], nlp, output, format, redo="changed")
    extract([str(notes)], nlp, tmp_path / "fresh", format)
    assert _bytes(output) == _bytes(tmp_path / "fresh")


def test_extract_never_replaces_a_result_that_somebody_corrected(nlp: Language, notes: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    extract([str(notes)], nlp, output, "brat")
    (output / "a.ann").write_text("corrected")
    assert extract([str(notes)], nlp, output, "brat").kept == 3
    with pytest.raises(OutputError, match="changed since they were written"):
        extract([str(notes)], nlp, output, "brat", redo="all")
    assert (output / "a.ann").read_text() == "corrected"


def test_extract_says_who_holds_the_folder(nlp: Language, notes: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with hold(tmp_path / "out"), pytest.raises(HeldError, match=f"process {os.getpid()} on "):
        extract([str(notes)], nlp, tmp_path / "out")
    assert extract([str(notes)], nlp, tmp_path / "out").done == 3


def _extract_and_die(
    call: int, notes: Path, nlp: Language, output: Path, format: Format, redo: Redo | None, facts: bool = False
) -> None:
    """Run in a process that ends at once, as by kill -9, before the step of this number that writes, renames or removes."""

    def strike() -> None:
        times[0] -= 1
        if times[0] == 0:
            os._exit(9)

    child = os.fork()
    if child == 0:
        times = [call]
        for name in ("replace", "rename", "fsync", "unlink"):
            real = getattr(os, name)
            setattr(os, name, lambda *args, real=real, **named: (strike(), real(*args, **named))[1])
        extract([str(notes)], nlp, output, format, batch_size=2, redo=redo, facts=facts)
        os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("redo", [None, "changed", "all"])
@pytest.mark.parametrize("calls", [(1,), (3,), (5,), (7,), (9, 2), (11,), (13, 4), (15,), (17,)], ids=str)
def test_extract_that_was_killed_ends_as_one_that_was_not(
    nlp: Language, notes: Path, tmp_path: Path, format: Format, redo: Redo | None, calls: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folder, "shard_size", lambda output: 2)
    for name in ("c", "d"):
        (notes / f"{name}.txt").write_text("fever")
    (notes / "broken.txt").write_bytes(b"\xff")
    if redo:
        extract([str(notes)], nlp, tmp_path / "out", format)
        (notes / "a.txt").write_text("no cough")
    for call in calls:
        _extract_and_die(call, notes, nlp, tmp_path / "out", format, redo)
    extract([str(notes)], nlp, tmp_path / "out", format, redo=redo)
    extract([str(notes)], nlp, tmp_path / "fresh", format)
    assert _bytes(tmp_path / "out") == _bytes(tmp_path / "fresh")


def test_extract_names_every_file_of_a_folder_that_is_no_note(nlp: Language, notes: Path, tmp_path: Path) -> None:
    os.mkfifo(notes / "pipe.txt")
    (notes / "UPPER.TXT").write_text("fever")
    (notes / "packed.txt.gz").write_bytes(gzip.compress(b"fever"))
    (notes / "wide.txt").write_bytes("fever and cough".encode("utf-16-le"))
    (notes / "marked.txt").write_bytes("fever".encode("utf-16"))
    (notes / "x.pdf").write_bytes(b"")
    (notes / ".hidden.txt").write_text("fever")
    (notes / "loop").symlink_to(notes)
    (notes / os.fsdecode(b"caf\xe9.txt")).write_text("fever")
    summary = extract([str(notes)], nlp, tmp_path / "out", "jsonl")
    assert summary.done == 7
    assert [name for name, _ in summary.failed] == ["pipe", "wide"]
    assert sorted(place for place, _ in summary.left_out) == [".hidden.txt", "loop", "x.pdf"]
    assert "caf\\xe9" in _names(tmp_path / "out", "jsonl")


@pytest.mark.parametrize("format", FORMATS)
def test_extract_marks_a_note_without_all_answers_and_does_it_again(
    nlp: Language, notes: Path, tmp_path: Path, format: Format
) -> None:
    BROKEN.add("aspirin")
    nlp.add_pipe("kiwi_test_incomplete")
    summary = extract([str(notes)], nlp, tmp_path / "out", format)
    assert (summary.done, summary.incomplete) == (2, [("b.v2", "no answer for 0-4 out of memory")])
    BROKEN.clear()
    again = extract([str(notes)], nlp, tmp_path / "out", format)
    assert (again.done, again.kept, again.incomplete) == (1, 2, [])
    extract([str(notes)], nlp, tmp_path / "fresh", format)
    assert _bytes(tmp_path / "out") == _bytes(tmp_path / "fresh")


@pytest.mark.parametrize("format", FORMATS)
def test_extract_counts_a_note_without_any_answer_as_failed(
    nlp: Language, notes: Path, tmp_path: Path, format: Format
) -> None:
    @Language.component("kiwi_test_silent")
    def silent(doc: Doc) -> Doc:
        if "aspirin" in doc.text:
            set_failures(doc, [Failure(0, 7, "OSError at x.py:1 in f"), Failure(8, len(doc.text), "out of memory")])
        return doc

    nlp.add_pipe("kiwi_test_silent", first=True)
    summary = extract([str(notes)], nlp, tmp_path / "out", format)
    assert (summary.done, summary.incomplete) == (2, [])
    assert summary.failed == [("b.v2", "no answer for 0-7 OSError at x.py:1 in f, 8-18 out of memory")]
    assert set(_names(tmp_path / "out", format)) == {"a", "ward/a"}


def test_extract_stops_at_once_where_weights_are_missing(nlp: Language, notes: Path, tmp_path: Path) -> None:
    @Language.component("kiwi_test_no_weights")
    def no_weights(doc: Doc) -> Doc:
        raise BackboneError("No weights here.")

    nlp.add_pipe("kiwi_test_no_weights")
    with pytest.raises(BackboneError, match="No weights here"):
        extract([str(notes)], nlp, tmp_path / "out")


def test_extract_takes_an_encoding_for_what_is_not_utf8_alone(nlp: Language, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_bytes("é".encode())
    (tmp_path / "in" / "b.txt").write_bytes("é".encode("latin-1"))
    (tmp_path / "in" / "n.jsonl").write_bytes(b'{"id": "c", "text": "\\ud800 fever"}\n')
    assert extract([str(tmp_path / "in")], nlp, tmp_path / "out", "jsonl", encoding="latin-1").done == 3
    lines = (tmp_path / "out" / "extracted.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["é", "é", "\ufffd fever"]


def test_extract_keeps_the_result_of_a_note_of_standard_input_whose_text_changed(nlp: Language, tmp_path: Path) -> None:
    def run(text: str, redo: Redo | None = None) -> Summary:
        line = json.dumps({"id": "a", "text": text}).encode()
        return extract(["-"], nlp, tmp_path / "out", "jsonl", stdin=io.BytesIO(line), redo=redo)

    assert run("fever").done == 1
    assert run("fever").kept == 1
    before = _bytes(tmp_path / "out")
    assert run("cough").failed == [("a", "its text is another than that of its result, which is kept; see --redo")]
    assert _bytes(tmp_path / "out") == before
    assert run("cough", "changed").done == 1
    assert json.loads((tmp_path / "out" / "extracted.jsonl").read_text())["text"] == "cough"


def test_facts_are_written_when_asked_for_and_are_a_setting_of_the_run(nlp: Language, notes: Path, tmp_path: Path) -> None:
    out, names_before = tmp_path / "out", list(nlp.pipe_names)
    assert extract([str(notes)], nlp, out, "jsonl", facts=True).done == 3
    first = json.loads((out / "extracted.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert [(fact["text"], fact["status"]["summary"]) for fact in first["facts"]] == [("fever", "absent"), ("cough", "present")]
    assert nlp.pipe_names == names_before
    assert extract([str(notes)], nlp, out, "jsonl", facts=True).kept == 3
    with pytest.raises(OutputError, match="facts: True > False"):
        extract([str(notes)], nlp, out, "jsonl")


def test_a_format_that_cannot_hold_facts_refuses_them(nlp: Language, notes: Path, tmp_path: Path) -> None:
    with pytest.raises(KiwiError, match="brat cannot hold facts"):
        extract([str(notes)], nlp, tmp_path / "out", "brat", facts=True)
    assert not (tmp_path / "out").exists()


def test_csv_with_facts_has_status_and_values_in_every_row(nlp: Language, tmp_path: Path) -> None:
    note = tmp_path / "a.txt"
    note.write_text("MEDICATIONS:\naspirin daily\n\nHPI:\ndenies fever, mild cough\n")
    assert extract([str(note)], nlp, tmp_path / "out", "csv", facts=True).done == 1
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "extracted.csv").read_text())))
    found = [(r["text"], r["status_summary"], r["section_key"], r["modifier_text"], r["value"]) for r in rows]
    assert found == [
        ("aspirin", "taking", "medications", "daily", '{"words":"daily","frequency":1,"period":1,"periodUnit":"d"}'),
        ("fever", "absent", "history_of_present_illness", "denies", ""),
        ("cough", "present", "history_of_present_illness", "mild", ""),
    ]
    assert all(None not in row and None not in row.values() for row in rows)


def test_csv_without_facts_is_the_first_columns_of_one_with_them(nlp: Language, notes: Path, tmp_path: Path) -> None:
    tables = []
    for facts in (False, True):
        extract([str(notes)], nlp, tmp_path / str(facts), "csv", facts=facts)
        tables.append(list(csv.reader(io.StringIO((tmp_path / str(facts) / "extracted.csv").read_text()))))
    plain, wide = tables
    assert len({len(row) for row in wide}) == 1
    problems = plain[0].index("problems")  # a value that was not read is counted where facts are found
    assert [row[:problems] for row in plain] == [row[:problems] for row in wide]


def test_csv_gains_and_loses_its_columns_of_facts_when_done_again(nlp: Language, notes: Path, tmp_path: Path) -> None:
    extract([str(notes)], nlp, tmp_path / "plain", "csv")
    extract([str(notes)], nlp, tmp_path / "facts", "csv", facts=True)
    for facts, other in ((True, "facts"), (False, "plain")):
        extract([str(notes)], nlp, tmp_path / "out", "csv", facts=not facts, redo="changed")
        extract([str(notes)], nlp, tmp_path / "out", "csv", facts=facts, redo="changed")
        assert _bytes(tmp_path / "out") == _bytes(tmp_path / other)


@pytest.mark.parametrize("call", [1, 3, 5, 7, 9, 11])
def test_csv_that_was_killed_while_it_gained_facts_ends_as_one_that_was_not(
    nlp: Language, notes: Path, tmp_path: Path, call: int
) -> None:
    extract([str(notes)], nlp, tmp_path / "out", "csv")
    _extract_and_die(call, notes, nlp, tmp_path / "out", "csv", "changed", facts=True)
    extract([str(notes)], nlp, tmp_path / "out", "csv", redo="changed", facts=True)
    extract([str(notes)], nlp, tmp_path / "fresh", "csv", facts=True)
    assert _bytes(tmp_path / "out") == _bytes(tmp_path / "fresh")


@pytest.mark.parametrize("format, said", [
    ("brat", "The pipeline finds facts, and brat does not hold them. To keep them, write jsonl, docbin, csv, "
     "parquet, fhir or html."),
    ("csv", "The pipeline finds facts, and they are not written. To have their columns in csv, say --facts."),
    ("jsonl", ""),
    ("docbin", ""),
    ("fhir", ""),
])
def test_a_run_says_where_facts_of_its_pipeline_are_not_written(
    nlp: Language, notes: Path, tmp_path: Path, format: Format, said: str
) -> None:
    assert extract([str(notes)], nlp, tmp_path / "plain", format).unwritten == ""
    nlp.add_pipe("kiwi_facts")
    assert extract([str(notes)], nlp, tmp_path / "out", format).unwritten == said
    if format in ("csv", "jsonl", "docbin"):
        assert extract([str(notes)], nlp, tmp_path / "facts", format, facts=True).unwritten == ""


@pytest.mark.parametrize("calls", [(2,), (6,), (9, 3), (12,), (14,), (16,), (18,), (20,), (22,), (24, 2)], ids=str)
def test_one_parquet_file_of_a_run_that_was_killed_is_that_of_one_that_was_not(
    nlp: Language, notes: Path, tmp_path: Path, calls: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "shard_size", lambda output: 2)
    for name in ("out", "fresh"):
        (tmp_path / name).mkdir()
    for call in calls:
        _extract_and_die(call, notes, nlp, tmp_path / "out" / "x.parquet", "parquet", None)
    (notes / "a.txt").write_text("no cough")
    extract([str(notes)], nlp, tmp_path / "out" / "x.parquet", "parquet", redo="changed")
    extract([str(notes)], nlp, tmp_path / "fresh" / "x.parquet", "parquet")
    made = [_bytes(tmp_path / name) for name in ("out", "fresh")]
    for files in made:
        files.pop("x.parquet.kiwi/.kiwi-single")  # tells which file stood there before
    assert made[0] == made[1]
