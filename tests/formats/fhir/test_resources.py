"""What each kind of fact becomes, to the element."""

import json
from itertools import product
from typing import Any

import pytest

from kiwi_spacy.components.values import default_tables
from kiwi_spacy.contract.facts import Attribute, Code, Fact, FactSection, OtherCode
from kiwi_spacy.contract.status import Evidence, Status
from kiwi_spacy.formats.fhir.elements import mapping
from kiwi_spacy.schema import load_schema

pytest.importorskip("fhirclient", reason="fhirclient is not installed")

from .invariants import CODES
from .notes import amount, codes, make, make_facts, resources, said


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


@pytest.mark.parametrize(
    ("kind", "status", "wanted"),
    [
        ("drug", Status(use="refused", certainty="absent"), "not-taken"),
        ("drug", Status(use="stopped", certainty="absent"), "stopped"),
        ("drug", Status(certainty="absent"), "not-taken"),
        ("drug", Status(condition="hypothetical", use="taking"), "intended"),
        ("drug", Status(use="planned"), "intended"),
        ("drug", Status(use="taking"), "active"),
        ("drug", Status(time="historical"), "completed"),
        ("drug", Status(certainty="possible", use="taking"), "unknown"),
        ("drug", Status(), "unknown"),
        ("treatment", Status(use="refused", certainty="absent"), "not-done"),
        ("treatment", Status(use="planned"), "preparation"),
        ("treatment", Status(use="taking"), "in-progress"),
        ("treatment", Status(time="historical"), "completed"),
        ("treatment", Status(condition="hypothetical", use="planned"), "unknown"),
        ("test", Status(certainty="absent"), "not-done"),
        ("test", Status(), "unknown"),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(f"{k}={v}" for k, v in vars(each).items() if isinstance(v, str)),
)
def test_status_of_drugs_and_procedures(kind: str, status: Status, wanted: str) -> None:
    (made,) = resources(make_facts("thing", [Fact(kind, "thing", 0, 5, None, status)]))
    assert (made["resourceType"], made["status"]) == ("MedicationStatement" if kind == "drug" else "Procedure", wanted)


def test_every_fact_has_a_resource_whatever_its_status() -> None:
    axes = product(
        ("present", "possible", "absent"), ("current", "historical"), ("patient", "family", "other"),
        (None, "conditional", "hypothetical"), ("problem", "drug", "treatment", "test", "of a site"),
        (None, "taking", "stopped", "planned", "refused", "allergy"),
    )
    facts = [
        Fact(kind, "x", place, place + 1, None, Status(certainty, time, whose, None, condition, use))  # type: ignore[arg-type]
        for place, (certainty, time, whose, condition, kind, use) in enumerate(axes)
        if use is None or (kind in ("drug", "treatment") and whose == "patient")
    ]
    made = resources(make_facts("x" * len(facts), facts))
    assert [each["extension"][0]["extension"][1]["valueInteger"] for each in made] == [fact.start_char for fact in facts]
    others = [each for each, fact in zip(made, facts, strict=True) if fact.status.experiencer != "patient"]
    assert {each["resourceType"] for each in others} == {"Observation", "FamilyMemberHistory"}
    assert all("focus" in each for each in others if each["resourceType"] == "Observation")


def test_place_score_status_section_and_attributes_stand_in_extensions() -> None:
    because = Evidence("certainty", "possible", "cue", 0, 8, "doubt")
    fact = Fact(
        "problem", "back pain", 9, 18, 0.98765, Status("possible", summary="possible", evidence=(because,), conflicts=(because,)),
        FactSection("assessment", "ASSESSMENT", "51848-0", "plan"),
        {"course": (Attribute("course", "worse", 19, 24, 0.5, {"words": "worse", "n": [1]}),)},
        (Code("http://snomed.info/sct", "161891005", "Backache", 0.91, "fuzzy", "backache", 4, (OtherCode("1", "Ache", 0.2),)),),
        {"parts": [{"value": 20, "high": 40, "unit": "mg"}], "from": ["strength", "frequency"]},
    )
    (made,) = resources(make_facts("possible back pain worse", [fact]))
    place = {part["url"]: next(part[key] for key in part if key != "url") for part in made["extension"][0]["extension"]}
    assert made["extension"][0]["url"] == "http://hl7.org/fhir/StructureDefinition/derivation-reference"
    assert (place["offset"], place["length"]) == (9, 9) and place["reference"]["reference"].startswith("urn:uuid:")
    assert made["extension"][1] == {"url": "urn:kiwi-spacy:fhir:score", "valueDecimal": 0.9877}
    (status,) = said(made, "status")
    assert (status["summary"], status["certainty"], status["time"], status["experiencer"]) == (
        "possible", "possible", "current", "patient",
    )
    reason = [
        {"url": "axis", "valueCode": "certainty"}, {"url": "value", "valueCode": "possible"},
        {"url": "source", "valueCode": "cue"}, {"url": "rule", "valueString": "doubt"},
        {"url": "offset", "valueInteger": 0}, {"url": "length", "valueInteger": 8},
    ]
    assert (status["evidence"], status["conflict"]) == (reason, reason)
    assert said(made, "section") == [{"key": "assessment", "title": "ASSESSMENT", "loinc": "51848-0", "parent": "plan"}]
    assert said(made, "attribute") == [{
        "type": "course", "text": "worse", "offset": 19, "length": 5, "score": 0.5, "value": '{"words": "worse", "n": [1]}',
    }]
    (daily,) = [each for each in made["extension"] if each["url"].endswith(":daily-amount")]
    assert daily["extension"][0] == {"url": "amount", "valueRange": {"low": amount(20, "mg"), "high": amount(40, "mg")}}
    (coding,) = made["code"]["coding"]
    assert (coding["system"], coding["code"], coding["display"]) == ("http://snomed.info/sct", "161891005", "Backache")
    assert [part["url"] for part in coding["extension"][0]["extension"]] == ["score", "how", "term", "omop", "other"]
    assert made["note"] == [{"text": "course: worse"}]


def test_a_relatives_problem_is_family_history() -> None:
    (history,) = resources(make("Father had MI at age 52.", {"MI": "problem"}, {"Father": "subject", "at age 52": "temporal"}))
    assert history["resourceType"] == "FamilyMemberHistory" and codes(history["relationship"]) == ["FTH"]
    assert history["condition"] == [{"code": {"text": "MI"}, "onsetAge": amount(52, "a")}]


def test_an_absent_family_history_is_no_family_history() -> None:
    (made,) = resources(make("No family history of diabetes.", {"diabetes": "problem"}))
    assert (made["resourceType"], made["status"], made["focus"]) == ("Observation", "final", [{"display": "family"}])
    assert made["component"] == [{"code": {"text": "diabetes"}, "valueCodeableConcept": {"text": "absent"}}]


@pytest.mark.parametrize(
    ("text", "words", "wanted"),
    [
        ("Gout since 2016.", "since 2016", {"onsetDateTime": "2016"}),
        ("Gout at age 40.", "at age 40", {"onsetAge": amount(40, "a")}),
        ("Gout on 3/4/2021.", "3/4/2021", {"onsetDateTime": "2021-03-04"}),
        ("Gout for 3 weeks.", "for 3 weeks", {"onsetString": "for 3 weeks"}),
        ("Gout twice a week.", "twice a week", {}),
        ("Gout until 7/13/2004.", "until 7/13/2004", {}),
    ],
    ids=["since", "age", "date", "length", "how often", "until"],
)
def test_onset_of_a_problem(text: str, words: str, wanted: dict[str, Any]) -> None:
    (made,) = resources(make(text, {"Gout": "problem"}, {words: "temporal"}))
    assert {key: value for key, value in made.items() if key.startswith("onset")} == wanted


def test_a_past_problem_has_its_end() -> None:
    doc = make("PAST MEDICAL HISTORY: gout from 2001 to 2004", {"gout": "problem"}, {"from 2001 to 2004": "temporal"})
    (made,) = resources(doc)
    assert (made["onsetDateTime"], made["abatementDateTime"]) == ("2001", "2004")


def test_a_date_beside_a_stopped_drug_is_not_when_it_was_taken() -> None:
    doc = make("Lasix stopped on 3/4/2021", {"Lasix": "drug"}, {"3/4/2021": "temporal"})
    (made,) = resources(doc)
    assert made["status"] == "stopped" and not [key for key in made if key.startswith("effective")]


def test_a_result_has_quantity_range_and_interpretation() -> None:
    doc = make("K 5.9 mmol/L (3.5-5.1) H", {"K": "test"}, {"5.9 mmol/L": "labvalue", "3.5-5.1": "reference_range"})
    (made,) = resources(doc)
    assert made["valueQuantity"] == amount(5.9, "mmol/L") and codes(made["interpretation"][0]) == ["H"]
    assert made["referenceRange"] == [{"low": amount(3.5, "mmol/L"), "high": amount(5.1, "mmol/L"), "text": "3.5-5.1"}]


def test_of_several_ranges_each_result_has_its_own() -> None:
    modifiers = {"5.9": "labvalue", "3.5-5.1": "reference_range", "4.0": "labvalue", "3.6-5.2": "reference_range"}
    made = resources(make("K 5.9 (3.5-5.1). Then 4.0 (3.6-5.2).", {"K": "test"}, modifiers))
    judged = [(each["valueQuantity"]["value"], each["referenceRange"][0]["text"]) for each in made]
    assert judged == [(5.9, "3.5-5.1"), (4, "3.6-5.2")]


def test_a_range_of_one_result_is_not_that_of_another() -> None:
    modifiers = {"5.9": "labvalue", "3.5-5.1": "reference_range", "4.0": "labvalue"}
    made = resources(make("K 5.9 (3.5-5.1). Later it was 4.0.", {"K": "test"}, modifiers))
    assert ["referenceRange" in each for each in made] == [True, False]


@pytest.mark.parametrize(
    ("text", "result", "wanted"),
    [
        ("Lactate < 0.5 mmol/L", "< 0.5 mmol/L", {"valueQuantity": {**amount(0.5, "mmol/L"), "comparator": "<"}}),
        ("Lactate 1-2 mmol/L", "1-2 mmol/L", {"valueRange": {"low": amount(1, "mmol/L"), "high": amount(2, "mmol/L")}}),
        ("Lactate pending", "pending", {"dataAbsentReason": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "temp-unknown"}],
            "text": "pending",
        }}),
        ("Lactate negative", "negative", {"valueCodeableConcept": {"text": "negative"}}),
        ("Lactate 1:320", "1:320", {"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 320}}}),
        ("Lactate 7.33/48/91", "7.33/48/91", {"valueString": "7.33/48/91"}),
        ("Lactate about 3", "about 3", {"valueString": "about 3"}),
        ("Lactate quite odd", "quite odd", {"valueString": "quite odd"}),
    ],
    ids=["limit", "range", "no value", "words", "titre", "three numbers", "about", "not read"],
)
def test_a_result_stands_in_the_element_of_its_kind(text: str, result: str, wanted: dict[str, Any]) -> None:
    (made,) = resources(make(text, {"Lactate": "test"}, {result: "labvalue"}))
    assert {key: made[key] for key in made if key.startswith("value") or key == "dataAbsentReason"} == wanted


