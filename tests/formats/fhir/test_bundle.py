"""The bundle of a note: ids, patient, document, provenance, and that it is valid R4."""

import base64
import copy
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiwi_spacy.contract import NOTE, Failure, count_problem, set_columns, set_failures, set_provenance
from kiwi_spacy.contract.facts import Fact
from kiwi_spacy.contract.status import Status
from kiwi_spacy.errors import FormatError
from kiwi_spacy.formats.brat import BratNote, read_folder
from kiwi_spacy.formats.docs import note_to_doc
from kiwi_spacy.formats.fhir import FhirOptions, doc_to_bundle
from kiwi_spacy.formats.fhir.options import parse_options
from kiwi_spacy.schema import load_schema

pytest.importorskip("fhirclient", reason="fhirclient is not installed")
pytest.importorskip("fhirpathpy", reason="fhirpathpy is not installed")

from .invariants import broken
from .notes import NLP, RECORDED, bundle_of, make, make_facts, resources, said

CORPUS = Path(__file__).parents[3] / "corpus/test"
NOTES = {note.name: note for note in read_folder(CORPUS) if isinstance(note, BratNote)}


@pytest.mark.parametrize("name", sorted(NOTES))
def test_each_fact_of_an_annotated_note_stands_in_a_valid_bundle(name: str) -> None:
    doc = note_to_doc(NLP, NOTES[name], load_schema())
    made = [entry["resource"] for entry in bundle_of(doc)["entry"][1:-1]]
    places = {tuple(part["valueInteger"] for part in each["extension"][0]["extension"][1:]) for each in made}
    assert places == {(fact.start_char, fact.end_char - fact.start_char) for fact in doc._.facts}


def full() -> dict[str, Any]:
    """A bundle with a condition, a drug and a result."""
    doc = make(
        "K 5.9 mmol/L (3.5-5.1); Keflex 1-2 tabs bid x 7 days; gout", {"K": "test", "Keflex": "drug", "gout": "problem"},
        {"5.9 mmol/L": "labvalue", "3.5-5.1": "reference_range"},
    )
    facts = [fact for fact in doc._.facts if fact.type != "drug"]
    modifiers = {"1-2 tabs": "dosage", "bid": "frequency", "x 7 days": "duration"}
    (drug,) = make("Keflex 1-2 tabs bid x 7 days", {"Keflex": "drug"}, modifiers)._.facts
    return bundle_of(make_facts(doc.text, [*facts, drug]))


def first(bundle: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind)
    return found


def _set(kind: str, **elements: Any) -> Callable[[dict[str, Any]], None]:
    return lambda bundle: first(bundle, kind).update(elements)


def _repeat(**elements: Any) -> Callable[[dict[str, Any]], None]:
    return lambda bundle: first(bundle, "MedicationStatement")["dosage"][0]["timing"]["repeat"].update(elements)


FAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "bdl-3": lambda b: b["entry"][0].pop("request"),
    "bdl-7": lambda b: b["entry"].append(b["entry"][0]),
    "bdl-8": lambda b: b["entry"][0].update(fullUrl="http://x/DocumentReference/1/_history/2"),
    "dom-3": lambda b: first(b, "Provenance")["agent"][0]["who"].update(reference="Device/1"),
    "dom-6": lambda b: first(b, "Condition").pop("text"),
    "con-3": lambda b: first(b, "Condition").pop("clinicalStatus"),
    "con-4": _set("Condition", abatementString="gone"),
    "con-5": lambda b: first(b, "Condition")["verificationStatus"]["coding"][0].update(code="entered-in-error"),
    "obs-3": _set("Observation", referenceRange=[{"type": {"text": "x"}}]),
    "obs-6": _set("Observation", dataAbsentReason={"text": "x"}),
    "obs-7": _set("Observation", code={"coding": [{"code": "a"}]}, component=[{"code": {"coding": [{"code": "a"}]}}]),
    "qty-3": lambda b: first(b, "Observation")["valueQuantity"].pop("system"),
    "ext-1": lambda b: first(b, "Condition")["extension"][0].update(valueString="x"),
    "rng-2": lambda b: first(b, "MedicationStatement")["dosage"][0]["doseAndRate"][0]["doseRange"]["low"].update(value=3),
    "sqty-1": lambda b: first(b, "MedicationStatement")["dosage"][0]["doseAndRate"][0]["doseRange"]["low"].update(comparator="<"),
    "drt-1": lambda b: first(b, "MedicationStatement")["dosage"][0]["timing"]["repeat"]["boundsDuration"].pop("system"),
    "per-1": _set("MedicationStatement", effectivePeriod={"start": "2020", "end": "2019"}),
    "tim-2": lambda b: first(b, "MedicationStatement")["dosage"][0]["timing"]["repeat"].pop("periodUnit"),
    "tim-5": _repeat(period=-1),
    "tim-8": _repeat(countMax=2),
    "tim-9": _repeat(offset=30, when=["C"]),
    "tim-10": _repeat(when=["HS"], timeOfDay=["08:00:00"]),
    "ref-1": _set("Condition", asserter={"reference": "#nobody"}),
    "status": _set("MedicationStatement", status="taken"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_check_finds_what_breaks_an_invariant(name: str) -> None:
    bundle = copy.deepcopy(full())
    FAULTS[name](bundle)
    assert any(name in each for each in broken(bundle))


def test_ids_and_bundle_are_the_same_each_time() -> None:
    one, two = (bundle_of(make("return if fever", {"fever": "problem"})) for _ in range(2))
    assert one == two
    assert all(
        entry["request"] == {"method": "PUT", "url": f"{entry['resource']['resourceType']}/{entry['resource']['id']}"}
        for entry in one["entry"]
    )


def test_ids_are_made_of_note_system_words_and_place() -> None:
    def id_of(text: str = "return if fever", name: str = "n", word: str = "fever", **options: str) -> str:
        doc = make(text, {word: "problem"})
        doc.user_data[NOTE] = name
        id_: str = resources(doc, **options)[0]["id"]
        return id_

    words = id_of(text="return if chill", word="chill")
    others = [id_of(text="return  if fever"), id_of(name="m"), words, id_of(note_system="urn:a")]
    assert len({id_of(), *others}) == 5 and id_of(text="return if fever today") == id_of(patient="Patient/1") == id_of()


def test_facts_that_stand_twice_have_ids_of_their_own() -> None:
    fact = Fact("problem", "gout", 0, 4, None, Status())
    assert len({each["id"] for each in resources(make_facts("gout", [fact, fact]))}) == 2


@pytest.mark.parametrize(
    ("options", "kept", "wanted"),
    [
        ({}, None, {"extension": [{
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown",
        }]}),
        ({"patient": "Patient/17"}, None, {"reference": "Patient/17"}),
        ({"patient": "00-17", "patient_system": "urn:oid:1.2.3"}, None,
         {"type": "Patient", "identifier": {"system": "urn:oid:1.2.3", "value": "00-17"}}),
        ({"patient_column": "mrn"}, "https://ehr.example/fhir/Patient/9", {"reference": "https://ehr.example/fhir/Patient/9"}),
        ({"patient_column": "mrn"}, 17, {"type": "Patient", "identifier": {"value": "17"}}),
    ],
    ids=["none", "reference", "number", "of a column", "number of a column"],
)
def test_a_patient_is_the_one_that_is_said_and_none_is_invented(
    options: dict[str, str], kept: str | int | None, wanted: Any
) -> None:
    doc = make("gout; Allergies: penicillin; Lasix", {"gout": "problem", "penicillin": "drug", "Lasix": "drug"})
    set_columns(doc, {"mrn": kept} if kept else {})
    made = resources(doc, **options)
    assert [each.get("subject", each.get("patient")) for each in made] == [wanted] * 3


def test_the_document_has_hash_and_date_and_its_text_on_demand() -> None:
    doc = make("gout é", {"gout": "problem"}, date="2026-03-04")
    data = "gout é".encode()
    attachment = bundle_of(doc)["entry"][0]["resource"]["content"][0]["attachment"]
    assert attachment == {
        "contentType": "text/plain; charset=utf-8", "size": 7, "title": "n", "creation": "2026-03-04",
        "hash": base64.b64encode(hashlib.sha1(data).digest()).decode(),
    }
    attachment = bundle_of(doc, text="yes")["entry"][0]["resource"]["content"][0]["attachment"]
    assert base64.b64decode(attachment["data"]) == data


def test_provenance_names_pipeline_targets_and_what_is_missing() -> None:
    doc = make("gout", {"gout": "problem"})
    set_provenance(doc, pipeline="en_site", version="1.2", engine="bert", weights="ab12")
    set_failures(doc, [Failure(1, 3, "out of memory")])
    count_problem(doc, "value not read", 2)
    bundle = bundle_of(doc)
    provenance = bundle["entry"][-1]["resource"]
    assert provenance["target"] == [{"reference": bundle["entry"][1]["fullUrl"]}] and provenance["recorded"] == RECORDED
    assert provenance["contained"][0]["deviceName"] == [{"name": "en_site", "type": "model-name"}]
    assert [each["value"] for each in provenance["contained"][0]["version"]] == ["1.2", "bert", "ab12"]
    assert said(provenance, "incomplete") == [{"offset": 1, "length": 2, "reason": "out of memory"}]
    assert said(provenance, "problem") == [{"kind": "value not read", "count": 2}]


def test_each_extension_of_ours_is_documented() -> None:
    root = Path(__file__).parents[3]
    code = "".join(path.read_text() for path in (root / "kiwi_spacy/formats/fhir").glob("*.py"))
    table = (root / "docs/fhir.md").read_text().partition("## Extensions")[2]
    used = set(re.findall(r'OURS \+ "([a-z-]+)"', code))
    assert used and used == set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE))


