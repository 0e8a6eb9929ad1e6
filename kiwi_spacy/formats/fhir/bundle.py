"""A note's Bundle: the document, a resource or more of each fact, and where they come from."""

import base64
import hashlib
from typing import Literal

from spacy.tokens import Doc

from ...contract import NOTE, get_failures, get_provenance
from ...contract.facts import Fact
from ...errors import FormatError
from .elements import ABSENT, HL7, OURS, Json, extensions, stable_id
from .resources import resources_of


def doc_to_bundle(
    doc: Doc, *, patient: str | None = None, type: Literal["transaction", "collection"] = "transaction", text: bool = False,
    recorded: str | None = None,
) -> Json:
    """Return a note's facts as a Bundle of FHIR R4, plain data. Ids depend on the note's name and the places alone.

    patient (str | None): A reference such as "Patient/17". Without it the patient is said to be unknown; none is invented.
    type: "transaction" puts each resource under its id, so that sending it twice changes nothing; "collection" only lists them.
    text (bool): Whether the note's text stands in the DocumentReference; else only its hash and size do.
    recorded (str | None): The instant of the Provenance, such as "2026-11-27T05:00:00Z". Without it, it is said to be unknown.
    RAISES (FormatError): The Doc has no name, of which its ids are made.
    """
    note = str(doc.user_data.get(NOTE) or "")
    if not note:
        raise FormatError("The Doc has no name, of which stable ids are made. Set doc.user_data['kiwi_note'].")
    unknown: list[Json] = [{"url": ABSENT, "valueCode": "unknown"}]
    subject: Json = {"reference": patient} if patient else {"extension": unknown}
    data = doc.text.encode("utf-8", "replace")
    attachment: Json = {
        "contentType": "text/plain; charset=utf-8", "size": len(data), "title": note,
        "hash": base64.b64encode(hashlib.sha1(data).digest()).decode(),
    }
    if text:
        attachment["data"] = base64.b64encode(data).decode()
    document: Json = {
        "resourceType": "DocumentReference", "id": stable_id(note, "document"), "identifier": [{"value": note}],
        "status": "current", "subject": subject, "content": [{"attachment": attachment}],
    }
    where = f"urn:uuid:{document['id']}"
    facts: list[Fact] = doc._.facts
    made: list[Json] = []
    for fact in facts:
        for number, resource in enumerate(resources_of(fact, subject)):
            id_ = stable_id(note, fact.start_char, fact.end_char, fact.type, number)
            head = {"resourceType": resource.pop("resourceType"), "id": id_, "extension": extensions(fact, where)}
            made.append(head | resource)
    provenance: Json = {
        "resourceType": "Provenance", "id": stable_id(note, "provenance"),
        "contained": [_device(get_provenance(doc))],
        "target": [{"reference": f"urn:uuid:{each['id']}"} for each in made or [document]],
        "agent": [{**_assembler(), "who": {"reference": "#pipeline"}}],
        "entity": [{"role": "source", "what": {"reference": where}}],
    } | ({"recorded": recorded} if recorded else {"_recorded": {"extension": unknown}})
    missing: list[Json] = [
        {"url": OURS + "incomplete", "extension": [
            {"url": "offset", "valueInteger": f.start_char}, {"url": "length", "valueInteger": f.end_char - f.start_char},
            {"url": "reason", "valueString": f.reason},
        ]}
        for f in get_failures(doc)
    ]
    if missing:
        provenance["extension"] = missing
    return {"resourceType": "Bundle", "type": type, "entry": [_entry(each, type) for each in [document, *made, provenance]]}


def _assembler() -> Json:
    return {"type": {"coding": [{"system": f"{HL7}/provenance-participant-type", "code": "assembler"}]}}


def _device(provenance: dict[str, str]) -> Json:
    """Return the pipeline as a Device: its name, its version, the hash of its weights."""
    made: Json = {
        "resourceType": "Device", "id": "pipeline",
        "deviceName": [{"name": provenance.get("pipeline") or "kiwi_spacy", "type": "model-name"}],
    }
    versions: list[Json] = [
        {"type": {"text": key}, "value": provenance[key]} for key in ("version", "engine", "weights") if provenance.get(key)
    ]
    return made | ({"version": versions} if versions else {})


def _entry(resource: Json, type: str) -> Json:
    made: Json = {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
    if type == "transaction":
        made["request"] = {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
    return made
