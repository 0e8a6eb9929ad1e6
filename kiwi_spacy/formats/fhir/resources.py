"""A fact > its resources of FHIR R4. Status of every kind has a place; none is left out."""

from typing import Any

from ...contract.facts import Attribute, Fact
from .elements import HL7, Json, age, code, concept, fhir_date, filling, flat, mapping, quantity, words


def resources_of(fact: Fact, patient: Json) -> list[Json]:
    """Return the resources of a fact, without ids and extensions; one at least."""
    status = fact.status
    kind = mapping()["entities"].get(fact.type)
    if status.experiencer != "patient" or kind is None:
        plain = status.certainty == "present" and status.condition is None
        if kind == "condition" and status.experiencer == "family" and plain:
            return [_family(fact, patient)]
        return [_statement(fact, patient)]
    if status.use == "allergy" and kind != "condition":
        return [_allergy(fact, patient)]
    if kind == "condition":
        return [_condition(fact, patient)]
    if kind == "drug":
        return [_drug(fact, patient)]
    found = filling(fact, "result") if kind == "result" else []
    return [_result(fact, each, patient) for each in found] or [_procedure(fact, patient)]


def _condition(fact: Fact, patient: Json) -> Json:
    status = fact.status
    verified, clinical = "confirmed", "inactive" if status.time == "historical" else "active"
    if status.certainty == "absent":
        verified, clinical = "refuted", ""
    elif status.condition == "hypothetical":
        verified, clinical = "provisional", ""
    elif status.certainty == "possible":
        verified = "provisional"
    made: Json = {"resourceType": "Condition"}
    if clinical:
        made["clinicalStatus"] = code("condition-clinical", clinical)
    made |= {
        "verificationStatus": code("condition-ver-status", verified),
        "category": [code("condition-category", "encounter-diagnosis")], "code": concept(fact), "subject": patient,
    }
    if found := filling(fact, "severity"):
        made["severity"] = words(found[0])
    if sites := filling(fact, "site"):
        made["bodySite"] = [words(site) for site in sites]
    return made | (_onset(fact) if clinical else {})


def _onset(fact: Fact) -> Json:
    for time in filling(fact, "time"):
        if years := age(time.value):
            return {"onsetAge": years}
        if day := fhir_date(time.value):
            return {"onsetDateTime": day}
        return {"onsetString": flat(time.text)}
    return {}


def _family(fact: Fact, patient: Json) -> Json:
    relative = flat(fact.status.relative or "")
    role = next((key for key, said in mapping()["relatives"].items() if relative.lower() in said), "FAMMEMB")
    condition: Json = {"code": concept(fact)}
    onset = _onset(fact)
    if "onsetDateTime" in onset:  # no element of a relative's condition holds a date alone
        onset = {"onsetPeriod": {"start": onset["onsetDateTime"], "end": onset["onsetDateTime"]}}
    return {
        "resourceType": "FamilyMemberHistory", "status": "partial", "patient": patient,
        "relationship": code("v3-RoleCode", role) | ({"text": relative} if relative else {}), "condition": [condition | onset],
    }


def _statement(fact: Fact, patient: Json) -> Json:
    """What holds of somebody else, or is absent in the family: nothing in it can be read as the patient's own."""
    about = {"family": "family", "other": "other-person", "patient": "patient"}[fact.status.experiencer]
    made: Json = {
        "resourceType": "Observation", "status": "final" if fact.status.condition is None else "unknown",
        "code": {"text": f"statement about: {about}"}, "subject": patient,
        "component": [{"code": concept(fact), "valueCodeableConcept": {"text": fact.status.certainty}}],
    }
    if fact.status.experiencer != "patient":
        made["focus"] = [{"display": flat(fact.status.relative or about)}]
    return made


def _allergy(fact: Fact, patient: Json) -> Json:
    verified = {"present": "confirmed", "possible": "unconfirmed", "absent": "refuted"}[fact.status.certainty]
    clinical = "active" if verified != "refuted" and fact.status.time == "current" else "inactive"
    made: Json = {
        "resourceType": "AllergyIntolerance", "clinicalStatus": code("allergyintolerance-clinical", clinical),
        "verificationStatus": code("allergyintolerance-verification", verified), "code": concept(fact), "patient": patient,
    }
    return made | ({"category": ["medication"]} if mapping()["entities"][fact.type] == "drug" else {})


def _drug(fact: Fact, patient: Json) -> Json:
    status = fact.status
    said = {"taking": "active", "stopped": "stopped", "planned": "intended", "refused": "not-taken"}.get(status.use or "")
    if status.certainty == "absent":
        said = "not-taken"
    elif status.condition == "hypothetical":
        said = "intended"
    elif said is None:
        said = "completed" if status.time == "historical" else "unknown"
    made: Json = {
        "resourceType": "MedicationStatement", "status": said, "medicationCodeableConcept": concept(fact), "subject": patient,
    }
    dosage = _dosage(fact)
    return made | ({"dosage": [dosage]} if dosage else {}) | _when(fact, "effective")


