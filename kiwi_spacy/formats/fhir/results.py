"""A test's results as Observations of FHIR R4."""

from collections.abc import Mapping
from typing import Any

from ...contract.facts import Attribute, Fact
from .elements import HL7, Json, amount, code, concept, filling, flat, mapping, quantity, status_of, when, words

_PRESSURES = (("8480-6", "Systolic blood pressure"), ("8462-4", "Diastolic blood pressure"))


def results(fact: Fact, patient: Json) -> list[tuple[str, Json]]:
    """Return (part of the id, Observation without id and extensions) of each result; of a trend each value, in order.

    Range and interpretation of a trend stand with its last value, which they judge.
    """
    made: list[tuple[str, Json]] = []
    for found in filling(fact, "result"):
        value = found.value or {}
        values = value["values"] if value.get("type") == "trend" else [value]
        for number, each in enumerate(values, start=1):
            one = _observation(fact, patient) | _value(fact, found, each, whole=len(values) == 1)
            if number == len(values):
                one |= _judged(fact, value, value.get("unit") or each.get("unit"))
            made.append((f"{found.start_char}" + (f"/{number}" if number > 1 else ""), one))
    return made


def _observation(fact: Fact, patient: Json) -> Json:
    named = concept(fact)
    if _is_pressure(fact):
        loinc = {"system": "http://loinc.org", "code": "85354-9", "display": "Blood pressure panel"}
        known = [each["code"] for each in named.get("coding", ())]
        named = {"coding": [*named.get("coding", ()), *([] if loinc["code"] in known else [loinc])], "text": named["text"]}
    status = status_of("result", fact)["status"]
    return {"resourceType": "Observation", "status": status, "code": named, "subject": patient} | when(fact, "effective")


def _is_pressure(fact: Fact) -> bool:
    return flat(fact.text).lower() in mapping()["blood_pressure"]


def _judged(fact: Fact, value: Mapping[str, Any], unit: str | None) -> Json:
    """Return interpretation and reference range: the one beside the value, or that of its own words."""
    made: Json = {}
    if flag := value.get("interpretation"):
        made["interpretation"] = [code("v3-ObservationInterpretation", flag, mapping()["interpretations"][flag])]
    ranges = filling(fact, "range")
    only = ranges[0] if len(ranges) == len(filling(fact, "result")) == 1 else None
    limits: Mapping[str, Any] = value.get("reference") or (only and only.value) or {}
    normal: Json = {side: quantity(limits[side], limits.get("unit") or unit) for side in ("low", "high") if side in limits}
    mine = next((each for each in ranges if limits and each.value == limits), only)
    if text := flat(mine.text) if mine else _range_words(limits):
        normal["text"] = text
    return made | ({"referenceRange": [normal]} if normal else {})


def _range_words(limits: Mapping[str, Any]) -> str:
    """Return what a range's numbers do not say: a word for what is normal, or that a limit itself is outside."""
    if "code" in limits:
        return str(limits["code"]).replace("_", " ")
    signs = ((">", "low"), ("<", "high"))
    return " ".join(f"{sign}{limits[side]:g}" for sign, side in signs if limits.get(f"{side}_open"))


def _value(fact: Fact, found: Attribute, value: Mapping[str, Any], *, whole: bool) -> Json:
    """Return a result in the element of its kind; its words where none holds it."""
    kind, unit = value.get("type"), value.get("unit")
    if kind == "quantity" and not value.get("approximate"):
        return amount(value, "value")
    if kind == "ratio" and len(value["values"]) == 2:
        if _is_pressure(fact):  # the profile of vital signs knows no other unit
            return {"component": [
                {"code": {"coding": [{"system": "http://loinc.org", "code": loinc, "display": name}]},
                 "valueQuantity": quantity(each, unit or "mm[Hg]", value.get("unit_words", ""))}
                for (loinc, name), each in zip(_PRESSURES, value["values"], strict=True)
            ]}
        first, second = (quantity(each, unit, value.get("unit_words", "")) for each in value["values"])
        return {"valueRatio": {"numerator": first, "denominator": second}}
    if kind == "qualitative":
        return {"valueCodeableConcept": words(found) if whole else {"text": str(value["code"]).replace("_", " ")}}
    if kind == "no_value":
        reason = mapping()["absent"][value["reason"]]
        return {"dataAbsentReason": {"coding": [{"system": f"{HL7}/data-absent-reason", "code": reason}], **words(found)}}
    return {"valueString": flat(found.text) if whole else _said(value)}


def _said(value: Mapping[str, Any]) -> str:
    """Return one value of a trend in words, where no element holds it."""
    if value.get("type") == "ratio":
        return "/".join(f"{each:g}" for each in value["values"])
    low, high = value["value"], value.get("high")
    return f"about {low:g}" + (f"-{high:g}" if high is not None else "") + (f" {value['unit']}" if value.get("unit") else "")
