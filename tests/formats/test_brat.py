"""brat in and out: what is read leniently, what is reported, and round trips."""

from pathlib import Path

import pytest
import spacy

from kiwi_spacy.errors import FormatError
from kiwi_spacy.formats.brat import BratNote, Failure, brat_lines, parse_ann, read_folder, report_lines, write_brat
from kiwi_spacy.formats.docs import note_to_doc
from kiwi_spacy.schema import load_schema

TEXT = "no fever, mild cough\r\nCT: 5 mg"
T = {
    "T1": "T1\tnegation 0 2\tno", "T2": "T2\tproblem 3 8\tfever", "T3": "T3\tseverity 10 14\tmild",
    "T4": "T4\ttest 22 24\tCT", "T5": "T5\tstrength 26 30\t5 mg",
}


def read(*lines: str, text: str = TEXT) -> BratNote:
    return parse_ann("n", text, "\n".join(lines))


@pytest.mark.parametrize(
    "line",
    ["R1\thasAttr Arg1:T2 Arg2:T1\t", "R1\tMODIFY Arg1:T1 Arg2:T2", "R1\thasAttr Head:T2 Tail:T1\r"],
    ids=["usual", "turned", "other-names"],
)
def test_parse_ann_turns_links_to_entity_then_modifier(line: str) -> None:
    note = read(T["T1"], T["T2"], line)
    assert (note.links, note.problems) == ([("T2", "T1")], [])


def test_parse_ann_reads_events_by_their_triggers() -> None:
    note = read(T["T1"], T["T2"], "E1\tproblem:T2", "E2\tnegation:T1", "R1\tMODIFY Arg1:E2 Arg2:E1")
    assert (note.links, note.problems) == ([("T2", "T1")], [])


@pytest.mark.parametrize(
    "line", ["A1\tNeg T1", "#1\tAnnotatorNotes T1\tx", "N1\tReference T1 U:C1\tx", "M1\tNeg T1", "*\tEquiv T1 T2", "# a note"]
)
def test_parse_ann_passes_over_other_annotations(line: str) -> None:
    note = read(T["T1"], T["T2"], line)
    assert (len(note.spans), note.problems) == (2, [])


@pytest.mark.parametrize(
    "lines, problem, spans, links",
    [
        ([T["T2"], "R1\tx Arg1:T2 Arg2:T9"], "n.ann, line 2: R1 points to T9, which is not there. Skipped.", 1, 0),
        (["T1\tproblem 3 99\tfever"], "n.ann, line 1: T1 is at 3-99, but the note has 30 characters. Skipped.", 0, 0),
        (["T1\tproblem 8 3\tfever"], "n.ann, line 1: T1 is at 8-3, but the note has 30 characters. Skipped.", 0, 0),
        (["T1\tproblem 3 8\tchills"],
         "n.ann, line 1: T1: the words differ from the note's at 3-8. The offsets are kept.", 1, 0),
        (["T1\tproblem 3 5;6 8\tfe er"], "n.ann, line 1: T1 has 2 pieces; it is kept as one span, 3-8.", 1, 0),
        (["T1\tproblem 3"], "n.ann, line 1: not a span: expected ID, TAB, 'label start end', TAB, text.", 0, 0),
        (["T1\tdisease 3 8\tfever", "T2\tdisease 3 8\tfever"],
         "n.ann, line 1: label 'disease' is not in the schema (2 spans skipped). Add it there, or leave it.", 0, 0),
        (["", "what is this"], "n.ann, line 2: not an annotation. Skipped.", 0, 0),
        (["T1\tproblem 8 3;9 12\tfever"],
         "n.ann, line 1: T1 is at 8-3, but the note has 30 characters. Skipped.", 0, 0),
        (["T1\tproblem 3 8"],
         "n.ann, line 1: T1 comes without its words, so 3-8 cannot be checked. The offsets are kept.", 1, 0),
        ([T["T1"], "E1\tproblem:T9 Has:T1"], "n.ann, line 2: E1 points to T9, which is not there. Skipped.", 1, 0),
        ([T["T2"], "E1\tproblem:T2", "E1\tproblem:T2"], "n.ann, line 3: E1 stands twice. The second is skipped.", 1, 0),
        ([T["T4"], T["T5"], "R7\tx Arg1:T4 Arg2:T5"],
         "n.ann, line 3: R7: 'test' cannot take 'strength'. A test takes: "
         f"{', '.join(load_schema().allowed('test'))}. Correct R7, or allow the pair in the schema. Skipped.", 2, 0),
    ],
    ids=["dangling", "outside", "reversed", "words", "pieces", "short", "label", "stray", "piece-reversed",
         "no-words", "event", "event-twice", "pair"],
)
def test_parse_ann_reports(lines: list[str], problem: str, spans: int, links: int) -> None:
    note = read(*lines)
    assert (note.problems, len(note.spans), len(note.links)) == ([problem], spans, links)


def test_parse_ann_compares_labels_without_case() -> None:
    assert [s.label for s in read("T1\tProblem 3 8\tfever").spans] == ["problem"]


def test_parse_ann_keeps_a_line_separator_inside_a_span() -> None:
    note = read("T1\tproblem 0 3\ta\u2028b", T["T3"].replace("10 14", "0 1").replace("mild", "a"), text="a\u2028b")
    assert (len(note.spans), note.problems) == (2, [])


def test_parse_ann_reads_words_that_hold_a_tab_and_lines_of_an_old_mac() -> None:
    assert read("T1\tproblem 0 3\ta\tb", text="a\tb").problems == []
    note = parse_ann("n", TEXT, f"{T['T1']}\r{T['T2']}\r")
    assert ([s.label for s in note.spans], note.problems) == (["negation", "problem"], [])


