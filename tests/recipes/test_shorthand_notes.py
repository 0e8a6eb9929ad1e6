"""Marks and their links, rules and their choices, and notes of a seed."""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import spacy
from shorthand.grammar import Grammar, GrammarError, make_rule
from shorthand.markup import Marked, MarkupError, brat, join, misspell, parse_marked
from shorthand.notes import NoteWriter

from kiwi_spacy.formats.corpus import read_docs
from kiwi_spacy.schema import load_schema
from kiwi_spacy.study.annotation.rules import check_annotations

SCHEMA = load_schema()
RECIPE = Path(__file__).parents[2] / "recipes" / "lines.py"


def test_modifier_outside_entities_goes_to_all_of_its_scope_that_take_it() -> None:
    line = parse_marked("{[negation not given] [drug heparin]} for [problem bleeding], [test CT] [temporal today]", SCHEMA)
    assert line.linked() == [
        ("heparin", "negation", "not given"), ("heparin", "temporal", "today"), ("bleeding", "temporal", "today"),
        ("CT", "temporal", "today"),
    ]


def test_modifier_within_an_entity_goes_to_that_entity_alone() -> None:
    line = parse_marked("[problem [bodyloc neck] pain], [problem fever]", SCHEMA)
    assert line.linked() == [("neck pain", "bodyloc", "neck")]


def test_escaped_brackets_are_text_and_a_caret_is_a_capital() -> None:
    assert parse_marked("^[test k] \\[[reference_range 3-5]\\]", SCHEMA).text == "K [3-5]"


@pytest.mark.parametrize("marked,message", [
    ("[symptom fever]", "no label 'symptom'"),
    ("[problem fever", "does not close"),
    ("fever]", "closes nothing"),
    ("fever}", "not open"),
    ("[strength 40 mg] [problem fever]", "nothing here takes 'strength'"),
    ("[problem the [drug aspirin] rash]", "an entity within an entity"),
], ids=["label", "open", "close", "scope", "pair", "nested"])
def test_a_line_that_cannot_be_read_says_why(marked: str, message: str) -> None:
    with pytest.raises(MarkupError, match=message):
        parse_marked(marked, SCHEMA)


def test_lines_joined_keep_their_spans_and_links() -> None:
    line = parse_marked("[negation no] [problem fever]", SCHEMA)
    assert join([Marked("ROS:"), line, line]).linked() == line.linked() * 2


def test_brat_lines_number_spans_and_links_from_one() -> None:
    assert brat(parse_marked("[negation no] [problem fever]", SCHEMA)) == (
        "T1\tnegation 0 2\tno\nT2\tproblem 3 8\tfever\nR1\thasAttr Arg1:T2 Arg2:T1\n"
    )


def test_choices_hold_choices_and_brackets() -> None:
    grown = {Grammar({}).grow("~(a~(b|c)|(d))", random.Random(seed)) for seed in range(40)}
    assert grown == {"ab", "ac", "(d)"}


def test_weights_say_how_often_a_form_is_taken() -> None:
    grammar = Grammar({"no": make_rule("no", ["3* no", "not"])})
    counts = Counter(grammar.grow("$no", random.Random(seed)) for seed in range(2000))
    assert 1400 < counts["no"] < 1600


def test_a_long_rule_names_different_things_in_one_line() -> None:
    grammar = Grammar({"letter": make_rule("letter", list("abcdefgh"))})
    assert sorted(grammar.grow("$letter" * 8, random.Random(1))) == list("abcdefgh")


@pytest.mark.parametrize("form,message", [("$nothing", "no rule"), ("~(a|b", "does not close")], ids=["rule", "choice"])
def test_a_form_that_cannot_grow_says_why(form: str, message: str) -> None:
    with pytest.raises(GrammarError, match=message):
        Grammar({}).grow(form, random.Random(0))


def test_a_slip_keeps_short_words_and_first_letters() -> None:
    assert misspell("pain", random.Random(0)) == "pain"
    assert all(misspell("metoprolol", random.Random(seed))[0] == "m" for seed in range(20))


def test_a_seed_gives_the_same_notes_however_many() -> None:
    assert list(NoteWriter(5).notes(3)) == list(NoteWriter(5).notes(5))[:3]
    assert NoteWriter(6).note(0) != NoteWriter(5).note(0)


def test_notes_keep_the_rules_of_annotation_and_the_schema(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(RECIPE), "--out", str(tmp_path), "--notes", "25", "--seed", "11"], check=True)
    assert [str(found) for found in check_annotations(tmp_path, SCHEMA) if found.severity != "hint"] == []
    docs = list(read_docs(tmp_path, spacy.blank("en"), SCHEMA))
    assert len(docs) == 25
    assert all(8 <= doc.text.count("\n") <= 60 for doc in docs)


def test_every_label_of_the_schema_is_written() -> None:
    labels = Counter(label for _, note in NoteWriter(2).notes(40) for label, *_ in note.spans)
    assert set(labels) == {*SCHEMA.entities, *SCHEMA.modifiers}
