"""What a user says of the bundles to write: whose they are, what note names are unique in, whether texts go with them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields

from ...errors import FormatError

# A relative reference such as "Patient/17", a URL, or a urn; anything else is a patient's number.
_REFERENCE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}|https?://\S+|urn:\S+")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class FhirOptions:
    """Options of `kiwi extract --format fhir`, each given as KEY=VALUE.

    patient: Of all notes: a reference such as "Patient/17", or a number, which becomes a logical reference.
    patient_column: The column of the notes' table, or the field of their JSON, that holds it; one that is carried along.
    patient_system: What numbers of patients are unique in, a URI.
    note_system: What names of notes are unique in, a URI; ids are made of it too.
    recorded: The instant of the Provenance, such as "2026-11-27T05:00:00Z".
    text: "yes" puts the note's text into the DocumentReference.
    """

    patient: str = ""
    patient_column: str = ""
    patient_system: str = ""
    note_system: str = ""
    recorded: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        if self.patient and self.patient_column:
            raise FormatError("patient and patient-column are both given. Name one patient, or the column that holds each.")
        if self.recorded and not _INSTANT.fullmatch(self.recorded):
            raise FormatError(f"recorded is '{self.recorded}'. Write date, time and zone, as in 2026-11-27T05:00:00Z.")
        if self.text not in ("", "yes", "no"):
            raise FormatError(f"text is '{self.text}'. Write yes or no.")
        for name in ("patient_system", "note_system"):
            if (uri := getattr(self, name)) and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+", uri):
                raise FormatError(f"{name.replace('_', '-')} is '{uri}'. Write a URI, as in https://hospital.example/notes.")


def parse_options(said: Iterable[str]) -> FhirOptions:
    """Return the options of lines KEY=VALUE.

    RAISES (FormatError): A key is unknown or given twice, or a value is not of its form.

    >>> parse_options(["patient-column=mrn", "text=yes"]).patient_column
    'mrn'
    """
    known = {field.name.replace("_", "-"): field.name for field in fields(FhirOptions)}
    values: dict[str, str] = {}
    for line in said:
        key, sign, value = line.partition("=")
        if not sign or key not in known or not value:
            raise FormatError(f"'{line}' is no option of FHIR. Write KEY=VALUE with one of: {', '.join(known)}.")
        if known[key] in values:
            raise FormatError(f"{key} is given twice. Give it once.")
        values[known[key]] = value
    return FhirOptions(**values)


def options_to_dict(options: FhirOptions) -> dict[str, str]:
    """Return the options that are set, as plain data, by their names in the command.

    >>> options_to_dict(FhirOptions(note_system="urn:a"))
    {'note-system': 'urn:a'}
    """
    return {key.replace("_", "-"): value for key, value in asdict(options).items() if value}


def patient_reference(value: str, system: str = "") -> Mapping[str, object]:
    """Return a Reference to a patient: literal where the value is one, else logical, by the patient's number.

    >>> patient_reference("Patient/17")
    {'reference': 'Patient/17'}
    >>> patient_reference("00-17", "urn:oid:1.2.3")
    {'type': 'Patient', 'identifier': {'system': 'urn:oid:1.2.3', 'value': '00-17'}}
    """
    if _REFERENCE.fullmatch(value):
        return {"reference": value}
    return {"type": "Patient", "identifier": ({"system": system} if system else {}) | {"value": value}}
