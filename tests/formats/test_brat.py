"""brat in and out: what is read leniently, what is reported, and round trips."""

from pathlib import Path

import pytest
import spacy

from kiwi_spacy.contract import Failure as NoAnswer
from kiwi_spacy.contract import set_failures, set_relations
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
    "line, kind, name, value",
    [("A1\tNegation T2", "attribute", "Negation", ""), ("M1\tNegated T2", "attribute", "Negated", ""),
     ("A1\tNegation T2 no", "attribute", "Negation", "no"), ("#1\tAnnotatorNotes T2\tx\ty", "comment", "AnnotatorNotes", "x\ty"),
     ("N1\tReference T2 U:C1\tx", "code", "Reference", "U:C1\tx")],
    ids=["attribute", "old-attribute", "valued", "comment", "code"],
)
def test_parse_ann_keeps_what_is_said_of_a_span(line: str, kind: str, name: str, value: str) -> None:
    note = read(T["T2"], line)
    assert [(r.target, r.kind, r.name, r.value) for r in note.remarks] == [("T2", kind, name, value)]
    assert note.problems == []


def test_an_attribute_that_the_schema_names_is_a_modifier_over_its_entity() -> None:
    """Seen in 0.6.1: negation as an attribute vanished without a word."""
    doc = note_to_doc(spacy.blank("en"), read(T["T2"], "A1\tNegation T2"), load_schema())
    assert [(r.head.text, r.modifier.text, r.label) for r in doc._.relations] == [("fever", "fever", "negation")]
    assert doc.ents[0]._.is_negated
    assert brat_lines(doc) == ["T1\tproblem 3 8\tfever", "A1\tNegation T1"]


def test_an_attribute_of_an_event_belongs_to_its_trigger() -> None:
    note = read(T["T2"], "E1\tproblem:T2", "A1\tNegation E1")
    assert [(r.target, r.modifier) for r in note.remarks] == [("T2", "negation")]


def test_a_modifier_over_an_entity_stays_a_span_where_another_entity_has_it_too() -> None:
    lines = [T["T2"], "T3\ttest 22 24\tCT", "A1\tNegation T2"]
    doc = note_to_doc(spacy.blank("en"), read(*lines), load_schema())
    test, (modifier,) = doc.ents[1], doc.spans["modifiers"]
    set_relations(doc, [*((r.head, r.modifier, r.score) for r in doc._.relations), (test, modifier, 1.0)], load_schema())
    again = note_to_doc(spacy.blank("en"), read(*brat_lines(doc)), load_schema())
    assert [r.key for r in again._.relations] == [r.key for r in doc._.relations]
    assert [r.head.text for r in again._.relations] == ["fever", "CT"]


def test_what_is_said_of_spans_survives_brat_doc_brat() -> None:
    lines = [
        T["T1"], T["T2"], "R1\thasAttr Arg1:T2 Arg2:T1\t", "A1\tCertainty T2 high", "N1\tReference T2 UMLS:C0015967",
        "#1\tAnnotatorNotes T1\tsure", '#2\tKiwiFailures T1\t[[9, 30, "out of memory"]]',
        '#3\tKiwiProvenance T1\t{"engine": "bert"}', '#4\tKiwiProblems T1\t{"span snapped to tokens": 2}',
    ]
    doc = note_to_doc(spacy.blank("en"), read(*lines), load_schema())
    assert sorted(brat_lines(doc)) == sorted(lines)
    assert (doc._.provenance, doc._.problems) == ({"engine": "bert"}, {"span snapped to tokens": 2})
    assert [(f.start_char, f.end_char, f.reason) for f in doc._.failures] == [(9, 30, "out of memory")]


def test_an_empty_note_that_is_incomplete_says_so() -> None:
    doc = spacy.blank("en")("fine")
    set_failures(doc, [NoAnswer(0, 4, "out of memory")])
    lines = brat_lines(doc)
    assert lines == ['#1\tKiwiFailures T0\t[[0, 4, "out of memory"]]']
    again = note_to_doc(spacy.blank("en"), read(*lines, text="fine"), load_schema())
    assert again._.failures == doc._.failures


