"""Cutting a Doc gives each part what it holds, found without going through all rows for each part."""

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from kiwi_spacy.contract import (
    Failure,
    get_failures,
    merge_docs,
    set_failures,
    set_modifiers,
    set_relations,
    set_scores,
    split_doc,
)
from kiwi_spacy.contract.facts import Fact, get_facts, set_facts
from kiwi_spacy.contract.layers import LAYERS, Part, Table
from kiwi_spacy.contract.sections import Section, get_sections, set_sections
from kiwi_spacy.contract.status import Evidence, Status


@pytest.fixture
def doc() -> Doc:
    """Twelve words; entities at 0-2, 3, 7-9; modifiers at 4, 10; links over the cuts; one stretch without an answer."""
    made = Language(spacy.blank("en").vocab).make_doc(" ".join("abcdefghijkl"))
    ents = [Span(made, 0, 2, label="problem"), Span(made, 3, 4, label="drug"), Span(made, 7, 9, label="problem")]
    modifiers = [Span(made, 4, 5, label="negation"), Span(made, 10, 11, label="severity")]
    made.set_ents(ents)
    set_modifiers(made, modifiers)
    set_relations(made, [(ents[1], modifiers[0], 0.9), (ents[0], modifiers[1], 0.8), (ents[2], modifiers[1], 0.7)])
    set_scores(made, [(span, 0.5) for span in [*ents, *modifiers]])
    set_failures(made, [Failure(2, 19, "no answer")])
    return made


def test_split_doc_counts_a_cut_once_where_it_begins(doc: Doc) -> None:
    parts = split_doc(doc, [3, 8])
    assert [[e.text for e in part.ents] for part in parts] == [["a b"], ["d"], []]
    assert [[r.key for r in part._.relations] for part in parts] == [
        [], [((0, 1, "drug"), (2, 3, "negation"), "negation")], [],
    ]
    assert [part._.problems for part in parts] == [
        {"link cut in two": 1}, {"span cut in two": 1, "link cut in two": 1}, {},
    ]
    assert [[(f.start_char, f.end_char) for f in get_failures(part)] for part in parts] == [[(2, 6)], [(0, 10)], [(0, 3)]]


def test_split_doc_does_not_go_through_all_rows_for_each_part(doc: Doc, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 18: cost grew with parts times rows."""
    given = 0
    restrict = Table.restrict

    def counted(self: Table, rows: list[list[object]], part: Part) -> tuple[list[list[object]], int]:
        nonlocal given
        given += len(rows)
        return restrict(self, rows, part)

    monkeypatch.setattr(Table, "restrict", counted)
    rows = sum(len(layer.read(doc)) for layer in LAYERS if isinstance(layer, Table))
    split_doc(doc, range(1, 12))
    assert rows == 9
    assert given == 7 + 17 + 9  # parts that the five scores, the three links and the failure meet; not 9 rows in 12 parts


@pytest.mark.parametrize("cut", range(1, 9))
def test_sections_and_facts_move_with_their_part_and_are_whole_when_joined(cut: int) -> None:
    """They were taken for a user's own data: each part had all of them, at the whole note's offsets."""
    nlp = spacy.blank("en")
    doc = nlp("PLAN : rest .\nRx : no fever")
    set_sections(doc, [Section("plan", "PLAN", None, 0, 6, 7, 14), Section("drugs", "Rx", None, 14, 18, 19, 27)])
    evidence = (Evidence("certainty", "absent", "cue", 19, 21, "negation"),)
    set_facts(doc, [Fact("problem", "fever", 22, 27, None, Status(certainty="absent", evidence=evidence))])
    sections, facts = get_sections(doc), get_facts(doc)
    parts = split_doc(doc, [cut])
    for part in parts:
        assert all(section.end_char <= len(part.text) for section in get_sections(part))
        assert all(part.text[fact.start_char : fact.end_char] == "fever" for fact in get_facts(part))
    assert get_sections(merge_docs(parts)) == sections
    between = cut == 8  # its evidence is in another part than the fact
    assert get_facts(merge_docs(parts)) == ([] if between else facts)
    assert [part._.problems for part in parts] == [{}, {"fact cut in two": 1} if between else {}]
