"""FHIR R4: what each kind of fact becomes, to the element."""

import json
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc

from kiwi_spacy.contract import NOTE
from kiwi_spacy.errors import FormatError
from kiwi_spacy.formats.docs import fill_doc
from kiwi_spacy.formats.fhir import doc_to_bundle
from kiwi_spacy.schema import load_schema

NLP = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "kiwi.ClinicalTokenizer.v1"}}})


def make(text: str, entities: dict[str, str], modifiers: dict[str, str] | None = None) -> Doc:
    """A note named "n" with entities, and modifiers of the first of them, by their words."""
    marked = [*entities.items(), *(modifiers or {}).items()]
    spans = [(word, text.index(word), text.index(word) + len(word), label) for word, label in marked]
    links = [(next(iter(entities)), word, 1.0) for word in modifiers or {}]
    doc = fill_doc(NLP.make_doc(text), spans, links, load_schema())
    doc.user_data[NOTE] = "n"
    return doc


def resources(doc: Doc, **options: Any) -> list[dict[str, Any]]:
    """The resources of a note's facts, checked by fhirclient's models of R4."""
    bundle = doc_to_bundle(doc, **{"recorded": "2026-11-27T05:00:00Z", **options})
    models = pytest.importorskip("fhirclient.models.bundle", reason="fhirclient is not installed")
    models.Bundle(json.loads(json.dumps(bundle)), strict=True)
    return [entry["resource"] for entry in bundle["entry"][1:-1]]


def codes(concept: dict[str, Any]) -> list[str]:
    return [coding["code"] for coding in concept["coding"]]


@pytest.mark.parametrize(
    ("text", "word", "verified", "clinical"),
    [
        ("DVT was ruled out.", "DVT", "refuted", None),
        ("return if fever", "fever", "provisional", None),
        ("possible pneumonia", "pneumonia", "provisional", "active"),
        ("PAST MEDICAL HISTORY: gout", "gout", "confirmed", "inactive"),
        ("Gout today", "Gout", "confirmed", "active"),
    ],
    ids=["refuted", "hypothetical", "uncertain", "historical", "present"],
)
def test_status_of_a_problem_is_that_of_its_condition(text: str, word: str, verified: str, clinical: str | None) -> None:
    (condition,) = resources(make(text, {word: "problem"}))
    assert condition["resourceType"] == "Condition" and condition["code"] == {"text": word}
    assert codes(condition["verificationStatus"]) == [verified]
    assert (codes(condition["clinicalStatus"]) if "clinicalStatus" in condition else None) == (clinical and [clinical])


def test_a_relatives_problem_is_family_history() -> None:
    (history,) = resources(make("Father had MI at age 52.", {"MI": "problem"}, {"Father": "subject", "at age 52": "temporal"}))
    assert history["resourceType"] == "FamilyMemberHistory" and codes(history["relationship"]) == ["FTH"]
    assert history["condition"] == [{
        "code": {"text": "MI"}, "onsetAge": {"value": 52, "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"},
    }]


def test_an_absent_family_history_is_no_family_history() -> None:
    (made,) = resources(make("No family history of diabetes.", {"diabetes": "problem"}))
    assert (made["resourceType"], made["focus"]) == ("Observation", [{"display": "family"}])
    assert made["component"] == [{"code": {"text": "diabetes"}, "valueCodeableConcept": {"text": "absent"}}]


def test_a_result_has_quantity_range_and_interpretation() -> None:
    doc = make("K 5.9 mmol/L (3.5-5.1) H", {"K": "test"}, {"5.9 mmol/L": "labvalue", "3.5-5.1": "reference_range"})
    (made,) = resources(doc)
    unit = {"unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"}
    assert made["valueQuantity"] == {"value": 5.9, **unit} and codes(made["interpretation"][0]) == ["H"]
    assert made["referenceRange"] == [{"low": {"value": 3.5, **unit}, "high": {"value": 5.1, **unit}, "text": "3.5-5.1"}]


def test_blood_pressure_has_two_components() -> None:
    (made,) = resources(make("BP 120/80", {"BP": "test"}, {"120/80": "labvalue"}))
    found = [(codes(part["code"]), part["valueQuantity"]["value"], part["valueQuantity"]["code"]) for part in made["component"]]
    assert found == [(["8480-6"], 120, "mm[Hg]"), (["8462-4"], 80, "mm[Hg]")]


def test_a_drug_has_dose_route_timing_and_need() -> None:
    doc = make(
        "Percocet 5/325 1-2 tabs po q4-6h prn pain", {"Percocet": "drug"},
        {"5/325": "strength", "1-2 tabs": "dosage", "po": "route", "q4-6h prn pain": "frequency"},
    )
    (made,) = resources(doc)
    tablet = {"unit": "{tablet}", "system": "http://unitsofmeasure.org", "code": "{tablet}"}
    assert (made["resourceType"], made["status"]) == ("MedicationStatement", "active")
    assert made["dosage"] == [{
        "text": "1-2 tabs po q4-6h prn pain",
        "timing": {
            "repeat": {"frequency": 1, "period": 4, "periodMax": 6, "periodUnit": "h"}, "code": {"text": "q4-6h prn pain"},
        },
        "asNeededCodeableConcept": {"text": "pain"}, "route": {"text": "po"},
        "doseAndRate": [{"doseRange": {"low": {"value": 1, **tablet}, "high": {"value": 2, **tablet}}}],
    }]


def test_an_allergy_is_no_medication() -> None:
    (made,) = resources(make("Allergies: penicillin", {"penicillin": "drug"}))
    assert (made["resourceType"], codes(made["verificationStatus"])) == ("AllergyIntolerance", ["confirmed"])


def test_ids_and_bytes_are_the_same_each_time_and_no_patient_is_invented() -> None:
    first, second = (doc_to_bundle(make("return if fever", {"fever": "problem"})) for _ in range(2))
    assert first == second
    condition = first["entry"][1]["resource"]
    assert [part["url"] for part in condition["subject"]["extension"]] == [
        "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
    ]
    place = {part["url"]: part for part in condition["extension"][0]["extension"]}
    assert (place["offset"]["valueInteger"], place["length"]["valueInteger"]) == (10, 5)
    assert "data" not in first["entry"][0]["resource"]["content"][0]["attachment"]


def test_a_doc_without_a_name_is_refused() -> None:
    with pytest.raises(FormatError, match="no name"):
        doc_to_bundle(NLP.make_doc("fever"))