def test_an_open_limit_and_a_word_are_in_the_words_of_the_range() -> None:
    (made,) = resources(make("LDL 210 mg/dL (<150)", {"LDL": "test"}, {"210 mg/dL (<150)": "labvalue"}))
    assert made["referenceRange"] == [{"high": amount(150, "mg/dL"), "text": "<150"}]
    modifiers = {"positive": "labvalue", "negative": "reference_range"}
    (made,) = resources(make("HIV positive ref negative", {"HIV": "test"}, modifiers))
    assert made["referenceRange"] == [{"text": "negative"}]


def test_blood_pressure_has_two_components() -> None:
    (made,) = resources(make("BP 120/80", {"BP": "test"}, {"120/80": "labvalue"}))
    found = [(codes(part["code"]), part["valueQuantity"]["value"], part["valueQuantity"]["code"]) for part in made["component"]]
    assert found == [(["8480-6"], 120, "mm[Hg]"), (["8462-4"], 80, "mm[Hg]")] and codes(made["code"]) == ["85354-9"]


def test_a_trend_is_an_observation_of_each_value_and_the_last_is_judged() -> None:
    modifiers = {"1.1 -> 1.8 -> 2.4": "labvalue", "0.6-1.2": "reference_range"}
    made = resources(make("Cr 1.1 -> 1.8 -> 2.4 (0.6-1.2)", {"Cr": "test"}, modifiers))
    assert [each["valueQuantity"]["value"] for each in made] == [1.1, 1.8, 2.4]
    assert ["interpretation" in each for each in made] == ["referenceRange" in each for each in made] == [False, False, True]
    assert len({each["id"] for each in made}) == 3