def test_a_note_without_facts_has_document_and_provenance() -> None:
    bundle = bundle_of(make_facts("", []))
    assert [entry["resource"]["resourceType"] for entry in bundle["entry"]] == ["DocumentReference", "Provenance"]


def test_a_collection_has_no_requests() -> None:
    bundle = doc_to_bundle(make("gout", {"gout": "problem"}), FhirOptions(recorded=RECORDED), type="collection")
    assert broken(bundle) == [] and not any("request" in entry for entry in bundle["entry"])


def test_a_doc_without_a_name_is_refused() -> None:
    with pytest.raises(FormatError, match="no name"):
        doc_to_bundle(NLP.make_doc("fever"))


@pytest.mark.parametrize("columns", [{}, {"mrn": None}, {"mrn": " "}], ids=["no column", "nothing", "blank"])
def test_a_note_without_the_patient_that_is_asked_for_is_refused(columns: dict[str, str | None]) -> None:
    doc = make("gout", {"gout": "problem"})
    set_columns(doc, columns)
    with pytest.raises(FormatError, match="no patient in the column 'mrn'"):
        doc_to_bundle(doc, FhirOptions(patient_column="mrn"))


@pytest.mark.parametrize(
    ("said", "match"),
    [
        (["mrn=1"], "is no option of FHIR"), (["patient"], "is no option"), (["text=maybe"], "Write yes or no"),
        (["recorded=2026-11-27"], "date, time and zone"), (["patient=1", "patient-column=mrn"], "both given"),
        (["text=yes", "text=no"], "twice"), (["note-system=hospital"], "Write a URI"),
    ],
    ids=["key", "no value", "text", "recorded", "two patients", "twice", "system"],
)
def test_an_option_that_cannot_be_meant_is_refused(said: list[str], match: str) -> None:
    with pytest.raises(FormatError, match=match):
        parse_options(said)
