"""A fact becomes one row of NOTE_NLP, within the widths of its columns."""

from dataclasses import asdict
from datetime import date, datetime

import pytest
import yaml

from kiwi_spacy.components.cues import DEFAULT_PATH
from kiwi_spacy.contract.facts import Attribute, Code, Fact, FactSection
from kiwi_spacy.contract.status import Evidence, Status
from kiwi_spacy.errors import KiwiError
from kiwi_spacy.formats.omop_modifiers import read_modifiers
from kiwi_spacy.formats.omop_rows import HARDLY, Lost, make_row, make_snippet, term_exists, term_temporal

NOON = datetime(2026, 3, 2, 12)


def row_of(fact, text, **changed):
    asked = {"note_nlp_id": 7, "note_id": 3, "note_date": None, "nlp_system": "kiwi 0.7 abc", "nlp_datetime": NOON}
    return make_row(fact, text, **{**asked, "sections": {}, **changed})


def dated(edtf, status=Status()):  # noqa: B008  a frozen value
    attribute = Attribute("temporal", "then", 9, 13, value={"type": "time", "edtf": edtf})
    return Fact("problem", "gout", 4, 8, None, status, attributes={"temporal": (attribute,)})


def test_make_row_fills_every_column():
    fact = Fact(
        "problem", "gout", 7, 11, 0.9, Status(certainty="possible"), FactSection("plan", "PLAN", "18776-5"),
        {"severity": (Attribute("severity", "mild", 2, 6),)},
        (Code("a", "1", "Gout"), Code("b", "2", "Gout", omop=440674)),
    )
    row, lost = row_of(fact, "é mild gout", sections={"18776-5": 3030023})
    assert lost == Lost()
    assert asdict(row) == {
        "note_nlp_id": 7, "note_id": 3, "section_concept_id": 3030023, "snippet": "é mild gout", "offset": "7",
        "lexical_variant": "gout", "note_nlp_concept_id": 440674, "note_nlp_source_concept_id": 0,
        "nlp_system": "kiwi 0.7 abc", "nlp_date": date(2026, 3, 2), "nlp_datetime": NOON, "term_exists": "Y",
        "term_temporal": "present", "term_modifiers": "certainty=possible,severity=mild",
    }


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (Status(), "Y"), (Status(certainty="possible"), "Y"), (Status(time="historical"), "Y"), (Status(use="stopped"), "Y"),
        (Status(certainty="absent"), "N"), (Status(experiencer="family"), "N"), (Status(experiencer="other"), "N"),
        (Status(condition="conditional"), "N"), (Status(condition="hypothetical"), "N"), (Status(use="planned"), "N"),
        (Status(use="allergy"), "N"), (Status(use="refused"), "N"),
    ],
    ids=str,
)
def test_term_exists(status, said):
    assert term_exists(status) == said


@pytest.mark.parametrize(
    ("rule", "said"), [*((rule, "N") for rule in sorted(HARDLY)), ("doubt", "Y"), ("uncertain", "Y")], ids=str
)
def test_term_exists_asks_why_an_entity_is_possible(rule, said):
    why = Evidence("certainty", "possible", "cue", 0, 3, rule)
    assert term_exists(Status(certainty="possible", evidence=(why,))) == said


def test_hardly_names_rules_of_the_cues():
    rules = yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8"))["rules"]
    assert {rule["id"]: rule["value"] for rule in rules if rule["id"] in HARDLY} == dict.fromkeys(HARDLY, "possible")


@pytest.mark.parametrize(
    ("edtf", "status", "said"),
    [
        ("2026-03-01", Status(), "past"), ("2026-03-02", Status(), "present"), ("2026-02", Status(), "past"),
        ("2026-03", Status(), "present"), ("2025", Status(), "past"), ("2026", Status(), "present"),
        ("XXXX-03", Status(), "present"),
        ("2019", Status(use="taking"), "present"), ("2026-03-02", Status(use="stopped"), "past"),
        ("2026-03-02", Status(time="historical"), "past"),
    ],
    ids=str,
)
def test_term_temporal_compares_with_the_date_of_the_note(edtf, status, said):
    assert term_temporal(dated(edtf, status), date(2026, 3, 2)) == said


@pytest.mark.parametrize("start", [0, 1, 124, 125, 300, 800, 995, 996], ids=str)
def test_make_snippet_holds_the_mention_everywhere_in_a_note(start):
    text = "x" * start + "gout" + "y" * (996 - start)
    snippet = make_snippet(text, start, start + 4)
    assert (len(snippet), "gout" in snippet) == (250, True)


@pytest.mark.parametrize("size", [249, 250, 251, 400], ids=str)
def test_make_row_counts_what_a_long_mention_loses(size):
    text = "x" * 300 + "g" * size + "y" * 300
    row, lost = row_of(Fact("problem", "g" * size, 300, 300 + size, None, Status()), text)
    assert row.lexical_variant == "g" * min(size, 250)
    assert row.lexical_variant in row.snippet
    assert (len(row.snippet), lost.characters) == (250, max(0, size - 250))


def test_make_row_keeps_the_status_and_counts_the_modifiers_that_do_not_fit():
    long = tuple(Attribute("dose", "d" * 990, 0, 1) for _ in range(3))
    row, lost = row_of(Fact("drug", "aspirin", 0, 7, None, Status(use="taking"), attributes={"dose": long}), "aspirin")
    assert [name for name, _ in read_modifiers(row.term_modifiers)] == ["use", "dose"]
    assert lost == Lost(modifiers=2)


def test_make_row_refuses_a_place_outside_the_note_and_a_name_that_is_too_long():
    fact = Fact("problem", "gout", 0, 4, None, Status())
    with pytest.raises(KiwiError, match="Note 3: the fact at 0-4"):
        row_of(fact, "gou")
    with pytest.raises(KiwiError, match="takes 250"):
        row_of(fact, "gout", nlp_system="k" * 251)
