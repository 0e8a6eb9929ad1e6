"""FHIR R4: a Bundle of each note, made of its facts (docs/fhir.md)."""

from .bundle import PATIENT, doc_to_bundle
from .options import FhirOptions, options_to_dict, parse_options

__all__ = ["PATIENT", "FhirOptions", "doc_to_bundle", "options_to_dict", "parse_options"]