@pytest.mark.parametrize("start", ["\ufeff", "\r\n"], ids=["mark", "crlf"])
def test_read_folder_counts_the_characters_of_the_file(tmp_path: Path, start: str) -> None:
    (tmp_path / "a.txt").write_bytes((start + "fever").encode())
    at = len(start)
    (tmp_path / "a.ann").write_bytes(f"\ufeffT1\tproblem {at} {at + 5}\tfever\r\n".encode())
    (note,) = read_folder(tmp_path)
    assert isinstance(note, BratNote)
    assert (note.text[at:], note.problems, len(note.spans)) == ("fever", [], 1)


def test_read_folder_goes_on_after_bad_files(tmp_path: Path) -> None:
    for name, data in {"a.txt": b"x", "b.ann": b"", "c.txt": b"\xff", "c.ann": b"", "d.txt": b"x", "d.ann": b"\xff"}.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "ward").mkdir()
    (tmp_path / "ward" / "e.f.txt").write_bytes(b"fever")
    (tmp_path / "ward" / "e.f.ann").write_bytes(b"T1\tproblem 0 5\tfever")
    found = list(read_folder(tmp_path))
    assert [(item.name, isinstance(item, Failure)) for item in found] == [
        ("a", True), ("b", True), ("c", True), ("d", True), ("ward/e.f", False),
    ]


def test_read_folder_names_the_file_in_the_tree_and_the_line(tmp_path: Path) -> None:
    (tmp_path / "ward").mkdir()
    for name, ann in {"a": b"\nstray", "b": b"T1\tproblem 0 5\tfever\n#1\tx T1\t\xff"}.items():
        (tmp_path / "ward" / f"{name}.txt").write_bytes(b"fever")
        (tmp_path / "ward" / f"{name}.ann").write_bytes(ann)
    assert report_lines(read_folder(tmp_path)) == [
        "ward/a.ann, line 2: not an annotation. Skipped.",
        "ward/b.ann, line 2: not UTF-8 at byte 29 of the file. Convert it to UTF-8.",
    ]


@pytest.mark.parametrize("folder, text_dir", [("none", None), ("a.txt", None), ("full", "none"), ("empty", None)])
def test_read_folder_refuses_folders_that_are_none(tmp_path: Path, folder: str, text_dir: str | None) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("fever")
    (tmp_path / "full" / "a.ann").write_text("")
    with pytest.raises(FormatError, match=text_dir or folder):
        list(read_folder(tmp_path / folder, tmp_path / text_dir if text_dir else None))


def test_read_folder_takes_texts_from_elsewhere_and_checks_them(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    (tmp_path / "txt").mkdir()
    for name in ("same", "other"):
        (tmp_path / "ann" / f"{name}.ann").write_text("T1\tproblem 0 5\tfever")
    (tmp_path / "txt" / "same.txt").write_text("fever")
    (tmp_path / "txt" / "other.txt").write_text("cough")
    other, same = read_folder(tmp_path / "ann", tmp_path / "txt")
    assert isinstance(other, BratNote) and isinstance(same, BratNote)
    assert (len(other.problems), same.problems) == (1, [])
    assert "cough" not in other.problems[0] and "fever" not in other.problems[0]


def test_brat_doc_brat_is_the_same(tmp_path: Path) -> None:
    lines = [T["T1"], T["T2"], "R1\thasAttr Arg1:T2 Arg2:T1\t"]
    doc = note_to_doc(spacy.blank("en"), read(*lines), load_schema())
    assert brat_lines(doc) == lines
    write_brat(doc, tmp_path / "n.ann")
    assert (tmp_path / "n.ann").read_bytes().decode() == "".join(line + "\n" for line in lines)


def test_brat_lines_write_a_line_end_as_a_space() -> None:
    doc = note_to_doc(spacy.blank("en"), read("T1\tproblem 0 9\tmild cough", text="mild\ncough"[:9] + "h"), load_schema())
    assert [line for line in brat_lines(doc) if "\n" in line] == []


def test_note_to_doc_counts_what_it_mends() -> None:
    note = read("T1\tproblem 3 7\tfeve", "T2\tproblem 0 8\tno fever")
    doc = note_to_doc(spacy.blank("en"), note, load_schema())
    assert [e.text for e in doc.ents] == ["no fever"]
    assert doc._.problems == {"span snapped to tokens": 1, "overlapping entity dropped": 1}


def test_note_to_doc_keeps_the_links_of_a_span_that_stands_twice() -> None:
    note = read(T["T1"], T["T2"], "T9\tproblem 3 8\tfever", "R1\tx Arg1:T9 Arg2:T1")
    doc = note_to_doc(spacy.blank("en"), note, load_schema())
    assert [(r.head.text, r.modifier.text) for r in doc._.relations] == [("fever", "no")]
    assert doc._.problems == {}


def test_note_to_doc_makes_no_empty_span_of_white_space() -> None:
    doc = note_to_doc(spacy.blank("en"), read("T1\tnegation 2 3\t "), load_schema())
    assert (list(doc.spans["modifiers"]), doc._.problems) == ([], {"span of white space dropped": 1})


def test_note_to_doc_reads_a_note_of_more_than_max_length() -> None:
    nlp = spacy.blank("en")
    nlp.max_length = 5
    assert note_to_doc(nlp, read(T["T2"]), load_schema()).ents[0].text == "fever"