_SPAN = "not a span: expected ID, TAB, 'label start end', TAB, text."
CASES: dict[str, tuple[list[str], str, int, int]] = {
    "underscore": (["T1\tproblem 0_0 8\tno fever"], f"n.ann, line 1: {_SPAN}", 0, 0),
    "fraction": (["T1\tproblem 3.9 8\tfever"], f"n.ann, line 1: {_SPAN}", 0, 0),
    "other-digits": (["T1\tproblem \u0663 \u0668\tfever"], f"n.ann, line 1: {_SPAN}", 0, 0),
    "sign": (["T1\tproblem +3 8\tfever"], f"n.ann, line 1: {_SPAN}", 0, 0),
    "5000-digits": (["T1\tproblem 3 " + "8" * 5000 + "\tfever"], f"n.ann, line 1: {_SPAN}", 0, 0),
    "three-ends": ([T["T2"], T["T1"], "R1\tx A:T2 B:T1 C:T1"],
                   "n.ann, line 3: not a link: expected ID, TAB, 'name Arg1:ID Arg2:ID'.", 2, 0),
    "empty-end": ([T["T2"], "R1\tx A:T2 B:"], "n.ann, line 2: not a link: expected ID, TAB, 'name Arg1:ID Arg2:ID'.", 1, 0),
    "id-twice": ([T["T2"], T["T1"].replace("T1", "T2")], "n.ann, line 2: T2 stands twice. The second is skipped.", 1, 0),
    "link-id-twice": ([T["T2"], T["T1"], "R1\tx A:T2 B:T1", "R1\tx A:T2 B:T1"],
                      "n.ann, line 4: R1 stands twice. Both are read.", 2, 1),
    "equivalence": ([T["T2"], "*\tEquiv T2 T1"],
                    "n.ann, line 2: * is an equivalence, which a Doc cannot hold. Link each of its spans by itself. "
                    "Skipped.", 1, 0),
    "free-comment": ([T["T2"], "# note"], "n.ann, line 2: # is a comment that belongs to no annotation. Skipped.", 1, 0),
    "comment-on-link": ([T["T2"], T["T1"], "R1\tx A:T2 B:T1", "#1\tNote R1\tx"],
                        "n.ann, line 4: #1 belongs to R1, which is no span, so a Doc cannot hold it. Skipped.", 2, 1),
    "dangling-attribute": ([T["T2"], "A1\tNegation T9"], "n.ann, line 2: A1 points to T9, which is not there. Skipped.", 1, 0),
    "attribute": ([T["T2"], "A1\tNegation"],
                  "n.ann, line 2: not an attribute: expected ID, TAB, 'name ID' or 'name ID value'.", 1, 0),
    "code": ([T["T2"], "N1\tReference T2"],
             "n.ann, line 2: not a normalisation: expected ID, TAB, 'name ID source:code', TAB, text.", 1, 0),
    "unknown-attribute": ([T["T2"], "A1\tSure T2 3", "A2\tSure T2 3"],
                          "n.ann, line 2: attribute 'Sure=3' is no modifier by the schema (2 lines kept as remarks alone). "
                          "Name it under 'attributes' of the schema, or leave it.", 1, 0),
    "attribute-of-modifier": ([T["T3"], "A1\tNegation T3"],
                              "n.ann, line 2: A1: 'severity' is no entity, so it takes no 'negation'. Correct A1, or change "
                              "'attributes' of the schema. Kept as a remark alone.", 1, 0),
    "bad-failures": ([T["T2"], "#1\tKiwiFailures T2\t[[0, 99, \"x\"]]"],
                     "n.ann, line 2: #1 is no KiwiFailures comment as this package writes it. Delete the line, or write the "
                     "file again. Skipped.", 1, 0),
}


@pytest.mark.parametrize(
    "lines, problem, spans, links",
    [
        *CASES.values(),
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
    ids=[*CASES, "dangling", "outside", "reversed", "words", "pieces", "short", "label", "stray", "piece-reversed",
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
