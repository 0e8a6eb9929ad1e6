"""Hand-counted scores, and agreement with the referee where it is at hand."""

import importlib.util
import os
import random
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from kiwi_spacy.contract import set_modifiers, set_relations
from kiwi_spacy.schema import load_schema
from kiwi_spacy.scoring import RULES, Annotations, create_scorer, doc_annotations, format_table, score_notes

SHARED = os.environ.get("KIWI_SHARED")
FEVER, COUGH, NO = (10, 15, "problem"), (20, 25, "problem"), (7, 9, "negation")


def note(*spans: Any, links: Any = ()) -> Annotations:
    return Annotations(frozenset(spans), frozenset(links))


@pytest.mark.parametrize(
    "gold, pred, expected",
    [
        ([FEVER, COUGH], [FEVER], (1, 1, 1, 1)),
        ([FEVER, COUGH], [(10, 25, "problem")], (0, 1, 2, 1)),
        ([(0, 30, "problem")], [FEVER, COUGH], (0, 1, 1, 2)),
        ([FEVER], [(10, 15, "drug")], (0, 0, 0, 0)),
        ([FEVER], [(15, 19, "problem")], (0, 0, 0, 0)),
        ([(0, 4, "drug"), (3, 9, "drug")], [(2, 5, "drug"), (0, 2, "drug")], (0, 2, 2, 2)),
        ([FEVER, (9, 16, "problem")], [FEVER], (1, 1, 2, 1)),
        ([FEVER], [], (0, 0, 0, 0)),
        ([], [FEVER], (0, 0, 0, 0)),
        ([FEVER, (0, 4, "disease")], [FEVER], (1, 1, 1, 1)),
    ],
    ids=["missed", "huge", "fragments", "label", "touching", "augmenting", "nested", "nothing-found", "invented", "foreign"],
)
def test_score_notes_counts_entities(gold: list, pred: list, expected: tuple[int, int, int, int]) -> None:
    total = score_notes([(note(*gold), note(*pred))]).entities.total
    found = (total.found["exact"], total.found["relaxed"], total.found["overlap"], total.right["overlap"])
    assert found == expected
    assert total.right["relaxed"] == total.found["relaxed"]


def test_score_notes_misses_the_links_of_a_missed_entity() -> None:
    gold = note(FEVER, COUGH, NO, links=[(FEVER, NO), (COUGH, NO)])
    pred = note(FEVER, NO, links=[(FEVER, NO)])
    result = score_notes([(gold, pred)]).to_dict()["relations"]
    rate = {"p": 1.0, "r": 0.5, "f": 0.6667}
    row = {"gold": 2, "pred": 1, "exact": rate, "relaxed": rate, "overlap": rate}
    assert result == {"all": row, "labels": {"problem-negation": row}}


def test_score_notes_keeps_labels_with_equal_counts_apart() -> None:
    gold = note((0, 2, "drug"), (3, 5, "test"))
    labels = score_notes([(gold, note((0, 2, "drug"), (6, 8, "test")))]).entities.labels
    assert {name: row.f1("exact") for name, row in labels.items()} == {"drug": 1.0, "test": 0.0}


def test_score_notes_does_not_match_across_notes() -> None:
    assert score_notes([(note(FEVER), note()), (note(), note(FEVER))]).entities.total.found["overlap"] == 0


def test_score_notes_scores_links_given_gold_by_themselves() -> None:
    gold = note(FEVER, NO, links=[(FEVER, NO)])
    scores = score_notes([(gold, note())], given_gold=[(gold, gold)])
    assert (scores.relations.total.f1("exact"), scores.tasks["relations_given_gold"].total.f1("exact")) == (0.0, 1.0)
    assert "relations_given_gold" not in score_notes([(gold, note())]).to_dict()


def test_score_notes_survives_a_long_chain() -> None:
    gold = note(*[(10 * i, 10 * i + 6, "drug") for i in range(1500)])
    pred = note(*[(10 * i + 5, 10 * i + 11, "drug") for i in range(1500)])
    assert score_notes([(gold, pred)]).entities.total.found["relaxed"] == 1500


def test_score_notes_compares_labels_without_case_and_reads_links_either_way() -> None:
    gold = note(FEVER, NO, links=[(FEVER, NO)])
    head, modifier = (10, 15, "PROBLEM"), (7, 9, "Negation")
    scores = score_notes([(gold, note(head, modifier, links=[(modifier, head)]))])
    assert [task.total.f1("exact") for task in scores.tasks.values()] == [1.0, 1.0, 1.0]
    assert list(scores.entities.labels) == ["problem"]


