"""The invariants of FHIR R4 (4.0.1) for every type that our bundles hold, as FHIRPath, and what checks a bundle by them.

Where fhirpathpy cannot evaluate the published expression it is written in another form of the same meaning: bdl-9, bdl-10, dom-3,
dom-6, tim-9, per-1, rng-2, sqty-1. Codes are those of required bindings, which neither fhirclient's models nor FHIRPath check.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import fhirpathpy
from fhirclient.models.bundle import Bundle
from fhirclient.models.fhirabstractbase import FHIRAbstractBase
from fhirpathpy.engine.nodes import ResourceNode
from fhirpathpy.models import models

_VER = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"

# Type in fhirclient > name of the invariant > expression.
INVARIANTS: dict[str, dict[str, str]] = {
    "Bundle": {
        "bdl-1": "total.empty() or (type = 'searchset') or (type = 'history')",
        "bdl-2": "entry.search.empty() or (type = 'searchset')",
        "bdl-3": "entry.all(request.exists() = (%resource.type = 'batch' or %resource.type = 'transaction' or "
        "%resource.type = 'history'))",
        "bdl-4": "entry.all(response.exists() = (%resource.type = 'batch-response' or %resource.type = 'transaction-response' "
        "or %resource.type = 'history'))",
        "bdl-7": "(type = 'history') or entry.where(fullUrl.exists()).select(fullUrl & resource.meta.versionId).isDistinct()",
        "bdl-9": "type = 'document' implies (identifier.system.exists() and identifier.value.exists())",
        "bdl-10": "type = 'document' implies (timestamp.exists())",
    },
    "BundleEntry": {
        "bdl-5": "resource.exists() or request.exists() or response.exists()",
        "bdl-8": "fullUrl.contains('/_history/').not()",
    },
    "DomainResource": {
        "dom-2": "contained.contained.empty()",
        "dom-3": "contained.all(('#' & id) in %resource.descendants().reference)",
        "dom-4": "contained.meta.versionId.empty() and contained.meta.lastUpdated.empty()",
        "dom-5": "contained.meta.security.empty()",
        "dom-6": "text.`div`.exists()",
    },
    "Condition": {
        "con-3": f"clinicalStatus.exists() or verificationStatus.coding.where(system='{_VER}' and code = 'entered-in-error')"
        ".exists() or category.select($this='problem-list-item').empty()",
        "con-4": f"abatement.empty() or clinicalStatus.coding.where(system='{_CLINICAL}' and (code='resolved' or "
        "code='remission' or code='inactive')).exists()",
        "con-5": f"verificationStatus.coding.where(system='{_VER}' and code='entered-in-error').empty() or "
        "clinicalStatus.empty()",
    },
    "Observation": {
        "obs-6": "dataAbsentReason.empty() or value.empty()",
        "obs-7": "value.empty() or component.code.where(coding.intersect(%resource.code.coding).exists()).empty()",
    },
    "ObservationReferenceRange": {"obs-3": "low.exists() or high.exists() or text.exists()"},
    "AllergyIntolerance": {
        "ait-1": f"verificationStatus.coding.where(system = '{_ALLERGY}' and code = 'entered-in-error').exists() or "
        "clinicalStatus.exists()",
        "ait-2": f"verificationStatus.coding.where(system = '{_ALLERGY}' and code = 'entered-in-error').empty() or "
        "clinicalStatus.empty()",
    },
    "FamilyMemberHistory": {
        "fhs-1": "age.empty() or born.empty()",
        "fhs-2": "age.exists() or estimatedAge.empty()",
    },
    "Extension": {"ext-1": "extension.exists() != value.exists()"},
    "Quantity": {"qty-3": "code.empty() or system.exists()"},
    "Age": {
        "qty-3": "code.empty() or system.exists()",
        "age-1": "(code.exists() or value.empty()) and (system.empty() or system = %ucum) and (value.empty() or value > 0)",
    },
    "Duration": {"drt-1": "code.exists() implies ((system = %ucum) and value.exists())"},
    "Range": {
        "rng-2": "low.value.empty() or high.value.empty() or (low.value <= high.value)",
        "sqty-1": "low.comparator.empty() and high.comparator.empty()",
    },
    "Ratio": {"rat-1": "(numerator.empty() xor denominator.exists()) and (numerator.exists() or extension.exists())"},
    "Period": {"per-1": "start.empty() or end.empty() or (start <= end)"},
    "TimingRepeat": {
        "tim-1": "duration.empty() or durationUnit.exists()",
        "tim-2": "period.empty() or periodUnit.exists()",
        "tim-4": "duration.exists() implies duration >= 0",
        "tim-5": "period.exists() implies period >= 0",
        "tim-6": "periodMax.empty() or period.exists()",
        "tim-7": "durationMax.empty() or duration.exists()",
        "tim-8": "countMax.empty() or count.exists()",
        "tim-9": "offset.empty() or (when.exists() and when.where($this in ('C' | 'CM' | 'CD' | 'CV')).empty())",
        "tim-10": "timeOfDay.empty() or when.empty()",
    },
    "Attachment": {"att-1": "data.empty() or contentType.exists()"},
    "Reference": {
        "ref-1": "reference.empty() or reference.startsWith('#').not() or (reference.substring(1) in %rootResource.contained.id)"
    },
}
INVARIANTS["DoseAndRate"] = {"sqty-1": "dose.comparator.empty() and rate.comparator.empty()"}
_PATHS = {  # of types that are parts of others, for choices such as value[x]
    "TimingRepeat": "Timing.repeat", "BundleEntry": "Bundle.entry", "ObservationReferenceRange": "Observation.referenceRange",
    "DoseAndRate": "Dosage.doseAndRate",
}
_NAMES = {"DosageDoseAndRate": "DoseAndRate", "FHIRReference": "Reference"}

CODES = {
    ("MedicationStatement", "status"): {"active", "completed", "entered-in-error", "intended", "stopped", "on-hold", "unknown",
                                        "not-taken"},
    ("Procedure", "status"): {"preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error",
                              "unknown"},
    ("Observation", "status"): {"registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error",
                                "unknown"},
    ("FamilyMemberHistory", "status"): {"partial", "completed", "entered-in-error", "health-unknown"},
    ("DocumentReference", "status"): {"current", "superseded", "entered-in-error"},
    ("AllergyIntoleranceReaction", "severity"): {"mild", "moderate", "severe"},
    ("Quantity", "comparator"): {"<", "<=", ">=", ">"},
    ("Duration", "comparator"): {"<", "<=", ">=", ">"},
    ("TimingRepeat", "periodUnit"): {"s", "min", "h", "d", "wk", "mo", "a"},
    ("TimingRepeat", "dayOfWeek"): {"mon", "tue", "wed", "thu", "fri", "sat", "sun"},
    ("TimingRepeat", "when"): {"MORN", "MORN.early", "MORN.late", "NOON", "AFT", "AFT.early", "AFT.late", "EVE", "EVE.early",
                               "EVE.late", "NIGHT", "PHS", "HS", "WAKE", "C", "CM", "CD", "CV", "AC", "ACM", "ACD", "ACV", "PC",
                               "PCM", "PCD", "PCV"},
    ("Narrative", "status"): {"generated", "extensions", "additional", "empty"},
    ("BundleEntryRequest", "method"): {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"},
    ("ProvenanceEntity", "role"): {"derivation", "revision", "quotation", "source", "removal"},
    ("DeviceDeviceName", "type"): {"udi-label-name", "user-friendly-name", "patient-reported-name", "manufacturer-name",
                                   "model-name", "other"},
}
CODED = {  # CodeableConcepts whose binding is required
    ("Condition", "clinicalStatus"): {"active", "recurrence", "relapse", "inactive", "remission", "resolved"},
    ("Condition", "verificationStatus"): {"unconfirmed", "provisional", "differential", "confirmed", "refuted",
                                          "entered-in-error"},
    ("AllergyIntolerance", "clinicalStatus"): {"active", "inactive", "resolved"},
    ("AllergyIntolerance", "verificationStatus"): {"unconfirmed", "confirmed", "refuted", "entered-in-error"},
}


@cache
def _compiled(expression: str) -> Callable[[Any, Any], list[Any]]:
    return fhirpathpy.compile(expression, models["r4"])


def broken(bundle: dict[str, Any]) -> list[str]:
    """Return what a bundle breaks: "place: invariant or binding" each.

    RAISES (FHIRValidationError): It does not fit the models of R4: a name, a type, or how often.
    """
    read = Bundle(json.loads(json.dumps(bundle)), strict=True)
    assert json.loads(json.dumps(read.as_json())) == json.loads(json.dumps(bundle))  # nothing was left out
    return list(_walk(read, "Bundle", root=bundle, resource=bundle))


def _walk(node: FHIRAbstractBase, place: str, *, root: Any, resource: Any) -> Iterator[str]:
    kind = _NAMES.get(type(node).__name__, type(node).__name__)
    if not (node_json := node.as_json()):
        yield f"{place}: ele-1"
    if "resourceType" in node_json:
        resource = node_json
        root = root if ".contained" in place else node_json
        kinds = [kind] if kind == "Bundle" or ".contained" in place else [kind, "DomainResource"]
    else:
        kinds = [kind]
    for each in kinds:
        for name, expression in INVARIANTS.get(each, {}).items():
            typed = ResourceNode.create_node(node_json, _PATHS.get(each, kind))
            if _compiled(expression)(typed, {"resource": resource, "rootResource": root}) != [True]:
                yield f"{place}: {name}"
    for (owner, name), allowed in CODES.items():
        said = node_json.get(name) if owner == kind else None
        if said is not None and not set(said if isinstance(said, list) else [said]) <= allowed:
            yield f"{place}.{name}: {said}"
    for (owner, name), allowed in CODED.items():
        if owner == kind and name in node_json and not {c["code"] for c in node_json[name]["coding"]} <= allowed:
            yield f"{place}.{name}: {node_json[name]}"
    for name, _, _, is_list, _, _ in node.elementProperties():
        value = getattr(node, name)
        for number, child in enumerate(value if is_list and value else [value]):
            if isinstance(child, FHIRAbstractBase):
                yield from _walk(child, f"{place}.{name}" + (f"[{number}]" if is_list else ""), root=root, resource=resource)