def test_a_drug_has_dose_route_timing_and_need() -> None:
    doc = make(
        "Percocet 5/325 1-2 tabs po q4-6h prn pain", {"Percocet": "drug"},
        {"5/325": "strength", "1-2 tabs": "dosage", "po": "route", "q4-6h prn pain": "frequency"},
    )
    (made,) = resources(doc)
    assert (made["resourceType"], made["status"]) == ("MedicationStatement", "active")
    assert made["dosage"] == [{
        "text": "5/325 1-2 tabs po q4-6h prn pain",
        "timing": {
            "repeat": {"frequency": 1, "period": 4, "periodMax": 6, "periodUnit": "h"}, "code": {"text": "q4-6h prn pain"},
        },
        "asNeededCodeableConcept": {"text": "pain"}, "route": {"text": "po"},
        "doseAndRate": [{"doseRange": {"low": amount(1, "{tablet}"), "high": amount(2, "{tablet}")}}],
    }]
    assert [each["type"] for each in said(made, "attribute")] == ["strength", "dosage", "route", "frequency"]


@pytest.mark.parametrize(
    ("text", "modifiers", "wanted"),
    [
        ("Keflex bid x 7 days", {"bid": "frequency", "x 7 days": "duration"},
         {"timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d", "boundsDuration": amount(7, "d")},
                     "code": {"text": "bid"}}}),
        ("Keflex for 7-10 days", {"for 7-10 days": "duration"},
         {"timing": {"repeat": {"boundsRange": {"low": amount(7, "d"), "high": amount(10, "d")}}}}),
        ("Keflex every 4 hours as needed", {"every 4 hours": "frequency", "as needed": "frequency"},
         {"timing": {"repeat": {"frequency": 1, "period": 4, "periodUnit": "h"}, "code": {"text": "every 4 hours"}},
          "asNeededBoolean": True}),
        ("Keflex 0.05 mcg/kg/min", {"0.05 mcg/kg/min": "dosage"}, {"doseAndRate": [{"rateQuantity": amount(0.05, "ug/kg/min")}]}),
        ("Keflex 10 mg/kg", {"10 mg/kg": "dosage"}, {"doseAndRate": [{"doseQuantity": amount(10, "mg/kg")}]}),
        ("Keflex 2 tabs", {"2": "dosage", "tabs": "form"}, {"doseAndRate": [{"doseQuantity": {"value": 2, "unit": "tabs"}}]}),
        ("Keflex about 5 mg", {"about 5 mg": "dosage"}, {}),
        ("Keflex at 8 am and at bedtime", {"at 8 am and at bedtime": "frequency"},
         {"timing": {"code": {"text": "at 8 am and at bedtime"}}}),
        ("Keflex from 20 to 40 mg", {"from 20 to 40 mg": "dosage"}, {"doseAndRate": [{"doseQuantity": amount(40, "mg")}]}),
    ],
    ids=["length", "range of lengths", "as needed", "rate", "dose a kilogram", "form", "about", "clock and event", "change"],
)
def test_a_dosage_says_what_its_words_come_to(text: str, modifiers: dict[str, str], wanted: dict[str, Any]) -> None:
    (made,) = resources(make(text, {"Keflex": "drug"}, modifiers))
    assert made["dosage"] == [{"text": " ".join(modifiers)} | wanted]


