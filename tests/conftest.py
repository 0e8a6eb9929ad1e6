"""A blank pipeline with a component that marks fixed words, for tests that need no weights."""

from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from kiwi_spacy.contract import count_problem, set_modifiers, set_provenance, set_relations
from kiwi_spacy.schema import load_schema

ENTITIES = {"fever": "problem", "cough": "problem", "aspirin": "drug", "CT": "test"}
MODIFIERS = {"denies": "negation", "mild": "severity", "mg": "strength", "no": "negation", "daily": "frequency"}


@Language.component("kiwi_test_rules", assigns=["doc.ents"])
def kiwi_test_rules(doc: Doc) -> Doc:
    """Mark the words above; link each modifier to the nearest entity after it, or else before it."""
    if "EXPLODE" in doc.text:
        raise RuntimeError(f"cannot read {doc.text}")
    schema = load_schema()
    doc.set_ents([Span(doc, t.i, t.i + 1, label=ENTITIES[t.text]) for t in doc if t.text in ENTITIES])
    modifiers = [Span(doc, t.i, t.i + 1, label=MODIFIERS[t.text]) for t in doc if t.text in MODIFIERS]
    set_modifiers(doc, modifiers)
    links = []
    for modifier in modifiers:
        heads = [e for e in doc.ents if schema.allows(e.label_, modifier.label_)]
        heads.sort(key=lambda e: (e.start < modifier.start, abs(e.start - modifier.start)))
        links += [(heads[0], modifier, 1.0)] if heads else []
    set_relations(doc, links)
    set_provenance(doc, engine="rules")
    if "PROBLEM" in doc.text:
        count_problem(doc, "test problem")
    return doc


@pytest.fixture
def nlp() -> Language:
    """A blank English pipeline that finds fever, cough, aspirin and CT, and a few modifiers."""
    pipeline = spacy.blank("en")
    pipeline.add_pipe("kiwi_test_rules")
    return pipeline


@pytest.fixture
def pipeline_path(nlp: Language, tmp_path: Path) -> Path:
    """The same pipeline on disk, for `--pipeline`."""
    path = tmp_path / "pipeline"
    nlp.to_disk(path)
    return path
