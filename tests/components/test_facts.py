"""Facts: made of the contract, kept as plain rows, and travelling with Doc and pipeline."""

import json
from datetime import date, datetime
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from kiwi_spacy.components.cues import VALUES
from kiwi_spacy.components.facts import READERS, derive_facts
from kiwi_spacy.components.values import parse_strength
from kiwi_spacy.contract.facts import (
    FACTS,
    Attribute,
    Code,
    Fact,
    FactSection,
    fact_from_row,
    fact_schema,
    fact_to_row,
    get_facts,
    plays_role,
    set_facts,
)
from kiwi_spacy.contract.status import Evidence, Status
from kiwi_spacy.errors import KiwiError
from kiwi_spacy.formats.docs import fill_doc
from kiwi_spacy.schema import load_schema

TEXT = "Tired.\nMEDS: aspirin 81 mg daily\nFH: father with gout"
ASPIRIN, GOUT, STRENGTH = (13, 20, "drug"), (49, 53, "problem"), (21, 26, "strength")


@pytest.fixture
def nlp() -> Language:
    return spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "kiwi.ClinicalTokenizer.v1"}}})


@pytest.fixture
def doc(nlp: Language) -> Doc:
    made = nlp.make_doc(TEXT)
    spans = [("aspirin", *ASPIRIN), ("gout", *GOUT), ("strength", *STRENGTH)]
    return fill_doc(made, spans, [("aspirin", "strength", 1.0)], load_schema())


def test_a_fact_holds_entity_status_section_and_attributes(doc: Doc) -> None:
    aspirin, gout = derive_facts(doc)
    assert (aspirin.type, aspirin.text, aspirin.start_char, aspirin.end_char, aspirin.score) == ("drug", "aspirin", 13, 20, None)
    assert (aspirin.status.use, aspirin.status.summary) == ("taking", "taking")
    assert aspirin.section == FactSection("medications", "MEDS", "10160-0")
    (strength,) = aspirin.attributes["strength"]
    assert (strength.text, strength.start_char, strength.end_char, strength.score) == ("81 mg", 21, 26, None)
    assert strength.value == parse_strength("81 mg").to_dict()
    assert (gout.status.experiencer, gout.status.relative, gout.attributes) == ("family", "father", {})
    assert aspirin.span(doc).text == "aspirin"


def test_facts_are_derived_when_asked_for_and_kept_where_the_pipe_ran(nlp: Language, doc: Doc) -> None:
    derived = doc._.facts
    assert FACTS not in doc.user_data
    nlp.add_pipe("kiwi_facts")
    nlp.get_pipe("kiwi_facts")(doc)
    assert get_facts(doc) == derived == doc._.facts
    assert [section.key for section in doc._.sections] == ["medications", "family_history"]


@pytest.mark.parametrize(
    ("text", "results", "ranges", "found"),
    [
        pytest.param("K 5.9 (3.5-5.1), then 5.3.", ["5.9", "5.3"], ["3.5-5.1"], ["H", "H"], id="one range for its sentence"),
        pytest.param("K 5.9 (3.5-5.1). Father had MI at 52.", ["5.9", "52"], ["3.5-5.1"], ["H", None], id="next sentence"),
        pytest.param("K 5.9\nnormal 3.5-5.1", ["5.9"], ["3.5-5.1"], ["H"], id="the only one of the only result"),
        pytest.param("K 5.2 (3.5-5.1), 5.2 (3.5-5.3)", ["5.2", "5.2"], ["3.5-5.1", "3.5-5.3"], ["H", "N"], id="each its own"),
        pytest.param("K 5.2, 5.0 (3.5-5.1) (3.5-5.3)", ["5.2", "5.0"], ["3.5-5.1", "3.5-5.3"], [None, "N"], id="unclear"),
    ],
)
def test_a_result_is_judged_by_the_range_that_is_its_own(
    nlp: Language, text: str, results: list[str], ranges: list[str], found: list[str | None]
) -> None:
    spans, end = [("K", 0, 1, "test")], 1
    for label, group in (("labvalue", results), ("reference_range", ranges)):
        end = 1
        for words in group:
            start = text.index(words, end)
            end = start + len(words)
            spans.append((f"{label} {start}", start, end, label))
    made = fill_doc(nlp.make_doc(text), spans, [("K", name, 1.0) for name, *_ in spans[1:]], load_schema())
    values = [each.value for each in derive_facts(made)[0].attributes["labvalue"]]
    assert [value.get("interpretation") for value in values] == found


