"""Notes made by hand, and the resources of their facts, checked as R4."""

from typing import Any

import spacy
from spacy.tokens import Doc

from kiwi_spacy.contract import NOTE
from kiwi_spacy.contract.facts import Fact, set_facts
from kiwi_spacy.formats.docs import fill_doc
from kiwi_spacy.formats.fhir import FhirOptions, doc_to_bundle
from kiwi_spacy.schema import load_schema

from .invariants import broken

NLP = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "kiwi.ClinicalTokenizer.v1"}}})
RECORDED = "2026-11-27T05:00:00Z"
UCUM = "http://unitsofmeasure.org"


def make(text: str, entities: dict[str, str], modifiers: dict[str, str] | None = None, *, date: str | None = None) -> Doc:
    """A note named "n" with entities, and modifiers of the first of them, by their words."""
    marked = [*entities.items(), *(modifiers or {}).items()]
    spans = [(word, text.index(word), text.index(word) + len(word), label) for word, label in marked]
    links = [(next(iter(entities)), word, 1.0) for word in modifiers or {}]
    doc = fill_doc(NLP.make_doc(text), spans, links, load_schema())
    doc.user_data[NOTE] = "n"
    doc._.note_date = date
    return doc


def make_facts(text: str, facts: list[Fact]) -> Doc:
    """A note named "n" with facts as they are given."""
    doc = NLP.make_doc(text)
    doc.user_data[NOTE] = "n"
    set_facts(doc, facts)
    return doc


def bundle_of(doc: Doc, **options: str) -> dict[str, Any]:
    """The bundle of a note, which breaks nothing of R4."""
    bundle = doc_to_bundle(doc, FhirOptions(**{"recorded": RECORDED, **options}))
    assert broken(bundle) == []
    return bundle


def resources(doc: Doc, **options: str) -> list[dict[str, Any]]:
    """The resources of a note's facts."""
    return [entry["resource"] for entry in bundle_of(doc, **options)["entry"][1:-1]]


def codes(concept: dict[str, Any]) -> list[str]:
    return [coding["code"] for coding in concept["coding"]]


def amount(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def said(resource: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The extensions of ours with this name, each as {part: value}; of parts that stand several times the last."""
    found = [each for each in resource["extension"] if each["url"].endswith(f":{name}")]
    return [{part["url"]: next(part[key] for key in part if key != "url") for part in each["extension"]} for each in found]
