"""A drug as a MedicationStatement of FHIR R4, with its dosage."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...contract.facts import Attribute, Fact
from .elements import Json, amount, concept, filling, flat, is_rate, mapping, status_of, when, words

_REPEAT = ("frequency", "frequencyMax", "period", "periodMax", "periodUnit", "count", "when", "offset", "timeOfDay", "dayOfWeek")
_IN_SIG = ("strength", "dose", "form", "route", "timing", "length")


def medication(fact: Fact, patient: Json) -> Json:
    """Return a MedicationStatement, without id and extensions."""
    status = status_of("drug", fact)["status"]
    dosages = _dosages(fact)
    made: Json = {
        "resourceType": "MedicationStatement", "status": status, "medicationCodeableConcept": concept(fact), "subject": patient,
    }
    if status not in mapping()["undated"]["drug"]:
        made |= when(fact, "effective")
    return made | ({"dosage": dosages} if dosages else {})


def _dosages(fact: Fact) -> list[Json]:
    """Return a Dosage, one of each step where the dose has several; of a change from one dose to another the last."""
    parts = sorted((each for purpose in _IN_SIG for each in filling(fact, purpose)), key=lambda each: each.start_char)
    if not parts:
        return []
    made: Json = {"text": " ".join(flat(each.text) for each in parts)}
    doses, routes = filling(fact, "dose"), filling(fact, "route")
    made |= _timed(filling(fact, "timing"), filling(fact, "length"))
    if len(routes) == 1:
        made["route"] = words(routes[0])
    value = doses[0].value if len(doses) == 1 else None
    if not value or "steps" not in value:
        return [made | (_dose(value, _counted(fact, doses[0])) if value else {})]
    steps = value["steps"][-1:] if value["kind"] == "change" else value["steps"]
    if any("frequency" in step or "duration" in step for step in steps):  # which then say when, each for itself
        made.pop("timing", None)
    return [
        ({"sequence": number} if value["kind"] == "sequence" else {}) | made | _step(step)
        for number, step in enumerate(steps, start=1)
    ]


def _step(step: Mapping[str, Any]) -> Json:
    often: Mapping[str, Any] = step.get("frequency", {})
    text = flat(often["words"]) if often.get("words") else ""
    return _timing(often, step.get("duration"), text) | _dose(step["dose"])


def _dose(value: Mapping[str, Any], counted: str = "") -> Json:
    """Return the amount taken at once, or the rate; empty where no element holds it, such as "about 5 mg" or a limit.

    counted: What a number without a unit counts, in words.
    """
    if "value" not in value or {"comparator", "approximate", "per"} & value.keys():
        return {}
    made = amount(value, "rate" if is_rate(value.get("unit")) else "dose")
    if counted and not value.get("unit"):
        (held,) = made.values()
        for number in held.values() if "low" in held else [held]:
            number["unit"] = counted
    return {"doseAndRate": [made]}


def _counted(fact: Fact, dose: Attribute) -> str:
    """Return the form that stands right behind a dose, as "tabs" in "2 tabs"; empty where none does."""
    return next((flat(each.text) for each in filling(fact, "form") if 0 <= each.start_char - dose.end_char <= 1), "")


def _timed(timings: Sequence[Attribute], lengths: Sequence[Attribute]) -> Json:
    """Return timing and need of frequencies and lengths; "every 4 hours" and "as needed" are one frequency."""
    read = [(each, each.value or {}) for each in timings]
    needed = [value for _, value in read if value.get("asNeeded")]
    often = [(each, value) for each, value in read if not value.get("asNeeded") or value.keys() & set(_REPEAT)]
    length = lengths[0].value if len(lengths) == 1 else None
    made: Json = {}
    if len(often) == 1:
        made = _timing(often[0][1], length, flat(often[0][0].text))
    elif not often:
        made = _timing({}, length)
    instructions = [{"text": flat(value["instruction"])} for _, value in read if value.get("instruction")]
    if instructions:
        made["additionalInstruction"] = instructions
    reasons = [value["asNeededFor"] for value in needed if value.get("asNeededFor")]
    if reasons:
        made["asNeededCodeableConcept"] = {"text": flat(reasons[0])}
    elif needed:
        made["asNeededBoolean"] = True
    return made


def _timing(value: Mapping[str, Any] | None, length: Mapping[str, Any] | None, text: str = "") -> Json:
    """Return a Timing of a frequency's value and a duration's, empty where there is nothing to say."""
    value, length = value or {}, length or {}
    repeat = {key: value[key] for key in _REPEAT if key in value}
    bounds = value.get("boundsDuration") or length
    if "value" in bounds:
        said = {key: bounds[key] for key in ("value", "high", "unit", "comparator") if key in bounds}
        repeat |= amount(said, "bounds", last="Duration")
    if "doses" in length:
        repeat.setdefault("count", length["doses"])
    # tim-9 and tim-10: no offset from a meal itself, no clock time beside an event. The words say it.
    if ("timeOfDay" in repeat and "when" in repeat) or ("offset" in repeat and not _may_shift(repeat)):
        repeat = {}
    timing = ({"repeat": repeat} if repeat else {}) | ({"code": {"text": text}} if text else {})
    return {"timing": timing} if timing else {}


def _may_shift(repeat: Mapping[str, Any]) -> bool:
    codes = repeat.get("when", ())
    return bool(codes) and not {"C", "CM", "CD", "CV"} & set(codes)