def test_relative_times_count_from_the_notes_date(nlp: Language) -> None:
    made = nlp.make_doc("gout since 3 days ago, 3/4/21")
    spans = [("gout", 0, 4, "problem"), ("ago", 11, 21, "temporal"), ("day", 23, 29, "temporal")]
    fill_doc(made, spans, [("gout", "ago", 1.0), ("gout", "day", 1.0)], load_schema())
    said = [each.value.get("edtf") for each in derive_facts(made)[0].attributes["temporal"]]
    assert said == [None, "2021-03-04"]
    made._.note_date = datetime(2024, 3, 15, 8, 30)
    (fact,) = derive_facts(made, date_order="dmy")
    assert [each.value["edtf"] for each in fact.attributes["temporal"]] == ["2024-03-12", "2021-04-03"]


@pytest.mark.parametrize("given", ["2026-03-04", "2026-03-04T08:30", date(2026, 3, 4), datetime(2026, 3, 4, 8)], ids=str)
def test_a_notes_date_is_kept_and_travels(nlp: Language, given: date | str) -> None:
    made = nlp.make_doc("Well.")
    made._.note_date = given
    assert Doc(nlp.vocab).from_bytes(made.to_bytes())._.note_date == date(2026, 3, 4)
    made._.note_date = None
    assert made._.note_date is None


def test_a_notes_date_that_is_none_is_refused(nlp: Language) -> None:
    with pytest.raises(KiwiError, match="2026-03-04"):
        nlp.make_doc("Well.")._.note_date = "4th of March"


def drug(nlp: Language, text: str, *spans: tuple[str, str]) -> Fact:
    """Return the fact of the first word of a text, a drug that has each of `spans` (words, label)."""
    made = nlp.make_doc(text)
    found = [(f"{i}", text.index(words), text.index(words) + len(words), label) for i, (words, label) in enumerate(spans)]
    whole = [("drug", 0, text.index(" "), "drug"), *found]
    return derive_facts(fill_doc(made, whole, [("drug", id_, 1.0) for id_, *_ in found], load_schema()))[0]


@pytest.mark.parametrize(
    ("text", "spans", "daily"),
    [
        (
            "Percocet 5/325 mg 1-2 tabs q4h prn",
            [("5/325 mg", "strength"), ("1-2 tabs", "dosage"), ("q4h", "frequency"), ("prn", "frequency")],
            {"parts": [{"value": 0, "high": 60, "unit": "mg"}, {"value": 0, "high": 3900, "unit": "mg"}],
             "from": ["strength", "dosage", "frequency"]},
        ),
        (
            "Lasix 20 mg b.i.d.", [("20 mg", "strength"), ("b.i.d.", "frequency")],
            {"parts": [{"value": 40, "unit": "mg"}], "from": ["strength", "frequency"]},
        ),
        ("Lasix 20 mg tablets b.i.d.", [("20 mg", "strength"), ("tablets", "form"), ("b.i.d.", "frequency")], None),
        ("Lasix 20 mg or 40 mg b.i.d.", [("20 mg", "strength"), ("40 mg", "strength"), ("b.i.d.", "frequency")], None),
        ("Lasix 20 mg b.i.d. then daily", [("20 mg", "strength"), ("b.i.d.", "frequency"), ("daily", "frequency")], None),
        ("Lasix 20 mg", [("20 mg", "strength")], None),
        ("Lasix from 20 to 40 mg daily", [("from 20 to 40 mg", "strength"), ("daily", "frequency")], None),
    ],
    ids=["combination", "strength alone", "no number of tablets", "two strengths", "two frequencies", "no frequency", "steps"],
)
def test_the_amount_a_day_follows_or_is_left_out(
    nlp: Language, text: str, spans: list[tuple[str, str]], daily: dict[str, object] | None
) -> None:
    assert drug(nlp, text, *spans).daily == daily


def test_a_change_of_dose_is_steps(nlp: Language) -> None:
    (strength,) = drug(nlp, "Lasix from 20 to 40 mg daily", ("from 20 to 40 mg", "strength")).attributes["strength"]
    assert [step["dose"]["value"] for step in strength.value["steps"]] == [20, 40]


