"""FHIR R4: a Bundle of each note, made of its facts (docs/fhir.md)."""

from .bundle import doc_to_bundle

__all__ = ["doc_to_bundle"]