def test_a_taper_is_a_sequence_of_dosages() -> None:
    words = "40 mg x 3 days, then 20 mg x 3 days"
    (made,) = resources(make(f"Prednisone {words}", {"Prednisone": "drug"}, {words: "dosage"}))
    wanted = [(1, amount(40, "mg"), amount(3, "d")), (2, amount(20, "mg"), amount(3, "d"))]
    assert [
        (each["sequence"], each["doseAndRate"][0]["doseQuantity"], each["timing"]["repeat"]["boundsDuration"])
        for each in made["dosage"]
    ] == wanted


@pytest.mark.parametrize(
    ("text", "reactions"),
    [
        ("Allergies: penicillin (rash)", ["rash"]),
        ("Allergies: penicillin (rash, hives)", ["rash", "hives"]),
        ("Allergies: penicillin - hives", ["hives"]),
        ("Allergies: penicillin, which caused a rash", ["rash"]),
        ("Allergies: penicillin gives her hives", ["hives"]),
        ("Allergies: penicillin. Also hives", None),
        ("Allergies: penicillin\nrash", None),
    ],
    ids=["brackets", "two", "dash", "caused", "gives her", "another sentence", "another line"],
)
def test_an_allergy_has_its_reactions(text: str, reactions: list[str] | None) -> None:
    problems = {word: "problem" for word in ("rash", "hives") if word in text}
    allergy, *rest = resources(make(text, {"penicillin": "drug", **problems}))
    assert (allergy["resourceType"], codes(allergy["verificationStatus"])) == ("AllergyIntolerance", ["confirmed"])
    shown = [each["manifestation"][0]["text"] for each in allergy["reaction"]] if "reaction" in allergy else None
    assert shown == reactions and [each["resourceType"] for each in rest] == ["Condition"] * len(problems)


