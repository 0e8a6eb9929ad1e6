"""Headings in every form. How many of our own corpus are found: `tests/test_corpus_facts.py`."""

from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin

from kiwi_spacy.components.rules import read_rules
from kiwi_spacy.components.sections import find_sections
from kiwi_spacy.components.titles import DEFAULT_PATH, load_titles
from kiwi_spacy.contract.sections import section_at
from kiwi_spacy.errors import RulesError

CORPUS = Path(__file__).parents[2] / "corpus"
HPI, PMH = "history_of_present_illness", "past_medical_history"


def keys(text: str) -> list[str | None]:
    return [section.key for section in find_sections(text)]


@pytest.mark.parametrize(
    "text, found",
    [
        pytest.param("Allergies\nnone known", ["allergies"], id="on a line of its own"),
        pytest.param("Seen today.\nPAST MEDICAL HISTORY\nGout", [PMH], id="in capitals"),
        pytest.param("Family history: father with gout", ["family_history"], id="before a colon"),
        pytest.param("past medical history: gout", [PMH], id="in small letters before a colon"),
        pytest.param("1. ALLERGIES\nNone.\n2. PLAN\nRest.", ["allergies", "plan"], id="numbered"),
        pytest.param("## Assessment & Plan\n1. Gout", ["assessment_and_plan"], id="markdown"),
        pytest.param("**HPI:** fell today", [HPI], id="bold"),
        pytest.param("CC: fell\nHPI: fell\nA/P: rest", ["chief_complaint", HPI, "assessment_and_plan"], id="short"),
        pytest.param("S: tired\nO: pale\nA: anemia\nP: iron", ["subjective", "objective", "assessment", "plan"], id="SOAP"),
        pytest.param("PMH: gout. FH: none. Meds: none", [PMH, "family_history", "medications"], id="within a line"),
        pytest.param("EXAM ON ARRIVAL: pale", ["physical_exam"], id="with words after it"),
        pytest.param("PERTINENT LABS\nHgb 9", ["laboratory"], id="with words before it"),
        pytest.param("Results (normal in brackets):\nHgb 9 (12-16)", ["results"], id="with brackets"),
        pytest.param("LABS 03/17 0400\nHgb 9", ["laboratory"], id="with date and time"),
        pytest.param("PMH/PSH: gout", [PMH], id="two titles"),
        pytest.param("Neck - supple", ["neck"], id="before a dash"),
        pytest.param("Dear colleague,\n\nBackground. Gout for years.", [PMH], id="before a full stop"),
        pytest.param("Seen.\n\nHOME SERVICES:\nnurse", [None], id="an unknown title in capitals"),
        pytest.param("PREOPERATIVE DIAGNOSIS(ES): gout", ["preoperative_diagnosis"], id="plural in brackets"),
        pytest.param("ROS:\n- Respiratory: no cough", ["review_of_systems", "respiratory"], id="parts with bullets"),
    ],
)
def test_headings_are_found_in_every_form(text: str, found: list[str | None]) -> None:
    assert keys(text) == found


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("P: 88\nR: 18", id="a pulse is no plan"),
        pytest.param("GLUCOSE: 110\nSODIUM: 140", id="results"),
        pytest.param("She has a history of gout.", id="prose"),
        pytest.param("Chest pain: none. Fever: none.", id="findings"),
        pytest.param("1. Hypertension: continue lisinopril.", id="problems"),
        pytest.param("PSYCHIATRY INPATIENT NOTE\nCalm.", id="the title of the note"),
        pytest.param("Eczema. Asthma.", id="short sentences"),
        pytest.param("", id="nothing"),
    ],
)
def test_other_lines_are_no_headings(text: str) -> None:
    assert keys(text) == []


def test_sections_tile_the_text_from_the_first_heading_on() -> None:
    for path in sorted(CORPUS.glob("train/*.txt")):
        text = path.read_text(encoding="utf-8")
        sections = find_sections(text)
        assert [s.end_char for s in sections] == [*[s.heading_start for s in sections[1:]], len(text)]
        assert [s for s in sections if not s.heading_start < s.heading_end <= s.start_char <= s.end_char] == []


