"""Status by our own lines, by the traps of trained modifiers, and, where they are at hand, by sentences of real reports."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy.components.cues import cues_from_dict, load_cues
from kiwi_spacy.components.marks import find_marks
from kiwi_spacy.components.sentences import split_words
from kiwi_spacy.components.status import derive_statuses
from kiwi_spacy.contract.status import Status
from kiwi_spacy.errors import RulesError
from kiwi_spacy.formats.docs import fill_doc
from kiwi_spacy.schema import load_schema

SHARED = os.environ.get("KIWI_SHARED")
LINES = [
    line.split("\t")
    for line in Path(__file__).with_name("status-lines.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.fixture(scope="module")
def nlp() -> Language:
    return spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "kiwi.ClinicalTokenizer.v1"}}})


def place(text: str, words: str) -> tuple[int, int]:
    words, _, which = words.partition("#")
    start = -1
    for _ in range(int(which or 1)):
        start = text.index(words, start + 1)
    return start, start + len(words)


def annotated(nlp: Language, text: str, entities: dict[str, str], links: Sequence[tuple[str, str, str]] = ()) -> Doc:
    """Return a Doc with {words: label} as entities, and links (entity's words, modifier's words, modifier)."""
    spans = [(words, *place(text, words), label) for words, label in entities.items()]
    spans += [(f"{words} as {label}", *place(text, words), label) for _, words, label in links]
    pairs = [(head, f"{words} as {label}", 1.0) for head, words, label in links]
    return fill_doc(nlp.make_doc(text), spans, pairs, load_schema())


def status(nlp: Language, text: str, words: str, label: str = "problem", links: Sequence[tuple[str, str]] = ()) -> Status:
    (found,) = derive_statuses(annotated(nlp, text, {words: label}, [(words, *link) for link in links]))
    return found


@pytest.mark.parametrize(
    "kind, text, words, label, wanted", LINES, ids=[f"{each[0]}: {each[1]} [{each[2]}]" for each in LINES]
)
def test_own_lines(nlp: Language, kind: str, text: str, words: str, label: str, wanted: str) -> None:
    found = status(nlp, text.replace("\\n", "\n"), words, label)
    axes = dict(pair.split("=") for pair in wanted.split())
    assert {axis: str(getattr(found, axis) or "none").replace(" ", "_") for axis in axes} == axes


def test_there_are_150_own_lines_or_more() -> None:
    assert len({(line[1], line[2]) for line in LINES}) >= 150


@pytest.mark.parametrize(
    "text, words, link, certainty",
    [
        pytest.param("Cannot rule out gout.", "gout", ("Cannot", "negation"), "possible", id="doubt in a denial"),
        pytest.param("Gout was ruled out.", "Gout", ("ruled out", "uncertain"), "absent", id="denial in a doubt"),
        pytest.param("There was no increase in swelling.", "swelling", ("no", "negation"), "present", id="pseudo-cue"),
        pytest.param("He was not given it because of gout.", "gout", ("not", "negation"), "present", id="cause of an omission"),
        pytest.param("She denies cramps but has nausea.", "nausea", ("denies", "negation"), "present", id="ended scope"),
        pytest.param("Denies cramps; her aunt has gout.", "gout", ("Denies", "negation"), "present", id="another sentence"),
        pytest.param("COMPLICATIONS: None\nFINDINGS: polyp", "polyp", ("None", "negation"), "present", id="another section"),
        pytest.param("No findings to suggest gout.", "gout", ("suggest", "uncertain"), "absent", id="doubt that is denied"),
        pytest.param("She has no gout.", "gout", ("no", "negation"), "absent", id="no trap"),
        pytest.param("Unlikeable words gout.", "gout", ("Unlikeable", "negation"), "absent", id="unknown words"),
        pytest.param("Ambulates without difficulty.", "difficulty", ("without", "negation"), "absent", id="in a pseudo-cue"),
    ],
)
def test_a_trained_modifier_decides_but_for_known_traps(
    nlp: Language, text: str, words: str, link: tuple[str, str], certainty: str
) -> None:
    assert status(nlp, text, words, links=[link]).certainty == certainty


def test_what_is_overruled_is_recorded(nlp: Language) -> None:
    found = status(nlp, "There was no increase in swelling.", "swelling", links=[("no", "negation")])
    assert [(c.axis, c.value, c.source, c.rule, c.start_char, c.end_char) for c in found.conflicts] == [
        ("certainty", "absent", "modifier", "negated", 10, 12)
    ]
    found = status(nlp, "Possible gout.", "gout", links=[("Possible", "uncertain")])
    assert found.evidence[0].source == "modifier"
    assert found.conflicts == ()


@pytest.mark.parametrize("links", [[], ["uncertain"]], ids=["by the cue", "by the model"])
@pytest.mark.parametrize(
    ("text", "cue", "rule"),
    [
        ("R/O gout.", "R/O", "rule_out"), ("Gout must be ruled out.", "must be ruled out", "rule_out_after"),
        ("Low suspicion for gout.", "Low suspicion for", "unlikely"), ("Gout is unlikely.", "unlikely", "unlikely_after"),
        ("Likely gout.", "Likely", "doubt"), ("Gout cannot be excluded.", "cannot be excluded", "not_excluded_after"),
    ],
    ids=lambda each: each if each.count("_") else None,
)
def test_evidence_tells_the_kinds_of_doubt_apart(nlp: Language, text: str, cue: str, rule: str, links: list[str]) -> None:
    words = "Gout" if "Gout" in text else "gout"
    found = status(nlp, text, words, links=[(cue, label) for label in links])
    assert (found.certainty, found.evidence[0].source, found.evidence[0].rule) == (
        "possible", "modifier" if links else "cue", rule
    )


def test_a_cue_that_the_model_has_linked_elsewhere_does_not_reach_further(nlp: Language) -> None:
    entities = {"masses": "problem", "dilated bladder": "problem"}
    text = "There were no masses, dilated bladder."
    assert [s.certainty for s in derive_statuses(annotated(nlp, text, entities))] == ["absent", "absent"]
    linked = annotated(nlp, text, entities, [("masses", "no", "negation")])
    assert [s.certainty for s in derive_statuses(linked)] == ["absent", "present"]


def test_the_section_speaks_where_nothing_else_does(nlp: Language) -> None:
    found = status(nlp, "FAMILY HISTORY: gout", "gout")
    assert (found.experiencer, found.relative, found.evidence[0].source, found.evidence[0].rule) == (
        "family", None, "section", "family_history"
    )
    assert status(nlp, "FAMILY HISTORY: no gout in patient", "gout").experiencer == "patient"


@pytest.mark.parametrize(
    "text, words, label, summary",
    [
        pytest.param("No gout.", "gout", "problem", "absent", id="absent"),
        pytest.param("Possible gout.", "gout", "problem", "possible", id="possible"),
        pytest.param("History of gout.", "gout", "problem", "historical", id="historical"),
        pytest.param("Return if gout flares.", "gout", "problem", "hypothetical", id="hypothetical"),
        pytest.param("No family history of gout.", "gout", "problem", "absent", id="absence before whose"),
        pytest.param("He declined dialysis.", "dialysis", "treatment", "refused", id="refused before absent"),
        pytest.param("Gout.", "Gout", "problem", "present", id="present"),
    ],
)
def test_one_word_sums_up(nlp: Language, text: str, words: str, label: str, summary: str) -> None:
    assert status(nlp, text, words, label).summary == summary


def test_use_is_told_of_drugs_and_treatments_alone(nlp: Language) -> None:
    assert status(nlp, "She was started on oxygen for gout.", "gout").use is None
    assert status(nlp, "She was started on oxygen for gout.", "oxygen", "treatment").use == "taking"


def test_hard_wrapped_lines_are_one_sentence() -> None:
    text = "The patient was seen in the clinic and denies fever, chills and\nnight sweats.\nCough."
    words = split_words(text)
    assert [words.sentence[words.lower.index(word)] for word in ("denies", "sweats", "cough")] == [0, 0, 1]


def test_a_note_without_full_stops_costs_no_more_than_its_length() -> None:
    marks = find_marks("no cough and possible gout " * 4000).marks
    assert max(mark.scope_end_char - mark.scope_start_char for mark in marks) < 600


@pytest.mark.parametrize(
    "rule, message",
    [
        pytest.param({"id": "x", "axis": "mood", "value": "low", "terms": ["a"]}, "axis 'mood' is none of", id="axis"),
        pytest.param({"id": "x", "axis": "time", "value": "soon", "terms": ["a"]}, "value 'soon' of time is none of", id="value"),
        pytest.param({"id": "x", "axis": "time", "value": "historical", "terms": [True]}, "in quotes", id="truth value"),
        pytest.param({"id": "x", "terms": ["{kin}"]}, "is none of the lists", id="list"),
        pytest.param({"id": "x", "terms": ["a"], "reach": 3}, "unknown key reach", id="key"),
        pytest.param({"id": "x", "terms": ["a"], "scope": "page"}, "'scope' must be", id="scope"),
    ],
)
def test_a_faulty_rule_is_named(rule: dict[str, object], message: str) -> None:
    with pytest.raises(RulesError, match=message):
        cues_from_dict({"rules": [rule]}, "cues.yml")


def test_a_site_adds_terms_and_rules(tmp_path: Path) -> None:
    file = tmp_path / "cues.yml"
    file.write_text(
        "rules:\n  - {id: negation, terms: [nix]}\n"
        "  - {id: maybe, axis: certainty, value: possible, scope: phrase, terms: [perchance]}\n"
    )
    cues = load_cues(str(file))
    marks = find_marks("nix gout, no ulcer, perchance asthma", cues).marks
    assert [mark.rule.id for mark in marks] == ["negation", "negation", "maybe"]


@pytest.mark.skipif(SHARED is None, reason="KIWI_SHARED names no folder of shared data")
def test_negation_and_history_in_sentences_of_real_reports(nlp: Language) -> None:
    counts = {axis: [0, 0, 0] for axis in ("absent", "historical")}
    for line in (Path(str(SHARED)) / "negex/sentences.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        _, mention, text, negation, when, _ = line.split("\t")
        match = re.search(r"\s+".join(map(re.escape, mention.upper().split())), text)
        if match is None:
            continue
        doc = nlp.make_doc(text)
        doc.set_ents([doc.char_span(match.start(), match.end(), label="problem", alignment_mode="expand")])
        (found,) = derive_statuses(doc)
        for axis, gold, ours in (
            ("absent", negation == "Negated", found.certainty == "absent"),
            ("historical", when == "Historical", found.time == "historical"),
        ):
            counts[axis] = [n + add for n, add in zip(counts[axis], (gold and ours, ours and not gold, gold and not ours))]
    scores = {axis: 2 * hits / (2 * hits + extra + missed) for axis, (hits, extra, missed) in counts.items()}
    assert scores["absent"] >= 0.95
    assert scores["historical"] >= 0.75
