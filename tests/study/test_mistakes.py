"""Mistakes by kind, counted by hand; what scores are worth; labels of another scheme."""

from pathlib import Path

import pytest

from kiwi_spacy.errors import FormatError
from kiwi_spacy.formats.brat import parse_ann
from kiwi_spacy.formats.label_map import LabelMap, load_label_map
from kiwi_spacy.schema import load_schema
from kiwi_spacy.scoring import Annotations
from kiwi_spacy.study.comparison.calibration import Scored, calibration_error, reliability, threshold_for, thresholds
from kiwi_spacy.study.comparison.errors import find_mistakes
from kiwi_spacy.study.comparison.systems import Found, in_labels_of, note_annotations, on_matched

SCHEMA = load_schema()


def note(*spans: tuple[int, int, str], links: tuple = ()) -> Annotations:
    return Annotations(frozenset(spans), frozenset(links))


@pytest.mark.parametrize(
    "gold, pred, kinds",
    [
        ([(0, 10, "problem")], [(4, 10, "problem")], ["boundary short"]),
        ([(4, 10, "problem")], [(0, 10, "problem")], ["boundary long"]),
        ([(0, 8, "problem")], [(4, 12, "problem")], ["boundary shifted"]),
        ([(0, 8, "problem")], [(0, 8, "test")], ["wrong type"]),
        ([(0, 8, "problem")], [], ["missed"]),
        ([], [(0, 8, "problem")], ["invented"]),
        ([(0, 20, "problem")], [(0, 8, "problem"), (9, 20, "problem")], ["boundary short", "invented"]),
        ([(0, 8, "problem"), (9, 20, "problem")], [(0, 20, "problem")], ["boundary long", "missed"]),
        ([(0, 8, "problem")], [(0, 8, "Problem")], []),
        ([(0, 8, "problem")], [(8, 12, "problem")], ["invented", "missed"]),
    ],
    ids=["short", "long", "shifted", "type", "missed", "invented", "cut-in-two", "joined", "case", "touching"],
)
def test_mistakes_of_spans(gold: list, pred: list, kinds: list[str]) -> None:
    assert sorted(m.kind for m in find_mistakes(note(*gold), note(*pred), SCHEMA)) == kinds


def test_every_item_that_is_not_right_is_in_one_mistake() -> None:
    gold = note((0, 5, "problem"), (6, 9, "drug"), (10, 20, "test"), (30, 33, "negation"))
    pred = note((0, 4, "problem"), (6, 9, "test"), (12, 15, "test"), (16, 18, "test"), (30, 33, "negation"))
    found = find_mistakes(gold, pred, SCHEMA)
    assert {m.gold for m in found if m.gold} == gold.spans - pred.spans
    assert {m.pred for m in found if m.pred} == pred.spans - gold.spans
    assert sum(m.gold is not None for m in found) + sum(m.pred is not None for m in found) == 3 + 4


def test_links_of_wrong_spans_are_told_from_wrong_links() -> None:
    fever, cough, no, mild = (0, 5, "problem"), (6, 11, "problem"), (12, 14, "negation"), (15, 19, "severity")
    gold = note(fever, cough, no, mild, links=((fever, no), (cough, mild)))
    pred = note(fever, no, mild, links=((no, fever), (fever, mild)))
    found = [(m.kind, m.label) for m in find_mistakes(gold, pred, SCHEMA) if m.task == "relations"]
    assert found == [("link of a wrong span", "problem-severity"), ("wrong link", "problem-severity")]


def test_thresholds_take_equal_scores_together() -> None:
    items = [Scored(0.9, True), Scored(0.5, True), Scored(0.5, False), Scored(0.2, False)]
    assert [(p.threshold, p.precision, p.recall, p.kept) for p in thresholds(items, 4)] == [
        (0.2, 0.5, 0.5, 4), (0.5, 2 / 3, 0.5, 3), (0.9, 1.0, 0.25, 1),
    ]
    assert threshold_for(items, 4, 0.6).threshold == 0.5
    assert threshold_for([Scored(0.9, False)], 4, 0.6) is None
    assert thresholds([], 4) == []


def test_calibration_error_is_nought_where_scores_say_the_truth() -> None:
    items = [Scored(0.75, i % 4 > 0) for i in range(40)]
    assert calibration_error(items) == pytest.approx(0)
    assert reliability([Scored(1.0, True)])[0].right == 1.0
    assert calibration_error([]) is None


