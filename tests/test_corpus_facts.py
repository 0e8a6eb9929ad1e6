"""The gold of values, status and sections of our own notes: whether it is whole, and how well the rules do on it."""

from pathlib import Path

import pytest

from kiwi_spacy.components.cues import load_cues
from kiwi_spacy.formats.brat import BratNote, read_folder
from kiwi_spacy.study.fact_gold import FactGold
from kiwi_spacy.study.facts import (
    NoteFacts,
    Rates,
    given_folder,
    heading_rates,
    judge_status,
    judge_values,
    status_counts,
    value_counts,
    value_rates,
)

CORPUS = Path(__file__).parent.parent / "corpus"
NOTES = {note.name: note for note in read_folder(CORPUS / "test") if isinstance(note, BratNote)}
READERS = load_cues().readers
ENTITIES = ("problem", "treatment", "test", "drug")
# What the rules reach, less a little: a change that costs more is to be looked at.
ACCURACY = {"certainty": 0.985, "time": 0.97, "experiencer": 0.985, "condition": 0.985, "use": 0.94}

Judging = tuple[FactGold, dict[str, NoteFacts]]


@pytest.fixture(scope="module")
def judging() -> Judging:
    """The gold of the test part, and what the rules tell of its spans."""
    return given_folder(CORPUS / "test")


def test_each_span_with_a_value_has_one_line_of_gold(judging: Judging) -> None:
    wanted = {(n.name, s.start_char, s.end_char, s.label) for n in NOTES.values() for s in n.spans if s.label in READERS}
    assert wanted == {(name, *span) for name, rows in (judging[0].values or {}).items() for span in rows}


def test_each_entity_of_half_the_notes_has_one_line_of_status(judging: Judging) -> None:
    table = judging[0].status or {}
    assert {name.split("-")[0] for name in table} == {name.split("-")[0] for name in NOTES}  # all four styles
    assert len(table) >= len(NOTES) / 2
    wanted = {(name, s.start_char, s.end_char, s.label) for name in table for s in NOTES[name].spans if s.label in ENTITIES}
    assert wanted == {(name, *span) for name, rows in table.items() for span in rows}


def test_values_of_given_spans_reach_their_floor(judging: Judging) -> None:
    judged = judge_values(*judging, "given")
    assert value_rates(judged).f1 >= 0.98
    assert value_counts(judged)["wrong"] == 0


@pytest.mark.parametrize("axis", ACCURACY)
def test_status_of_given_entities_reaches_its_floor(axis: str, judging: Judging) -> None:
    accuracy, _ = status_counts(judge_status(*judging, "given"), axis)
    assert accuracy >= ACCURACY[axis]


def test_headings_of_all_parts_are_found(judging: Judging) -> None:
    parts = [heading_rates(*each) for each in (judging, given_folder(CORPUS / "train"), given_folder(CORPUS / "dev"))]
    gold, found, right = (sum(getattr(part, each) for part in parts) for each in ("gold", "found", "right"))
    assert Rates(gold, found, right) == Rates(662, 665, 655)  # F1 0.987
