"""Elements that resources of FHIR R4 share: codes, quantities, dates, periods, and the map of map.yml."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import srsly

from ...contract.facts import Attribute, Code, Fact

Json = dict[str, Any]

HL7 = "http://terminology.hl7.org/CodeSystem"
UCUM = "http://unitsofmeasure.org"
OURS = "urn:kiwi-spacy:fhir:"  # and the name of an extension
_IDS = UUID("6f1d7a1c-52ad-4b53-9a3e-2f0d3a1f7c11")
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a pair, which UTF-8 has no place for
# Of time in a unit such as "ug/kg/min".
_PER_TIME = re.compile(r"/(?:s|min|h|d|wk|mo|a)$")


@lru_cache(maxsize=1)
def mapping() -> Mapping[str, Any]:
    """Return the tables of map.yml."""
    found: Mapping[str, Any] = srsly.read_yaml(Path(__file__).with_name("map.yml"))
    return found


def status_of(kind: str, fact: Fact) -> Mapping[str, Any]:
    """Return the line of `statuses` in map.yml that holds of a fact.

    >>> from kiwi_spacy.contract.status import Status
    >>> status_of("drug", Fact("drug", "Lasix", 0, 5, None, Status(use="stopped")))["status"]
    'stopped'
    """
    lines: list[Mapping[str, Any]] = mapping()["statuses"][kind]
    said = {axis: getattr(fact.status, axis) for axis in ("certainty", "time", "condition", "use")}
    return next(line for line in lines if line.get("when", {}).items() <= said.items())


def filling(fact: Fact, purpose: str) -> list[Attribute]:
    """Return the fact's attributes that fill an element, by `modifiers` of map.yml, in reading order."""
    found = [a for label, group in fact.attributes.items() if mapping()["modifiers"].get(label) == purpose for a in group]
    return sorted(found, key=lambda each: each.start_char)


def stable_id(*parts: object) -> str:
    """Return an id that is the same whenever the parts are.

    >>> stable_id("note-1", 3, 8, "problem")
    'e75c5138-81a6-531f-b381-c91214ad3126'
    """
    return str(uuid5(_IDS, _SURROGATE.sub("\ufffd", "\0".join(map(str, parts)))))


def flat(text: str) -> str:
    """Return words on one line, without the characters that FHIR forbids; a dash where no words are left.

    >>> flat("chest\\n pain"), flat(" \\n")
    ('chest pain', '-')
    """
    return " ".join(re.sub("[\x00-\x1f\x7f-\x9f\ufffe\uffff]", " ", _SURROGATE.sub("\ufffd", text)).split()) or "-"


def code(system: str, value: str, display: str = "") -> Json:
    """Return a CodeableConcept of one code of HL7's terminologies."""
    coding = {"system": f"{HL7}/{system}", "code": value} | ({"display": display} if display else {})
    return {"coding": [coding]}


def concept(fact: Fact) -> Json:
    """Return the CodeableConcept of a fact: its codes, each with how it was found, and the note's words."""
    return ({"coding": [_coding(each) for each in fact.codes]} if fact.codes else {}) | {"text": flat(fact.text)}


def _coding(found: Code) -> Json:
    about: list[Json] = []
    if found.score is not None:
        about.append({"url": "score", "valueDecimal": round(found.score, 4)})
    about += [{"url": key, "valueString": flat(said)} for key, said in (("how", found.how), ("term", found.term)) if said]
    if found.omop is not None:
        about.append({"url": "omop", "valueInteger": found.omop})
    for other in found.others:
        about.append({"url": "other", "extension": [
            {"url": "code", "valueString": flat(other.code)}, {"url": "name", "valueString": flat(other.name)},
            {"url": "score", "valueDecimal": round(other.score, 4)},
        ]})
    head: Json = {"extension": [{"url": OURS + "code", "extension": about}]} if about else {}
    return head | {"system": found.system, "code": found.code} | ({"display": flat(found.name)} if found.name else {})


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


def amount(value: Mapping[str, Any], name: str, *, last: str = "Quantity") -> Json:
    """Return a number or a range under the name of its element; `last` is how the name of the number's element ends.

    >>> amount({"value": 1, "high": 2}, "dose"), amount({"value": 3, "comparator": "<"}, "bounds", last="Duration")
    ({'doseRange': {'low': {'value': 1}, 'high': {'value': 2}}}, {'boundsDuration': {'value': 3, 'comparator': '<'}})
    """
    unit, shown = value.get("unit"), value.get("unit_words", "")
    if "high" in value:
        return {f"{name}Range": {"low": quantity(value["value"], unit, shown), "high": quantity(value["high"], unit, shown)}}
    return {f"{name}{last}": quantity(value["value"], unit, shown, value.get("comparator"))}


def is_rate(unit: str | None) -> bool:
    """Whether a unit has a time in its denominator.

    >>> is_rate("ug/kg/min"), is_rate("mg/kg")
    (True, False)
    """
    return bool(unit and _PER_TIME.search(unit))


def fhir_date(edtf: str | None) -> str | None:
    """Return a date of EDTF as one of FHIR, of its own precision; None where it has no certain year.

    >>> fhir_date("2016-03"), fhir_date("XXXX-03"), fhir_date("2016~"), fhir_date("2016-21")
    ('2016-03', None, None, None)
    """
    match = re.fullmatch(r"(?!0000)[0-9]{4}(?:-([0-9]{2})(?:-[0-9]{2})?)?", edtf or "")
    return edtf if match and (match[1] is None or 1 <= int(match[1]) <= 12) else None


def period(edtf: str | None) -> Json | None:
    """Return an interval of EDTF as a Period, None where it is none or an end of it has no certain year.

    >>> period("2016/.."), period("2016-03/2016-05-02"), period("2016~/..")
    ({'start': '2016'}, {'start': '2016-03', 'end': '2016-05-02'}, None)
    """
    start, slash, end = (edtf or "").partition("/")
    ends = {name: fhir_date(said) for name, said in (("start", start), ("end", end)) if said != ".."}
    if not slash or not ends or None in ends.values():
        return None
    if len(ends) == 2:  # per-1: FHIRPath cannot order 2016-03 and 2016-03-05
        shared = min(len(start), len(end))
        if start[:shared] > end[:shared] or (start[:shared] == end[:shared] and len(start) != len(end)):
            return None
    return ends


def age(value: Mapping[str, Any]) -> Json | None:
    """Return a time's value as an Age, None where it is none or is approximate.

    >>> age({"kind": "age", "iso": "P52Y"})
    {'value': 52, 'unit': 'a', 'system': 'http://unitsofmeasure.org', 'code': 'a'}
    """
    match = re.fullmatch(r"P([0-9]+)([DWMY])", str(value.get("iso", "")))
    if value.get("kind") != "age" or value.get("approximate") or value.get("iso_high") or not match or not int(match[1]):
        return None
    return quantity(int(match[1]), {"D": "d", "W": "wk", "M": "mo", "Y": "a"}[match[2]])


def when(fact: Fact, name: str) -> Json:
    """Return when something was, under the name of its element, empty where the fact has no one time with a certain year."""
    times = filling(fact, "time")
    edtf = (times[0].value or {}).get("edtf") if len(times) == 1 else None
    if day := fhir_date(edtf):
        return {f"{name}DateTime": day}
    span = period(edtf)
    return {f"{name}Period": span} if span else {}