ANN = """T1\tMedication 0 7\taspirin
E1\tMedication:T1
T2\tDosage 8 13\t81 mg
T3\tDuration 14 21\t2 weeks
T4\tSign_symptom 26 30\tpain
T5\tDuration 31 38\t3 weeks
T6\tAge 39 42\told
R1\tMODIFY Arg1:T2 Arg2:E1
R2\tMODIFY Arg1:T3 Arg2:E1
R3\tMODIFY Arg1:T5 Arg2:T4
R4\tBEFORE Arg1:T5 Arg2:T1
R5\tMODIFY Arg1:T6 Arg2:T4
"""
TEXT = "aspirin 81 mg 2 weeks for pain 3 weeks old"


def test_label_map_reads_another_scheme() -> None:
    read = parse_ann("n", TEXT, ANN, schema=SCHEMA, label_map=load_label_map("maccrobat", SCHEMA))
    aspirin, pain = (0, 7, "drug"), (26, 30, "problem")
    assert note_annotations(read) == Annotations(
        frozenset({aspirin, (8, 13, "dosage"), (14, 21, "duration"), pain, (31, 38, "temporal")}),
        frozenset({(aspirin, (8, 13, "dosage")), (aspirin, (14, 21, "duration")), (pain, (31, 38, "temporal"))}),
    )
    assert read.problems == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_label_that_depends_on_a_link_does_not_depend_on_their_order(order: tuple[int, int]) -> None:
    links = ["R1\tMODIFY Arg1:T2 Arg2:T1\n", "R2\tMODIFY Arg1:T2 Arg2:T3\n"]
    ann = "T1\tMedication 0 7\taspirin\nT2\tDuration 8 15\t2 weeks\nT3\tSign_symptom 20 24\tpain\n"
    read = parse_ann(
        "n", "aspirin 2 weeks for pain", ann + "".join(links[i] for i in order), schema=SCHEMA,
        label_map=load_label_map("maccrobat", SCHEMA),
    )
    assert note_annotations(read).links == {((0, 7, "drug"), (8, 15, "duration"))}


def test_label_map_leaves_out_of_predictions_what_the_scheme_does_not_mark() -> None:
    label_map = load_label_map("maccrobat", SCHEMA)
    drug, strength, form = (0, 7, "drug"), (8, 13, "strength"), (14, 20, "form")
    everything = note(drug, strength, form, links=((drug, strength), (drug, form)))
    found = Found([everything], [{drug: 0.9, form: 0.8, (drug, form): 1.0}])
    moved = in_labels_of(found, label_map)
    assert moved.notes == [note(drug, (8, 13, "dosage"), links=((drug, (8, 13, "dosage")),))]
    assert moved.scores == [{drug: 0.9}]


@pytest.mark.parametrize(
    "text, message",
    [
        ("spans: {Drug: medicine}", "'medicine' is no label of the schema"),
        ("spans: {Drug: {drug: drug}}", "needs 'else'"),
        ("spans: {Drug: {else: drug, thing: drug}}", "'thing' is neither"),
        ("labels: {Drug: drug}", "needs 'spans'"),
        ("spans: {Drug: drug}\nmore: 1", "unknown key more"),
        ("spans: {Drug: drug}\nlinks: MODIFY", "'links' is a list"),
        ("spans: {Drug: drug}\nours: {strenght: dosage}", "'strenght' is no label"),
        ("spans: {Drug: [drug]}", "is no label of the schema"),
    ],
)
def test_a_label_map_that_does_not_fit_is_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "map.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        load_label_map(str(file), SCHEMA)
    with pytest.raises(FormatError, match="maccrobat"):
        load_label_map("no-such-map", SCHEMA)


def test_links_on_matched_spans_forgive_borders() -> None:
    gold = note((0, 10, "problem"), (12, 15, "negation"), links=(((0, 10, "problem"), (12, 15, "negation")),))
    pred = note((4, 10, "problem"), (12, 15, "negation"), links=(((4, 10, "problem"), (12, 15, "negation")),))
    assert on_matched(gold, pred, SCHEMA) == (note(links=tuple(gold.links)), note(links=tuple(gold.links)))
    assert on_matched(gold, note(), SCHEMA) == (note(), note())
    assert LabelMap("x", {}).marked == frozenset()