def test_facts_survive_bytes_docbin_and_json(nlp: Language, doc: Doc) -> None:
    nlp.add_pipe("kiwi_facts")(doc)
    facts = get_facts(doc)
    assert get_facts(Doc(nlp.vocab).from_bytes(doc.to_bytes())) == facts
    assert get_facts(next(iter(DocBin(docs=[doc], store_user_data=True).get_docs(nlp.vocab)))) == facts
    assert [fact_from_row(row) for row in json.loads(json.dumps(doc.user_data[FACTS]))] == facts


def test_a_row_holds_every_field() -> None:
    fact = Fact(
        "drug", "aspirin", 13, 20, 0.9,
        Status(
            "absent", "historical", "family", "father", "conditional", "refused", "refused",
            (Evidence("use", "refused", "cue", 1, 5, "refused"),), (Evidence("use", "taking", "section", 1, 5, "plan"),),
        ),
        FactSection("plan", "PLAN", "18776-5"), {"strength": (Attribute("strength", "81 mg", 21, 26, 0.8, {"value": 81}),)},
        (Code("http://www.nlm.nih.gov/research/umls/rxnorm", "1191", "aspirin", 0.7),),
    )
    assert fact_from_row(json.loads(json.dumps(fact_to_row(fact)))) == fact


def test_the_schema_is_that_of_the_rows(doc: Doc) -> None:
    schema = fact_schema()
    assert schema["required"] == list(fact_to_row(derive_facts(doc)[0]))
    assert schema["properties"]["status"]["properties"]["certainty"] == {"enum": ["present", "possible", "absent"]}
    assert schema["properties"]["score"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}


def test_roles_are_read_off_kept_facts(doc: Doc) -> None:
    gout = doc.ents[1]
    assert plays_role(gout, "somebody_else") is None
    set_facts(doc, derive_facts(doc))
    assert [plays_role(gout, role) for role in ("negated", "uncertain", "conditional", "somebody_else")] == [
        False, False, False, True
    ]


def test_cues_of_a_site_travel_with_the_pipeline(nlp: Language, tmp_path: Path) -> None:
    file = tmp_path / "cues.yml"
    file.write_text("rules:\n  - {id: negation, terms: [nix]}\n")
    nlp.add_pipe("kiwi_facts", config={"cues": str(file)})
    nlp.to_disk(tmp_path / "pipeline")
    file.unlink()
    again = spacy.load(tmp_path / "pipeline")
    made = again.make_doc("nix gout")
    made.set_ents([made.char_span(4, 8, label="problem")])
    assert [fact.status.certainty for fact in again.get_pipe("kiwi_facts")(made)._.facts] == ["absent"]


def test_packaged_rules_do_not_travel_with_a_pipeline(nlp: Language, tmp_path: Path) -> None:
    nlp.add_pipe("kiwi_sections")
    nlp.add_pipe("kiwi_facts", config={"date_order": "dmy"})
    nlp.to_disk(tmp_path / "pipeline")
    kept = {file.parent.name: json.loads(file.read_text()) for file in (tmp_path / "pipeline").rglob("added.json")}
    assert kept == {"kiwi_sections": {"added": None}, "kiwi_facts": {"added": None}}
    assert spacy.load(tmp_path / "pipeline").get_pipe("kiwi_facts").date_order == "dmy"


def test_a_note_without_entities_has_no_facts(nlp: Language) -> None:
    nlp.add_pipe("kiwi_facts")
    assert [made._.facts for made in nlp.pipe(["", "Well today."])] == [[], []]


def test_every_kind_of_value_has_a_reader() -> None:
    assert set(READERS) == set(VALUES)


def test_values_that_cannot_be_read_are_counted(nlp: Language) -> None:
    made = nlp.make_doc("aspirin someish daily")
    fill_doc(made, [("a", 0, 7, "drug"), ("s", 8, 15, "strength")], [("a", "s", 1.0)], load_schema())
    nlp.add_pipe("kiwi_facts")(made)
    assert made._.facts[0].attributes["strength"][0].value is None
    assert made._.problems == {"value not read": 1}


def test_is_somebody_else_and_its_siblings_say_what_the_fact_says(doc: Doc) -> None:
    """Without a kept fact a span's links alone answer; no link says whose the gout is, the cue "father" does."""
    gout = next(ent for ent in doc.ents if ent.text == "gout")
    assert gout._.is_somebody_else is False
    set_facts(doc, derive_facts(doc))
    assert (gout._.is_somebody_else, gout._.is_negated, gout._.is_uncertain, gout._.is_conditional) == (True, False, False, False)