def _dosage(fact: Fact) -> Json:
    doses, timings, routes = (filling(fact, purpose) for purpose in ("dose", "timing", "route"))
    parts = sorted([*doses, *timings, *routes], key=lambda each: each.start_char)
    made: Json = {"text": " ".join(flat(each.text) for each in parts)} if parts else {}
    if len(timings) == 1:
        value: dict[str, Any] = timings[0].value or {}
        beside = ("words", "asNeeded", "asNeededFor", "now", "continuous", "instruction")
        repeat = {key: each for key, each in value.items() if key not in beside}
        if bounds := repeat.get("boundsDuration"):
            repeat["boundsDuration"] = quantity(bounds["value"], bounds["unit"])
        made["timing"] = ({"repeat": repeat} if repeat else {}) | {"code": words(timings[0])}
        if value.get("asNeededFor"):
            made["asNeededCodeableConcept"] = {"text": value["asNeededFor"]}
        elif value.get("asNeeded"):
            made["asNeededBoolean"] = True
    if len(routes) == 1:
        made["route"] = words(routes[0])
    taken = doses[0].value if len(doses) == 1 else None
    if taken and "value" in taken and not {"comparator", "approximate", "per"} & taken.keys():
        name = "rate" if "/" in taken.get("unit", "") else "dose"
        low = quantity(taken["value"], taken.get("unit"))
        if "high" in taken:
            made["doseAndRate"] = [{f"{name}Range": {"low": low, "high": quantity(taken["high"], taken.get("unit"))}}]
        else:
            made["doseAndRate"] = [{f"{name}Quantity": low}]
    return made


def _procedure(fact: Fact, patient: Json) -> Json:
    status = fact.status
    said = {"taking": "completed", "stopped": "stopped", "planned": "preparation", "refused": "not-done"}.get(status.use or "")
    if status.certainty == "absent":
        said = "not-done"
    elif status.condition == "hypothetical" or status.certainty == "possible":
        said = "unknown"
    made: Json = {
        "resourceType": "Procedure", "code": concept(fact), "subject": patient,
        "status": said or ("completed" if status.time == "historical" else "unknown"),
    }
    return made | _when(fact, "performed")


def _when(fact: Fact, name: str) -> Json:
    days = [day for time in filling(fact, "time") if (day := fhir_date(time.value))]
    return {f"{name}DateTime": days[0]} if days else {}


def _result(fact: Fact, found: Attribute, patient: Json) -> Json:
    status, value = fact.status, found.value or {}
    said = "final" if status.certainty == "present" and status.condition is None and status.use != "planned" else "unknown"
    made: Json = {"resourceType": "Observation", "status": said, "code": concept(fact), "subject": patient}
    made |= _when(fact, "effective") | _value(fact, found, value)
    if flag := value.get("interpretation"):
        made["interpretation"] = [code("v3-ObservationInterpretation", flag, mapping()["interpretations"][flag])]
    ranges = filling(fact, "range")
    limits = value.get("reference", {})
    normal: Json = {
        side: quantity(limits[side], limits.get("unit") or value.get("unit")) for side in ("low", "high") if side in limits
    }
    if len(ranges) == 1:
        normal["text"] = flat(ranges[0].text)
    return made | ({"referenceRange": [normal]} if normal else {})


def _value(fact: Fact, found: Attribute, value: dict[str, Any]) -> Json:
    kind, unit = value.get("type"), value.get("unit")
    if kind == "quantity" and not value.get("approximate"):
        one = quantity(value["value"], unit, value.get("unit_words", ""), value.get("comparator"))
        if "high" in value:
            return {"valueRange": {"low": one, "high": quantity(value["high"], unit, value.get("unit_words", ""))}}
        return {"valueQuantity": one}
    if kind == "ratio" and len(value["values"]) == 2:
        first, second = value["values"]
        if flat(fact.text).lower() in mapping()["blood_pressure"]:
            return {"component": [
                {"code": {"coding": [{"system": "http://loinc.org", "code": loinc, "display": name}]},
                 "valueQuantity": quantity(each, unit or "mm[Hg]", value.get("unit_words", ""))}
                for loinc, name, each in (
                    ("8480-6", "Systolic blood pressure", first), ("8462-4", "Diastolic blood pressure", second),
                )
            ]}
        return {"valueRatio": {"numerator": quantity(first, unit), "denominator": quantity(second, unit)}}
    if kind == "qualitative":
        return {"valueCodeableConcept": words(found)}
    if kind == "no_value":
        reason = mapping()["absent"][value["reason"]]
        return {"dataAbsentReason": {"coding": [{"system": f"{HL7}/data-absent-reason", "code": reason}], **words(found)}}
    return {"valueString": flat(found.text)}
