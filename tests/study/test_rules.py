"""The annotation rules: each finds its slip at file and line, and passes over what the guide allows."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from kiwi_spacy.errors import FormatError
from kiwi_spacy.schema import load_schema, schema_from_dict
from kiwi_spacy.study.annotation.rules import RULES, Finding, check_annotations

CORPUS = Path(__file__).parent.parent.parent / "corpus"
SHARED = os.environ.get("KIWI_SHARED")
SCHEMA = load_schema()
Spans = Sequence[tuple[str, str]]


def annotate(text: str, *marks: tuple[str, str] | str) -> str:
    """Return .ann lines: a mark is (label, words), found at their first place, or a line as it is to stand."""
    lines = []
    for i, mark in enumerate(marks, 1):
        if isinstance(mark, str):
            lines.append(mark)
            continue
        label, words = mark
        start = text.index(words)
        lines.append(f"T{i}\t{label} {start} {start + len(words)}\t" + words.replace("\n", " "))
    return "\n".join(lines)


def check(folder: Path, text: str, *marks: tuple[str, str] | str) -> list[Finding]:
    (folder / "n.txt").write_bytes(text.encode())
    (folder / "n.ann").write_bytes(annotate(text, *marks).encode())
    return check_annotations(folder, SCHEMA)


LINK = "R1\tx Arg1:T1 Arg2:T2"
FEVER = ("problem", "fever")
NO = ("negation", "no")

SLIPS = {
    "line": ("unreadable-line", 2, "no fever", [FEVER, "what is this"]),
    "offsets": ("outside-note", 1, "no fever", ["T1\tproblem 3 99\tfever"]),
    "id": ("repeated-id", 2, "no fever", [FEVER, "T1\tnegation 0 2\tno"]),
    "label": ("unknown-label", 1, "no fever", [("disease", "fever")]),
    "pieces": ("pieces", 1, "left and right arm pain", ["T1\tproblem 0 4;15 23\tleft arm pain"]),
    "no words": ("no-words", 1, "no fever", ["T1\tproblem 3 8"]),
    "words": ("other-words", 1, "no fever", ["T1\tproblem 3 8\tchills"]),
    "no end": ("missing-end", 2, "no fever", [FEVER, "R1\tx Arg1:T1 Arg2:T9"]),
    "two entities": ("wrong-ends", 3, "fever, cough", [FEVER, ("problem", "cough"), LINK]),
    "two modifiers": ("wrong-ends", 3, "no mild", [NO, ("severity", "mild"), LINK]),
    "pair": ("pair", 3, "CT 5 mg", [("test", "CT"), ("strength", "5 mg"), LINK]),
    "attribute": ("unknown-attribute", 2, "no fever", [FEVER, "A1\tSure T1 3"]),
    "equivalence": ("left-out", 2, "no fever", [FEVER, "*\tEquiv T1 T2"]),
    "turned": ("turned-link", 3, "no fever", [NO, FEVER, LINK]),
    "link twice": ("repeated-link", 4, "no fever", [FEVER, NO, LINK, "R2\tx Arg1:T1 Arg2:T2"]),
    "far": ("far-link", 3, "no pain\n \nfever", [FEVER, NO, LINK]),
    "overlap": ("overlap", 2, "chest pain scale", [("problem", "chest pain"), ("test", "pain scale")]),
    "same place": ("overlap", 2, "a rash", [("problem", "rash"), ("test", "rash")]),
    "inside": ("inside", 2, "no fever", [("problem", "no fever"), NO, LINK]),
    "beside its entity but in another": ("inside", 3, "no breath, fever", [FEVER, ("problem", "no breath"), NO]),
    "unlinked": ("unlinked", 2, "no fever", [FEVER, NO]),
    "unlinked date": ("unlinked", 1, "seen 2/11", [("temporal", "2/11")]),
    "twice": ("repeated-span", 2, "no fever", [FEVER, FEVER]),
    "space before": ("white-space", 1, "no fever", [("problem", " fever")]),
    "space alone": ("white-space", 1, "no fever", [("problem", " ")]),
    "comma": ("punctuation", 1, "fever, cough", [("problem", "fever,")]),
    "stop": ("punctuation", 1, "has fever.", [("problem", "fever.")]),
    "stop of a number": ("punctuation", 1, "took 2.3.", [("labvalue", "2.3.")]),
    "bracket": ("punctuation", 1, "sulfa (hives)", [("problem", "(hives")]),
    "list mark": ("punctuation", 1, "- CBC", [("test", "- CBC")]),
    "article": ("article", 1, "for the fever", [FEVER]),
    "possessive": ("article", 1, "Her fever rose", [FEVER]),
    "line end": ("line-end", 1, "chest\r\npain", [("problem", "chest\r\npain")]),
    "in a word": ("part-of-word", 1, "has feverish nights", [FEVER]),
    "phrase": ("cut-phrase", 1, "pain in the chest", [("problem", "pain"), ("bodyloc", "chest"), LINK]),
    "two names": ("split-name", 1, "DM (diabetes)", [("problem", "DM"), ("problem", "diabetes")]),
}
FINE = {
    "attribute of the schema": ("unknown-attribute", "no fever", [FEVER, "A1\tNegation T1"]),
    "comment on a span": ("left-out", "no fever", [FEVER, "#1\tAnnotatorNotes T1\tsure"]),
    "lines": ("unreadable-line", "no fever", [FEVER, "#1\tAnnotatorNotes T1\twhat is this"]),
    "offsets": ("outside-note", "no fever", ["T1\tproblem 3 8\tfever"]),
    "ids": ("repeated-id", "no fever", [FEVER, NO]),
    "label in capitals": ("unknown-label", "no fever", [("PROBLEM", "fever")]),
    "one piece": ("pieces", "no fever", [FEVER]),
    "words": ("no-words", "no fever", [FEVER]),
    "words at a line end": ("other-words", "chest\npain", [("problem", "chest\npain")]),
    "ends": ("missing-end", "no fever", [FEVER, NO, LINK]),
    "entity and modifier": ("wrong-ends", "no fever", [FEVER, NO, LINK]),
    "pair": ("pair", "aspirin 5 mg", [("drug", "aspirin"), ("strength", "5 mg"), LINK]),
    "entity first": ("turned-link", "no fever", [FEVER, NO, LINK]),
    "two heads": ("repeated-link", "no fever, cough", [FEVER, NO, LINK, ("problem", "cough"), "R2\tx Arg1:T4 Arg2:T2"]),
    "next line": ("far-link", "no pain\r\nfever", [FEVER, NO, LINK]),
    "side by side": ("overlap", "chest pain", [("test", "chest "), ("problem", "pain")]),
    "location inside": ("inside", "knee pain", [("problem", "knee pain"), ("bodyloc", "knee"), LINK]),
    "before": ("inside", "no fever", [("problem", " fever"), NO, LINK]),
    "linked": ("unlinked", "no fever", [FEVER, NO, LINK]),
    "two labels": ("repeated-span", "a rash", [("problem", "rash"), ("severity", "rash")]),
    "no space": ("white-space", "no fever ", [FEVER]),
    "abbreviation": ("punctuation", "takes b.i.d.", [("frequency", "b.i.d.")]),
    "short abbreviation": ("punctuation", "for 2 mos.", [("duration", "2 mos.")]),
    "signs": ("punctuation", "Na <5, 2+, -1, .5, 7 %, ?", [
        ("labvalue", "<5"), ("labvalue", "2+"), ("labvalue", "-1"), ("labvalue", ".5"), ("labvalue", "7 %"),
        ("uncertain", "?"),
    ]),
    "both brackets": ("punctuation", "DM (diabetes)", [("problem", "DM (diabetes)")]),
    "article inside": ("article", "for the fever", [("problem", "the fever")]),
    "time between": ("article", "a recent fever", [FEVER, ("temporal", "recent")]),
    "object": ("article", "gave her aspirin", [("drug", "aspirin")]),
    "letter": ("article", "hepatitis A virus", [("problem", "virus")]),
    "line before": ("article", "for the\nfever", [FEVER]),
    "in another span": ("article", "the fever", [FEVER, ("subject", "the")]),
    "one line": ("line-end", "has fever\n", [FEVER]),
    "unit": ("part-of-word", "took 5mg", [("strength", "5"), ("form", "mg")]),
    "whole phrase": ("cut-phrase", "pain in the chest", [("problem", "pain in the chest"), ("bodyloc", "chest"), LINK]),
    "shared location": ("cut-phrase", "swelling, pain of the wrist", [
        ("problem", "pain"), ("bodyloc", "wrist"), LINK, ("problem", "swelling"), "R2\tx Arg1:T4 Arg2:T2",
    ]),
    "another in brackets": ("split-name", "sulfa (hives)", [("drug", "sulfa"), ("problem", "hives")]),
}


@pytest.mark.parametrize("kind, line, text, marks", SLIPS.values(), ids=SLIPS)
def test_rule_finds_a_slip(tmp_path: Path, kind: str, line: int, text: str, marks: list[tuple[str, str] | str]) -> None:
    assert [(f.file, f.line) for f in check(tmp_path, text, *marks) if f.kind == kind] == [("n.ann", line)]


@pytest.mark.parametrize("kind, text, marks", FINE.values(), ids=FINE)
def test_rule_passes_over_what_is_right(tmp_path: Path, kind: str, text: str, marks: list[tuple[str, str] | str]) -> None:
    assert [f for f in check(tmp_path, text, *marks) if f.kind == kind] == []


def test_findings_say_place_rule_and_mend(tmp_path: Path) -> None:
    assert check(tmp_path, "Gave the aspirin,", ("drug", "aspirin,"), "R7\tx Arg1:T1 Arg2:T9") == [
        Finding("n.ann", 1, "article", "T1 ('drug', 9-17) leaves out the article or possessive before it. "
                "Widen it to start at 5.", 9, 17, "warning"),
        Finding("n.ann", 1, "punctuation", "T1 ('drug', 9-17) takes in punctuation that is not of the phrase. "
                "Shrink it to 9-16.", 9, 17, "warning"),
        Finding("n.ann", 2, "missing-end", "R7 points to T9, which is not there. Skipped. "
                "Correct the id, or delete the line.", None, None, "error"),
    ]
    assert str(check_annotations(tmp_path, SCHEMA)[2]).startswith("n.ann, line 2: R7 points to T9")


def test_an_unlinked_date_is_a_hint_and_others_are_warnings(tmp_path: Path) -> None:
    found = check(tmp_path, "no, on 2/11", NO, ("temporal", "2/11"))
    assert [(f.line, f.kind, f.severity) for f in found] == [(1, "unlinked", "warning"), (2, "unlinked", "hint")]


def test_a_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    files = {
        "a.txt": b"x", "b.ann": b"", "c.txt": b"ok\n\xff", "c.ann": b"", "d.txt": b"x", "d.ann": b"",
        "w/e.txt": b"no fever", "w/e.ann": b"\nT1\tproblem 3 99\tfever",
    }
    (tmp_path / "w").mkdir()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert [(f.file, f.line, f.kind, f.severity) for f in check_annotations(tmp_path, SCHEMA)] == [
        ("a.txt", 0, "no-annotations", "error"), ("b.ann", 0, "no-text", "error"), ("c.txt", 2, "unreadable-file", "error"),
        ("d.ann", 0, "empty", "warning"), ("w/e.ann", 2, "outside-note", "error"),
    ]
    messages = {f.kind: f.message for f in check_annotations(tmp_path, SCHEMA)}
    assert messages["unreadable-file"] == "not UTF-8 at byte 3 of the file. Convert it to UTF-8."
    assert messages["no-annotations"] == "no a.ann beside it. Add one, empty if nothing is there."


def test_texts_may_lie_elsewhere(tmp_path: Path) -> None:
    for place in ("ann", "txt"):
        (tmp_path / place).mkdir()
    (tmp_path / "txt" / "n.txt").write_text("no fever")
    (tmp_path / "ann" / "n.ann").write_text("T1\tproblem 3 8\tfever")
    assert check_annotations(tmp_path / "ann", SCHEMA, text_dir=tmp_path / "txt") == []
    with pytest.raises(FormatError, match="nowhere"):
        check_annotations(tmp_path / "nowhere", SCHEMA)


def names(folder: Path, *notes: tuple[str, Spans], kind: str) -> list[Finding]:
    for i, (text, marks) in enumerate(notes):
        (folder / f"{i}.txt").write_text(text)
        (folder / f"{i}.ann").write_text(annotate(text, *marks))
    return [f for f in check_annotations(folder, SCHEMA) if f.kind == kind]


MARKED: list[tuple[str, Spans]] = [("Chest pain.", [("problem", "Chest pain")])] * 3


def test_words_marked_elsewhere_and_not_here_are_a_hint(tmp_path: Path) -> None:
    (found,) = names(tmp_path, *MARKED, ("cough\nor chest\npain", [("problem", "cough")]), kind="unmarked")
    assert (found.file, found.line, found.start_char, found.end_char, found.severity) == ("3.txt", 2, 9, 19, "hint")
    assert found.message == (
        "The words at 9-19 are marked 'problem' 3 times in these notes, as in 0.ann, line 1, but not here. "
        "Mark them, unless they are part of a longer name or said in passing."
    )


@pytest.mark.parametrize(
    "notes",
    [
        [*MARKED[:2], ("the chest pain", [])],
        [*MARKED, ("the chest pain", [("problem", "the chest pain")])],
        [*MARKED, ("severe chest pain", [("problem", "severe chest pain")])],
        [*MARKED, ("Chest pain: see below. Non-chest pain", [])],
        [*MARKED, ("chest pain, chest pain", [])],
        [("US today", [("test", "US")])] * 3 + [("told us", [])],
        [("K 4", [("test", "K")])] * 3 + [("Mrs. K left", [])],
    ],
    ids=["rare", "article", "longer", "heading or compound", "common", "short", "letter"],
)
def test_words_without_a_mark_that_are_no_hint(tmp_path: Path, notes: list[tuple[str, Spans]]) -> None:
    assert names(tmp_path, *notes, kind="unmarked") == []


def test_the_same_words_under_two_labels_are_a_hint(tmp_path: Path) -> None:
    (found,) = names(tmp_path, *MARKED, ("chest pain", [("test", "chest pain")]), kind="two-labels")
    assert (found.file, found.line, found.severity) == ("3.ann", 1, "hint")
    assert found.message == (
        "The words of T1 ('test', 0-10) are marked 'test' once in these notes and 'problem' 3 times. "
        "See which label is right here."
    )
    assert names(tmp_path, *MARKED[:2], ("none", []), ("chest pain", [("test", "chest pain")]), kind="two-labels") == []


def test_every_rule_is_tested_and_said_in_a_sentence() -> None:
    elsewhere = {"unreadable-file", "no-text", "no-annotations", "empty", "unmarked", "two-labels"}
    assert {kind for kind, *_ in SLIPS.values()} | elsewhere == set(RULES)
    assert {kind for kind, *_ in FINE.values()} | elsewhere == set(RULES)
    assert [rule for rule in RULES.values() if not (rule[0].isupper() and rule.endswith("."))] == []


def test_labels_and_what_may_lie_inside_come_from_the_schema(tmp_path: Path) -> None:
    schema = schema_from_dict({
        "entities": {"animal": {}, "plant": {}},
        "modifiers": {"colour": {"modifies": ["animal"], "inside": True}, "age": {"modifies": ["animal"]}},
    })
    text = "old red cow"
    (tmp_path / "n.txt").write_text(text)
    marks = [("animal", text), ("colour", "red"), ("age", "old"), LINK, "R2\tx Arg1:T1 Arg2:T3"]
    (tmp_path / "n.ann").write_text(annotate(text, *marks))
    (found,) = check_annotations(tmp_path, schema)
    assert (found.kind, found.line) == ("inside", 3)
    assert "Modifiers that may: colour." in found.message


def test_findings_hold_no_word_of_the_note(tmp_path: Path) -> None:
    text = "zebra1 zebra2, the zebra3\nzebra4 zebra5zebra6 (zebra7) of zebra8 "
    marks = [
        ("problem", " zebra2,"), ("test", "zebra2"), ("problem", "zebra3\nzebra4"), ("negation", "zebra5"),
        ("problem", "zebra7"), ("bodyloc", "zebra8"), "T9\tproblem 1 900\tzebra", "zebra", "R1\tx Arg1:T5 Arg2:T4",
        "R2\tx Arg1:T5 Arg2:T6",
    ]
    found = check(tmp_path, text, *marks)
    assert len({f.kind for f in found}) >= 8
    assert [f for f in found if "zebra" in f.message] == []


@pytest.mark.parametrize("part", ["train", "dev", "test"])
def test_our_own_corpus_has_no_error(part: str) -> None:
    assert [str(f) for f in check_annotations(CORPUS / part, SCHEMA) if f.severity == "error"] == []


@pytest.mark.skipif(not SHARED, reason="KIWI_SHARED does not name the folder that holds mtsamples/train")
def test_the_known_blemishes_of_mtsamples_are_its_only_errors() -> None:
    found = check_annotations(Path(str(SHARED)) / "mtsamples" / "train", SCHEMA)
    assert Counter(f.kind for f in found if f.severity == "error") == {"other-words": 1, "unreadable-line": 1}
    assert Counter(f.kind for f in found)["line-end"] == 1
