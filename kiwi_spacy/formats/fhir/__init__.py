"""FHIR R4: a Bundle of each note, made of its facts (docs/fhir.md)."""

from .bundle import bundle_bytes, doc_to_bundle, now
from .options import FhirOptions, options_to_dict, parse_options

__all__ = ["FhirOptions", "bundle_bytes", "doc_to_bundle", "now", "options_to_dict", "parse_options"]