def random_note(rng: random.Random) -> Annotations:
    schema = load_schema()
    labels = [*schema.entities, *list(schema.modifiers)[:3]]
    spans = {(s, s + rng.randint(1, 8), rng.choice(labels)) for s in (rng.randrange(40) for _ in range(rng.randrange(14)))}
    heads = sorted(s for s in spans if s[2] in schema.entities)
    tails = sorted(s for s in spans if s[2] in schema.modifiers)
    links = [(h, m) if rng.random() < 0.8 else (m, h) for h in heads for m in tails if rng.random() < 0.4]
    case = {span: (*span[:2], rng.choice([span[2], span[2].title()])) for span in sorted(spans)}
    return note(*case.values(), links=[(case[a], case[b]) for a, b in links])


def write_ann(path: Path, annotations: Annotations) -> None:
    ids = {span: f"T{i}" for i, span in enumerate(sorted(annotations.spans), 1)}
    lines = [f"{ids[s]}\t{s[2]} {s[0]} {s[1]}\tx" for s in ids]
    lines += [f"R{i}\thasAttr Arg1:{ids[h]} Arg2:{ids[m]}\t" for i, (h, m) in enumerate(sorted(annotations.links), 1)]
    path.write_text("\n".join(lines))


@pytest.mark.skipif(not SHARED, reason="KIWI_SHARED does not name the folder that holds referee/score.py")
@pytest.mark.parametrize("seed", range(30))
def test_score_notes_agrees_with_the_referee(seed: int, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("referee", Path(str(SHARED)) / "referee" / "score.py")
    assert spec is not None and spec.loader is not None
    referee = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(referee)
    rng = random.Random(seed)
    pairs = [(random_note(rng), random_note(rng)) for _ in range(8)]
    for side, name in enumerate(("gold", "pred")):
        (tmp_path / name).mkdir()
        for i, pair in enumerate(pairs):
            write_ann(tmp_path / name / f"{i}.ann", pair[side])
    theirs, ours = referee.score(tmp_path / "gold", tmp_path / "pred"), score_notes(pairs).to_dict()
    for task in ("entities", "modifiers", "relations"):
        assert ours[task] == theirs[task]


def make_doc(words: list[str], *, found: bool) -> Doc:
    doc = Doc(spacy.blank("en").vocab, words=words, spaces=[w != "fe" for w in words])
    start = words.index("fever") if "fever" in words else words.index("fe")
    doc.set_ents([Span(doc, start, len(doc), label="problem")])
    if found:
        set_modifiers(doc, [Span(doc, 0, 1, label="negation")])
        set_relations(doc, [(doc.ents[0], doc.spans["modifiers"][0], 0.9)])
    return doc


def test_scorer_compares_characters_not_tokens() -> None:
    reference, predicted = make_doc(["no", "fever"], found=True), make_doc(["no", "fe", "ver"], found=False)
    scores = create_scorer()([Example(predicted, reference)])
    assert (scores["kiwi_entities_f"], scores["kiwi_entities_relaxed_f"]) == (1.0, 1.0)
    assert (scores["kiwi_modifiers_f"], scores["kiwi_relations_f"], scores["kiwi_relations_relaxed_f"]) == (0.0, 0.0, 0.0)
    assert scores["kiwi_entities_per_type"] == {"problem": {"p": 1.0, "r": 1.0, "f": 1.0}}


def test_scorer_says_none_where_there_is_nothing_to_score() -> None:
    doc = spacy.blank("en")("fine")
    assert create_scorer()([Example(doc.copy(), doc)])["kiwi_entities_f"] is None


def test_doc_annotations_gives_offsets() -> None:
    head, modifier = (3, 8, "problem"), (0, 2, "negation")
    assert doc_annotations(make_doc(["no", "fever"], found=True)) == note(head, modifier, links=[(head, modifier)])


def test_format_table_has_a_row_for_each_label() -> None:
    lines = format_table(score_notes([(note(FEVER, NO), note(FEVER))])).split("\n")
    assert [line.split()[0] for line in lines[1:]] == ["entities", "problem", "modifiers", "negation", "relations"]
    assert all(rule in lines[0] for rule in RULES)
