"""What each resource says of its fact besides FHIR's own elements: place, score, status, section, attributes (docs/fhir.md)."""

import json
from collections.abc import Iterable
from typing import Any

from ...contract import Failure
from ...contract.facts import Attribute, Fact, FactSection
from ...contract.status import Evidence
from .elements import OURS, Json, amount, flat

DERIVED = "http://hl7.org/fhir/StructureDefinition/derivation-reference"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_AXES = ("summary", "certainty", "time", "experiencer", "condition", "use")


def extensions(fact: Fact, document: str) -> list[Json]:
    """Return all that is known of a fact: where its words stand in the document, HL7's extension, first; then ours."""
    found: list[Json] = [
        {"url": DERIVED, "extension": [{"url": "reference", "valueReference": {"reference": document}}, *_place(fact)]}
    ]
    if fact.score is not None:
        found.append({"url": OURS + "score", "valueDecimal": round(fact.score, 4)})
    found.append({"url": OURS + "status", "extension": _status(fact)})
    if fact.section:
        found.append({"url": OURS + "section", "extension": section(fact.section)})
    found += [{"url": OURS + "attribute", "extension": _attribute(each)} for group in fact.attributes.values() for each in group]
    if fact.daily:
        found.append({"url": OURS + "daily-amount", "extension": _daily(fact.daily)})
    return found


def section(place: FactSection) -> list[Json]:
    """Return a section as the parts of an extension."""
    parts = (("key", place.key), ("title", place.title), ("loinc", place.loinc), ("parent", place.parent))
    return [{"url": name, "valueString": flat(said)} for name, said in parts if said]


def incomplete(failure: Failure) -> Json:
    """Return the extension of a stretch of the note that has no answer."""
    return {"url": OURS + "incomplete", "extension": [*_place(failure), {"url": "reason", "valueString": flat(failure.reason)}]}


def _place(what: Fact | Attribute | Evidence | Failure) -> list[Json]:
    return [
        {"url": "offset", "valueInteger": what.start_char}, {"url": "length", "valueInteger": what.end_char - what.start_char}
    ]


def _status(fact: Fact) -> list[Json]:
    status = fact.status
    parts: list[Json] = [{"url": axis, "valueCode": said} for axis in _AXES if (said := getattr(status, axis))]
    if status.relative:
        parts.append({"url": "relative", "valueString": flat(status.relative)})
    return parts + _reasons("evidence", status.evidence) + _reasons("conflict", status.conflicts)


def _reasons(url: str, reasons: Iterable[Evidence]) -> list[Json]:
    return [
        {"url": url, "extension": [
            {"url": "axis", "valueCode": one.axis}, {"url": "value", "valueCode": one.value},
            {"url": "source", "valueCode": one.source}, {"url": "rule", "valueString": flat(one.rule)}, *_place(one),
        ]}
        for one in reasons
    ]


def _attribute(attribute: Attribute) -> list[Json]:
    parts: list[Json] = [
        {"url": "type", "valueString": flat(attribute.label)}, {"url": "text", "valueString": flat(attribute.text)},
        *_place(attribute),
    ]
    if attribute.score is not None:
        parts.append({"url": "score", "valueDecimal": round(attribute.score, 4)})
    if attribute.value is not None:
        parts.append({"url": "value", "valueString": json.dumps(attribute.value, ensure_ascii=False)})
    return parts


def _daily(daily: dict[str, Any]) -> list[Json]:
    parts: list[Json] = []
    for each in daily["parts"]:
        parts.append({"url": "amount", **amount(each, "value")})
        if each.get("approximate"):
            parts.append({"url": "approximate", "valueBoolean": True})
    return [*parts, *({"url": "from", "valueString": flat(label)} for label in daily.get("from", ()))]
