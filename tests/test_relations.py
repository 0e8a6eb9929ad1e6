"""The result contract survives every way out of the process, cutting and joining."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span

from kiwi_spacy import KiwiError, merge_docs, split_doc
from kiwi_spacy.contract import count_problem, set_modifiers, set_provenance, set_relations, set_scores
from kiwi_spacy.schema import load_schema, schema_from_dict


@pytest.fixture
def blank() -> Language:
    return spacy.blank("en")


@pytest.fixture
def doc(blank: Language) -> Doc:
    """"No left knee pain": `left knee` lies inside the problem, `No` before it; `fever` has nothing."""
    doc = blank("No left knee pain. Fever")
    pain, fever = Span(doc, 1, 4, label="problem"), Span(doc, 5, 6, label="problem")
    no, knee = Span(doc, 0, 1, label="negation"), Span(doc, 1, 3, label="bodyloc")
    doc.set_ents([pain, fever])
    set_modifiers(doc, [knee, no])
    set_scores(doc, [(pain, 0.5), (knee, 0.25)])
    set_relations(doc, [(pain, no, 0.75), (pain, knee, 0.5)])
    set_provenance(doc, engine="hand")
    count_problem(doc, "test problem", 2)
    return doc


def _view(doc: Doc) -> Any:
    return (
        doc.text,
        [(e.text, e._.score, e._.is_negated, e._.is_uncertain, e._.is_conditional, e._.is_somebody_else) for e in doc.ents],
        [{kind: [m.text for m in spans] for kind, spans in e._.modifiers.items()} for e in doc.ents],
        [(m.text, m._.score) for m in doc.spans["modifiers"]],
        [(r.head.text, r.modifier.text, r.label, r.score, r.head.doc is doc) for r in doc._.relations],
        doc._.provenance, doc._.problems,
    )


def test_views_say_what_was_set(doc: Doc) -> None:
    assert _view(doc) == (
        "No left knee pain. Fever",
        [("left knee pain", 0.5, True, False, False, False), ("Fever", None, False, False, False, False)],
        [{"negation": ["No"], "bodyloc": ["left knee"]}, {}],
        [("No", None), ("left knee", 0.25)],
        [("left knee pain", "No", "negation", 0.75, True), ("left knee pain", "left knee", "bodyloc", 0.5, True)],
        {"engine": "hand"}, {"test problem": 2},
    )


@pytest.mark.parametrize(
    "carry",
    [
        lambda doc: Doc(doc.vocab).from_bytes(doc.to_bytes()),
        lambda doc: Doc(spacy.blank("en").vocab).from_bytes(doc.to_bytes()),
        lambda doc: next(DocBin(docs=[doc], store_user_data=True).get_docs(spacy.blank("en").vocab)),
        lambda doc: pickle.loads(pickle.dumps(doc)),
        lambda doc: doc.copy(),
        lambda doc: merge_docs(split_doc(doc, [4])),
        lambda doc: merge_docs(split_doc(doc, [])),
        lambda doc: merge_docs([Doc(doc.vocab), doc, Doc(doc.vocab)]),
    ],
    ids=["bytes", "bytes-elsewhere", "docbin", "pickle", "copy", "cut-and-join", "whole", "empty-beside"],
)
def test_all_survives(doc: Doc, carry: Callable[[Doc], Doc]) -> None:
    assert _view(carry(doc)) == _view(doc)


def test_split_doc_counts_what_it_cuts(doc: Doc) -> None:
    first, second = split_doc(doc, [1, 1, 0, 99])
    assert (first.text_with_ws, second.text) == ("No ", "left knee pain. Fever")
    assert [r.modifier.text for r in second._.relations] == ["left knee"]
    assert (first._.problems, second._.problems) == ({"test problem": 2, "link cut in two": 1}, {})


def test_merge_docs_moves_spans_and_keeps_scores(doc: Doc) -> None:
    merged = merge_docs([doc, doc])
    assert merged.text == doc.text * 2
    assert [(r.head.start_char, r.modifier.text, r.score) for r in merged._.relations] == [
        (3, "No", 0.75), (3, "left knee", 0.5), (27, "No", 0.75), (27, "left knee", 0.5),
    ]
    assert merged._.problems == {"test problem": 4}


@pytest.mark.parametrize("turned", [False, True])
def test_merge_docs_keeps_the_roles_of_two_schemas(doc: Doc, turned: bool) -> None:
    site = schema_from_dict({"entities": {"Befund": {}}, "modifiers": {"kein": {"modifies": ["Befund"], "role": "negated"}}})
    other = Doc(doc.vocab, words=["kein", "Fieber"])
    other.set_ents([Span(other, 1, 2, label="Befund")])
    set_modifiers(other, [Span(other, 0, 1, label="kein")])
    set_relations(other, [(other.ents[0], other.spans["modifiers"][0], 1.0)], site)
    parts = [other, doc] if turned else [doc, other]
    assert {e.text: e._.is_negated for e in merge_docs(parts).ents} == {
        "left knee pain": True, "Fever": False, "Fieber": True,
    }


def test_set_relations_forgets_the_roles_of_an_earlier_schema(doc: Doc) -> None:
    site = schema_from_dict({"entities": {"problem": {}}, "modifiers": {"negation": {"modifies": ["problem"]}}})
    links = [(r.head, r.modifier, r.score) for r in doc._.relations]
    set_relations(doc, links, site)
    assert doc.ents[0]._.is_negated is False
    set_relations(doc, links, load_schema())
    assert doc.ents[0]._.is_negated is True


def test_set_relations_refuses_spans_of_another_doc(doc: Doc) -> None:
    other = doc.copy()
    with pytest.raises(KiwiError, match="another"):
        set_relations(doc, [(other.ents[0], doc.spans["modifiers"][0], 1.0)])


def test_merge_docs_refuses_nothing_and_two_vocabularies(doc: Doc) -> None:
    with pytest.raises(KiwiError, match="at least one"):
        merge_docs([])
    with pytest.raises(KiwiError, match="vocabularies"):
        merge_docs([doc, spacy.blank("en")("fever")])
