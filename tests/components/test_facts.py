"""Facts: made of the contract, kept as plain rows, and travelling with Doc and pipeline."""

import json
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