def test_words_that_fhir_forbids_do_not_spoil_a_bundle() -> None:
    text = "chest\x00\n<pain> & \ud800"
    (made,) = resources(make_facts(text, [Fact("problem", text, 0, len(text), None, Status())]))
    assert made["code"]["text"] == "chest <pain> & \ufffd" and "&lt;pain&gt; &amp;" in made["text"]["div"]
    assert json.dumps(made).isascii()


def test_every_code_that_values_hold_has_its_place_in_r4() -> None:
    tables, known = default_tables(), mapping()
    assert set(tables.sections["no_value"].values()) <= set(known["absent"])
    flags = {*tables.sections["flags"].values(), *tables.sections["meanings"].values()}
    assert flags <= set(known["interpretations"])
    events = {code for name in ("day_times", "meal_codes") for codes in tables.sections[name].values() for code in codes.split()}
    assert events <= CODES["TimingRepeat", "when"]
    assert set(tables.sections["weekdays"].values()) <= CODES["TimingRepeat", "dayOfWeek"]
    assert set(tables.sections["periods"].values()) <= CODES["TimingRepeat", "periodUnit"]


def test_the_map_names_labels_of_the_schema() -> None:
    schema, known = load_schema(), mapping()
    assert set(known["entities"]) == set(schema.entities) and set(known["modifiers"]) <= set(schema.modifiers)
