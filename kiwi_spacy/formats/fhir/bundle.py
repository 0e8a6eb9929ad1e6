"""A note's Bundle: the document, a resource or more of each fact, and where they come from."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from html import escape
from typing import Literal

from spacy.tokens import Doc

from ...contract import NOTE, get_columns, get_failures, get_note_date, get_problems, get_provenance
from ...contract.facts import Fact
from ...errors import FormatError
from .elements import HL7, OURS, Json, flat, stable_id
from .evidence import ABSENT, extensions, incomplete
from .options import FhirOptions, patient_reference
from .resources import find_reactions, resources_of

Type = Literal["transaction", "collection"]


def doc_to_bundle(doc: Doc, options: FhirOptions | None = None, *, type: Type = "transaction") -> Json:
    """Return a note's facts as a Bundle of FHIR R4, plain data.

    Ids are made of the note's name, and of a fact's place, words and type alone. Without a patient in the options it says that
    the patient is unknown, and without `recorded` that the instant is.

    type: "transaction" puts each resource under its id, so that sending it twice changes nothing; "collection" only lists them.
    RAISES (FormatError): The Doc has no name, of which its ids are made, or nothing in the column of the patient.
    """
    options = options or FhirOptions()
    note = str(doc.user_data.get(NOTE) or "")
    if not note:
        raise FormatError("The Doc has no name, of which stable ids are made. Set doc.user_data['kiwi_note'].")
    scope = (options.note_system, note)
    subject = _patient(doc, options)
    document = _document(doc, note, subject, options, stable_id(*scope, "document"))
    where = f"urn:uuid:{document['id']}"
    facts: list[Fact] = doc._.facts
    reactions = find_reactions(doc.text, facts)
    made: list[Json] = []
    seen: Counter[str] = Counter()
    for fact in facts:
        shown = reactions.get((fact.start_char, fact.end_char, fact.type), ())
        for part, resource in resources_of(fact, subject, shown):
            id_ = stable_id(*scope, fact.type, fact.text, fact.start_char, fact.end_char, part)
            seen[id_] += 1
            if seen[id_] > 1:  # facts of a user's own may stand twice
                id_ = stable_id(id_, seen[id_])
            kind = resource.pop("resourceType")
            about = f"{fact.type}: {flat(fact.text)} ({fact.status.summary})"
            made.append(_head(kind, id_, about) | {"extension": extensions(fact, where)} | resource)
    targets = [f"urn:uuid:{each['id']}" for each in made] or [where]
    provenance = _provenance(doc, note, where, targets, options, stable_id(*scope, "provenance"))
    return {"resourceType": "Bundle", "type": type, "entry": [_entry(each, type) for each in [document, *made, provenance]]}


def bundle_bytes(doc: Doc, options: FhirOptions | None = None) -> bytes:
    """Return a note's Bundle as a file of JSON in UTF-8."""
    made = doc_to_bundle(doc, options)
    return json.dumps(made, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def now() -> str:
    """Return this instant, in seconds of UTC, as `FhirOptions.recorded` has it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _patient(doc: Doc, options: FhirOptions) -> Json:
    said = options.patient
    if column := options.patient_column:
        value = get_columns(doc).get(column)
        said = "" if value is None else str(value).strip()
        if not said:
            raise FormatError(f"The note has no patient in the column '{column}'. Name another patient-column, or --carry it.")
    return dict(patient_reference(said, options.patient_system)) if said else {"extension": [_unknown()]}


def _unknown() -> Json:
    return {"url": ABSENT, "valueCode": "unknown"}


def _head(kind: str, id: str, about: str) -> Json:
    """Return how a resource begins: its type, its id, and a line for people to read (dom-6)."""
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{escape(about)}</div>'
    return {"resourceType": kind, "id": id, "text": {"status": "generated", "div": div}}


def _document(doc: Doc, note: str, subject: Json, options: FhirOptions, id: str) -> Json:
    data = doc.text.encode("utf-8", "replace")
    attachment: Json = {"contentType": "text/plain; charset=utf-8"}
    if options.text == "yes" and data:
        attachment["data"] = base64.b64encode(data).decode()
    attachment |= {"size": len(data), "hash": base64.b64encode(hashlib.sha1(data).digest()).decode(), "title": flat(note)}
    if day := get_note_date(doc):
        attachment["creation"] = day.isoformat()
    identifier = ({"system": options.note_system} if options.note_system else {}) | {"value": flat(note)}
    return _head("DocumentReference", id, f"note {flat(note)}") | {
        "identifier": [identifier], "status": "current", "subject": subject, "content": [{"attachment": attachment}],
    }


def _provenance(doc: Doc, note: str, where: str, targets: list[str], options: FhirOptions, id: str) -> Json:
    made = _head("Provenance", id, f"facts of note {flat(note)}") | {"contained": [_device(get_provenance(doc))]}
    said = [incomplete(failure) for failure in get_failures(doc)]
    for kind, times in sorted(get_problems(doc).items()):
        parts: list[Json] = [{"url": "kind", "valueString": flat(kind)}, {"url": "count", "valueInteger": times}]
        said.append({"url": OURS + "problem", "extension": parts})
    assembler: Json = {"coding": [{"system": f"{HL7}/provenance-participant-type", "code": "assembler"}]}
    return made | ({"extension": said} if said else {}) | {
        "target": [{"reference": target} for target in targets],
        **({"recorded": options.recorded} if options.recorded else {"_recorded": {"extension": [_unknown()]}}),
        "agent": [{"type": assembler, "who": {"reference": "#pipeline"}}],
        "entity": [{"role": "source", "what": {"reference": where}}],
    }


def _device(provenance: Mapping[str, str]) -> Json:
    """Return the pipeline as a Device: its name, its version, the hash of its weights."""
    name = {"name": provenance.get("pipeline") or "kiwi_spacy", "type": "model-name"}
    versions: list[Json] = [
        {"type": {"text": key}, "value": provenance[key]} for key in ("version", "engine", "weights") if provenance.get(key)
    ]
    return {"resourceType": "Device", "id": "pipeline", "deviceName": [name]} | ({"version": versions} if versions else {})


def _entry(resource: Json, type: Type) -> Json:
    made: Json = {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
    if type == "transaction":
        made["request"] = {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
    return made