def test_a_part_has_its_own_code_in_an_examination_and_that_of_the_whole_elsewhere() -> None:
    exam, heart = find_sections("PHYSICAL EXAM\nHeart: regular")
    assert (heart.level, heart.parent, heart.main) == (2, "physical_exam", "physical_exam")
    assert (exam.loinc, heart.loinc) == ("29545-1", "10200-4")
    review, heart = find_sections("REVIEW OF SYSTEMS\nHeart: no palpitations")
    assert (review.loinc, heart.loinc, heart.parent) == ("10187-3", "10187-3", "review_of_systems")


def test_a_relative_in_capitals_does_not_end_the_family_history() -> None:
    assert keys("FAMILY HISTORY:\nMOTHER: gout\nSUBSTANCE FREE ZONE:\nyes") == ["family_history", None]


def test_there_are_forty_sections_with_codes_or_more() -> None:
    assert len([kind for kind in load_titles().kinds.values() if kind.loinc]) >= 40


def test_a_span_knows_its_section_and_sections_travel_with_the_doc() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("kiwi_sections")
    doc = nlp("Tired.\nPMH: gout\nFH: father with asthma")
    assert doc[0:1]._.section is None
    assert [doc.char_span(*place)._.section.key for place in ((12, 16), (21, 27))] == [PMH, "family_history"]
    again = next(iter(DocBin(docs=[doc], store_user_data=True).get_docs(nlp.vocab)))
    assert again._.sections == doc._.sections
    assert [d._.sections for d in nlp.pipe([doc.text] * 3, n_process=2)] == [doc._.sections] * 3


def test_a_site_adds_titles_and_they_travel_with_the_pipeline(tmp_path: Path) -> None:
    file = tmp_path / "titles.yml"
    file.write_text('sections:\n  plan: {titles: [what we will do]}\n  wound: {loinc: "11379-5", titles: [wound check]}\n')
    nlp = spacy.blank("en")
    nlp.add_pipe("kiwi_sections", config={"titles": str(file)})
    text = "WOUND CHECK: clean\nWhat we will do: rest\nPMH: gout"
    wanted = ["wound", "plan", "past_medical_history"]
    assert [s.key for s in nlp(text)._.sections] == wanted
    data = nlp.to_bytes()
    nlp.to_disk(tmp_path / "pipeline")
    file.unlink()
    load_titles.cache_clear()
    fresh = spacy.blank("en")
    fresh.add_pipe("kiwi_sections")
    for again in (fresh.from_bytes(data), spacy.load(tmp_path / "pipeline")):
        assert [s.key for s in again(text)._.sections] == wanted
    lost = spacy.blank("en")
    lost.add_pipe("kiwi_sections", config={"titles": str(file)})
    with pytest.raises(RulesError, match="No rules can be read"):
        lost(text)


@pytest.mark.parametrize(
    "rules, message",
    [
        pytest.param("sections:\n  plan: {titel: [x]}", "plan: unknown key titel", id="unknown setting"),
        pytest.param("sections:\n  plan: {titles: [allergies]}", "is a title of allergies already", id="title of two"),
        pytest.param("sections:\n  plan: {loinc: 18776}", "its loinc must be a code", id="code without quotes"),
        pytest.param("sections:\n  plan: {titles: [on]}", "put words such as on, off, yes and no in quotes", id="truth value"),
        pytest.param("section: {}", "unknown key section", id="unknown key"),
        pytest.param("sections: [", "not valid YAML", id="no YAML"),
    ],
)
def test_a_faulty_file_of_titles_is_named_with_its_place(tmp_path: Path, rules: str, message: str) -> None:
    file = tmp_path / "titles.yml"
    file.write_text(rules)
    with pytest.raises(RulesError, match=message):
        load_titles(str(file))


def test_every_packaged_title_is_found_as_its_own_section() -> None:
    for key, spec in read_rules(DEFAULT_PATH)["sections"].items():
        for title in spec["titles"]:
            if title not in spec.get("weak", []):
                (section,) = find_sections(f"Seen today.\n{title.capitalize()}: x")
                assert (section.key, section.title) == (key, title.capitalize())


def test_time_grows_with_the_text_alone() -> None:
    """Runs of capitals, colons and blanks: no form of heading may look at them again and again."""
    for piece in ("A" * 200, "A: " * 70, "PMH " * 50, " " * 200, "#" * 200, "(" * 200, "No, " * 50):
        assert len(find_sections(piece * 500)) <= 35_000


def test_section_at_is_none_before_the_first_heading() -> None:
    assert section_at(find_sections("Tired.\nPMH: gout"), 2) is None
