"""Elements that resources of FHIR R4 share: codes, quantities, dates, and where in the note a statement stands."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import srsly

from ...contract.facts import Attribute, Fact

Json = dict[str, Any]

HL7 = "http://terminology.hl7.org/CodeSystem"
UCUM = "http://unitsofmeasure.org"
DERIVED = "http://hl7.org/fhir/StructureDefinition/derivation-reference"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
OURS = "urn:kiwi-spacy:fhir:"  # and the name of an extension
_IDS = UUID("6f1d7a1c-52ad-4b53-9a3e-2f0d3a1f7c11")


@lru_cache(maxsize=1)
def mapping() -> Mapping[str, Any]:
    """Return the tables of map.yml."""
    found: Mapping[str, Any] = srsly.read_yaml(Path(__file__).with_name("map.yml"))
    return found


def stable_id(*parts: object) -> str:
    """Return an id that is the same whenever the parts are.

    >>> stable_id("note-1", 3, 8, "problem")
    'e75c5138-81a6-531f-b381-c91214ad3126'
    """
    return str(uuid5(_IDS, "\0".join(map(str, parts))))


def flat(text: str) -> str:
    """Return words on one line, without the control characters that FHIR forbids.

    >>> flat("chest\\n pain")
    'chest pain'
    """
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())


def code(system: str, value: str, display: str = "") -> Json:
    """Return a CodeableConcept of one code of HL7's terminologies."""
    coding = {"system": f"{HL7}/{system}", "code": value} | ({"display": display} if display else {})
    return {"coding": [coding]}


def concept(fact: Fact) -> Json:
    """Return the CodeableConcept of a fact: its codes, and the note's words."""
    codings = [{"system": c.system, "code": c.code, "display": c.name} for c in fact.codes]
    return ({"coding": codings} if codings else {}) | {"text": flat(fact.text)}


def words(attribute: Attribute) -> Json:
    """Return a CodeableConcept of words alone."""
    return {"text": flat(attribute.text)}


def quantity(value: float, unit: str | None, shown: str = "", comparator: str | None = None) -> Json:
    """Return a Quantity, with its UCUM code where it has a unit.

    >>> quantity(5.9, "mmol/L")
    {'value': 5.9, 'unit': 'mmol/L', 'system': 'http://unitsofmeasure.org', 'code': 'mmol/L'}
    """
    head = {"value": value} | ({"comparator": comparator} if comparator else {})
    return head | ({"unit": shown or unit, "system": UCUM, "code": unit} if unit else {})


def fhir_date(value: Mapping[str, Any] | None) -> str | None:
    """Return a time's value as a FHIR date of its own precision, None where it has no certain year.

    >>> fhir_date({"edtf": "2016-03"}), fhir_date({"edtf": "XXXX-03"}), fhir_date({"edtf": "2016~"})
    ('2016-03', None, None)
    """
    edtf = str((value or {}).get("edtf", ""))
    match = re.fullmatch(r"\d{4}(?:-(\d\d)(?:-\d\d)?)?", edtf)
    return edtf if match and (match[1] is None or int(match[1]) <= 12) else None


def age(value: Mapping[str, Any] | None) -> Json | None:
    """Return a time's value as an Age, None where it is none or is approximate.

    >>> age({"kind": "age", "iso": "P52Y"})
    {'value': 52, 'unit': 'a', 'system': 'http://unitsofmeasure.org', 'code': 'a'}
    """
    value = value or {}
    match = re.fullmatch(r"P(\d+)([DWMY])", str(value.get("iso", "")))
    if value.get("kind") != "age" or value.get("approximate") or value.get("iso_high") or not match or not int(match[1]):
        return None
    return quantity(int(match[1]), {"D": "d", "W": "wk", "M": "mo", "Y": "a"}[match[2]])


def extensions(fact: Fact, document: str) -> list[Json]:
    """Return what every resource carries: where its words stand, its score, and its status with what decided it."""
    place = [
        {"url": "reference", "valueReference": {"reference": document}},
        {"url": "offset", "valueInteger": fact.start_char},
        {"url": "length", "valueInteger": fact.end_char - fact.start_char},
    ]
    found: list[Json] = [{"url": DERIVED, "extension": place}]
    if fact.score is not None:
        found.append({"url": OURS + "score", "valueDecimal": round(fact.score, 4)})
    status: list[Json] = [{"url": "summary", "valueCode": fact.status.summary}]
    for one in fact.status.evidence:
        status.append({"url": "evidence", "extension": [
            {"url": "axis", "valueCode": one.axis}, {"url": "value", "valueCode": one.value},
            {"url": "source", "valueCode": one.source}, {"url": "rule", "valueString": one.rule},
            {"url": "offset", "valueInteger": one.start_char}, {"url": "length", "valueInteger": one.end_char - one.start_char},
        ]})
    return [*found, {"url": OURS + "status", "extension": status}]


def filling(fact: Fact, purpose: str) -> list[Attribute]:
    """Return the fact's attributes that fill an element, by `modifiers` of map.yml."""
    return [a for label, group in fact.attributes.items() if mapping()["modifiers"].get(label) == purpose for a in group]
