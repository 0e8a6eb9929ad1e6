"""The gold of values and status of our own test notes: whether it fits the annotation, and how well the rules do on it."""

import json
import runpy
from pathlib import Path

import pytest

from kiwi_spacy.components.cues import load_cues
from kiwi_spacy.formats.brat import BratNote, read_folder

ROOT = Path(__file__).parent.parent
FACTS = runpy.run_path(str(ROOT / "benchmarks/facts.py"))
NOTES = {note.name: note for note in read_folder(ROOT / "corpus/test") if isinstance(note, BratNote)}
READERS = load_cues().readers
ENTITIES = ("problem", "treatment", "test", "drug")
WORDS = {
    "certainty": {"present", "possible", "absent"},
    "time": {"current", "historical"},
    "experiencer": {"patient", "family", "other"},
    "condition": {"-", "conditional", "hypothetical"},
    "use": {"-", "taking", "stopped", "planned", "refused", "allergy"},
}
# What the rules reach, less a little: a change that costs more is to be looked at.
ACCURACY = {"certainty": 0.985, "time": 0.97, "experiencer": 0.985, "condition": 0.985, "use": 0.94}


def table(name: str) -> list[list[str]]:
    return list(FACTS["rows"](ROOT / "corpus/test" / name))


@pytest.mark.parametrize("name, width", [("values.tsv", 6), ("status.tsv", 10)])
def test_lines_of_the_gold_stand_at_their_words(name: str, width: int) -> None:
    for line in table(name):
        note, start, end, _, words, *_ = line
        assert len(line) == width
        assert NOTES[note].text[int(start) : int(end)] == words, line


def test_each_span_with_a_value_has_one_line_of_gold() -> None:
    wanted = [(n.name, s.start_char, s.end_char, s.label) for n in NOTES.values() for s in n.spans if s.label in READERS]
    lines = table("values.tsv")
    assert sorted(wanted) == sorted((note, int(start), int(end), label) for note, start, end, label, *_ in lines)
    for line in lines:
        assert json.loads(line[5]) is None or isinstance(json.loads(line[5]), dict)


def test_each_entity_of_half_the_notes_has_one_line_of_status() -> None:
    lines = table("status.tsv")
    notes = {line[0] for line in lines}
    assert {name.split("-")[0] for name in notes} == {name.split("-")[0] for name in NOTES}  # all four styles
    assert len(notes) >= len(NOTES) / 2
    spans = [(name, span) for name in notes for span in NOTES[name].spans if span.label in ENTITIES]
    wanted = [(name, span.start_char, span.end_char, span.label) for name, span in spans]
    assert sorted(wanted) == sorted((note, int(start), int(end), label) for note, start, end, label, *_ in lines)
    for line in lines:
        for axis, said in zip(WORDS, line[5:], strict=True):
            assert said in WORDS[axis] | {"?"}, line


def test_values_of_given_spans_reach_their_floor() -> None:
    judged = FACTS["own_values"]()
    assert FACTS["value_f1"](judged) >= 0.98
    assert FACTS["value_counts"](judged)["wrong"] == 0


@pytest.mark.parametrize("axis", ACCURACY)
def test_status_of_given_entities_reaches_its_floor(axis: str) -> None:
    accuracy, _ = FACTS["status_counts"](FACTS["own_status"](), axis)
    assert accuracy >= ACCURACY[axis]
