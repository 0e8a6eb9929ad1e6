"""The page shows text as it is, whatever it holds, and names spans and links."""

import html
import re
from html.parser import HTMLParser

import pytest
import spacy
from spacy import displacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from kiwi_spacy.contract import set_modifiers, set_relations
from kiwi_spacy.show import (
    displacy_colours,
    displacy_ents,
    displacy_facts,
    displacy_options,
    displacy_spans,
    render_frame,
    render_html,
    summary_table,
)


def _note(page: str) -> str:
    """The note as a reader sees it: the <div> of each line, tags taken away."""
    lines = re.findall(r'<div class="line"[^>]*>(.*?)</div>', page, flags=re.S)
    return "\n".join(html.unescape(re.sub(r"<[^>]*>", "", line)) for line in lines)


def _nested() -> Doc:
    doc = spacy.blank("en")("severe left arm pain")
    head = Span(doc, 0, 4, label="problem")
    severity, bodyloc = Span(doc, 0, 2, label="severity"), Span(doc, 1, 3, label="bodyloc")
    doc.set_ents([head])
    set_modifiers(doc, [severity, bodyloc])
    set_relations(doc, [(head, severity, 0.9), (head, bodyloc, 0.8)])
    return doc


@pytest.mark.parametrize(
    "text",
    [
        "Pt denies fever.\n\n  mild cough\n",
        "<script>alert('x')</script> fever & \"cough\" </div>\naspirin 5 mg",
        "Na <135, K >5, fever",
        "",
        "   ",
        "fever " * 500 + "x" * 3000,
        "\tfever\t😀 👩‍⚕️ mild cough\u00a0\u2028 end",
    ],
    ids=["layout", "markup", "less-than", "empty", "blank", "long line", "tabs and emoji"],
)
def test_render_html_keeps_every_character(nlp: Language, text: str) -> None:
    page = render_html(nlp(text), title=text)
    assert _note(page) == text
    assert page.count("<script>") == 1


def test_render_html_shows_crlf_as_one_line_break(nlp: Language) -> None:
    assert _note(render_html(nlp("fever\r\ncough"))) == "fever\ncough"


def test_render_html_refers_to_nothing_outside(nlp: Language) -> None:
    page = render_html(nlp("denies fever, see http://example.org"))
    assert re.findall(r"(?:src|href)\s*=|url\(|@import", page) == []
    assert "default-src 'none'" in page


def test_render_html_is_well_formed_for_overlapping_modifiers() -> None:
    opened: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("br", "meta"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    page = render_html(_nested())
    Checker().feed(page)
    assert opened == []
    assert _note(page) == "severe left arm pain"


def test_render_html_labels_each_modifier_once_and_draws_no_curve_within_an_entity() -> None:
    page = render_html(_nested())
    assert re.findall(r'class="mod" data-key="(m\d)" data-tag="(\w+)"', page) == [
        ("m0", "severity"), ("m1", "bodyloc"),
    ]
    assert "<path" not in page
    assert "severity of problem &#x27;severe left arm pain&#x27;" in page


def test_render_html_draws_a_curve_for_each_link(nlp: Language) -> None:
    page = render_html(nlp("denies fever. aspirin 5 mg daily"))
    assert re.findall(r'<path data-head="(\w+)" data-modifier="(\w+)"', page) == [
        ("e0", "m0"), ("e1", "m1"), ("e1", "m2"),
    ]


def _line_styles(page: str) -> list[tuple[str, str]]:
    """(rows of small labels above the text, line height) of each line."""
    return re.findall(r'<div class="line" data-rows="(\d+)" style="line-height:(\d+)px', page)


def test_render_html_gives_each_line_the_room_that_its_labels_and_curves_need(nlp: Language) -> None:
    page = render_html(nlp("plain\nfever\nmild cough\nfever cough"))
    assert _line_styles(page) == [("0", "26"), ("1", "36"), ("1", "71"), ("1", "36")]


def test_render_html_puts_labels_that_would_meet_into_rows() -> None:
    doc = spacy.blank("en")("no 1 2")
    ents = [Span(doc, 1, 2, label="problem"), Span(doc, 2, 3, label="problem")]
    modifiers = [Span(doc, 0, 1, label="negation"), Span(doc, 1, 2, label="severity")]
    doc.set_ents(ents)
    set_modifiers(doc, modifiers)
    set_relations(doc, [(ent, modifiers[0], 1.0) for ent in ents])
    page = render_html(doc)
    assert re.findall(r"--up:(\d+)px", page) == ["0", "10"]
    assert re.findall(r"--depth:(\d+)px", page) == ["2", "15"]


def test_render_html_places_labels_below_the_underline_in_px_of_the_note() -> None:
    # In em they would follow their own small font, and stand on the words.
    (place,) = re.findall(r"\.mod\[data-tag\]::after \{ top: ([^;]*);", render_html(_nested()))
    assert place == "calc(22px + var(--depth))"


def test_render_html_draws_curves_behind_the_text() -> None:
    assert re.search(r"#links \{[^}]*z-index: -1", render_html(_nested()))


def test_render_html_dark_colours_beat_the_style_attribute() -> None:
    assert "--dark: var(--light) !important" in render_html(_nested()).split("prefers-color-scheme: dark")[1]


def test_render_html_dots_modifiers_linked_to_nothing(nlp: Language) -> None:
    page = render_html(nlp("aspirin, mild"))
    assert re.findall(r'class="(mod[^"]*)" data-key', page) == ["mod loose"]


def test_render_html_shows_a_modifier_of_the_same_extent_and_one_across_the_border_of_an_entity() -> None:
    doc = spacy.blank("en")("left knee pain today")
    head = Span(doc, 0, 3, label="problem")
    modifiers = [Span(doc, 0, 3, label="severity"), Span(doc, 2, 4, label="temporal")]
    doc.set_ents([head])
    set_modifiers(doc, modifiers)
    set_relations(doc, [(head, modifier, 1.0) for modifier in modifiers])
    page = render_html(doc)
    assert _note(page) == doc.text
    assert re.findall(r'data-key="(m\d)" data-tag', page) == ["m0", "m1"]
    assert re.findall(r'<path data-head="(\w+)" data-modifier="(\w+)"', page) == [("e0", "m1")]


def test_render_frame_holds_the_page_escaped(nlp: Language) -> None:
    doc = nlp('<script>alert(1)</script> "fever"')
    frame = render_frame(doc, "note", height=300)
    (page,) = re.findall(r'<iframe sandbox="allow-scripts" srcdoc="([^"]*)" style="width:100%;height:300px', frame)
    assert html.unescape(page) == render_html(doc, "note")
    assert "<script" not in frame


def test_render_html_escapes_labels_and_colours_unknown_ones_grey() -> None:
    doc = spacy.blank("en")("word")
    doc.set_ents([Span(doc, 0, 1, label='<b>"')])
    page = render_html(doc)
    assert "<b>" not in page
    assert "--light:#cccccc" in page


def test_displacy_helpers_use_the_schema_colours(nlp: Language) -> None:
    doc = nlp("denies fever")
    assert displacy_options()["colors"] == displacy_colours()
    assert displacy_colours()["PROBLEM"] in (displacy_ents(doc) or "")
    assert displacy_colours()["NEGATION"] in (displacy_spans(doc) or "")


def test_summary_table_lists_entities_with_flags_and_modifiers(nlp: Language) -> None:
    assert summary_table(nlp("denies fever. mild cough")).splitlines() == [
        "entity  label    flags    modifiers",
        "fever   problem  negated  negation: denies",
        "cough   problem           severity: mild",
    ]


def test_summary_table_gives_the_status_where_there_are_facts(nlp: Language) -> None:
    doc = nlp("denies fever. mild cough")
    assert summary_table(doc, facts=doc._.facts).splitlines() == [
        "entity  label    status   modifiers",
        "fever   problem  absent   negation: denies",
        "cough   problem  present  severity: mild",
    ]
    nlp.add_pipe("kiwi_facts")
    assert summary_table(nlp(doc.text)) == summary_table(doc, facts=doc._.facts)


def test_render_html_goes_through_the_spans_of_a_line_alone() -> None:
    """Fault 18: each line went through all spans. A span over a line break is in both lines, one at a break in neither."""
    doc = spacy.blank("en")("left\narm pain\n\nno")
    ents = [doc.char_span(0, 8, label="problem"), doc.char_span(9, 13, label="problem")]
    modifier = doc.char_span(8, 16, label="negation", alignment_mode="expand")
    doc.set_ents(ents)
    set_modifiers(doc, [modifier])
    page = render_html(doc)
    lines = re.findall(r'<div class="line"[^>]*>(.*?)</div>', page, flags=re.S)
    assert [re.findall(r'data-key="(\w+)"', line) for line in lines] == [["e0"], ["e0", "e1", "m0"], [], ["m0"]]


def test_render_html_can_be_written_whatever_the_title_holds(nlp: Language) -> None:
    page = render_html(nlp("fever\0"), title="a\ud800\0b")
    assert "<h1>a\ufffd\ufffdb</h1>" in page
    assert _note(page) == "fever\ufffd"
    page.encode("utf-8")


def test_displacy_facts_names_the_status_and_keeps_the_colours(nlp: Language) -> None:
    facts = displacy_facts(nlp("denies fever. mild cough"))
    assert facts["ents"] == [
        {"start": 7, "end": 12, "label": "PROBLEM absent"}, {"start": 19, "end": 24, "label": "PROBLEM"},
    ]
    mother = displacy_facts(nlp("mother has fever"))
    assert [ent["label"] for ent in mother["ents"]] == ["PROBLEM family (mother)"]
    page = displacy.render(facts, style="ent", manual=True, jupyter=False, options=facts["options"])
    assert "PROBLEM absent" in page
    assert page.count(displacy_colours()["PROBLEM"]) == 2


def test_displacy_facts_for_the_style_of_spans_hold_entities_with_status_and_modifiers(nlp: Language) -> None:
    facts = displacy_facts(nlp("denies fever. mild cough"), style="span")
    assert facts["spans"] == [
        {"start_token": 1, "end_token": 2, "label": "PROBLEM absent"}, {"start_token": 4, "end_token": 5, "label": "PROBLEM"},
        {"start_token": 0, "end_token": 1, "label": "NEGATION"}, {"start_token": 3, "end_token": 4, "label": "SEVERITY"},
    ]
    page = displacy.render(facts, style="span", manual=True, jupyter=False, options=facts["options"])
    assert [page.count(label) for label in ("PROBLEM absent", "NEGATION", "SEVERITY")] == [1, 1, 1]
    assert all(displacy_colours()[label] in page for label in ("PROBLEM", "NEGATION", "SEVERITY"))


def test_displacy_facts_of_a_doc_without_entities_is_its_text(nlp: Language) -> None:
    facts = displacy_facts(nlp("well"), style="span")
    page = displacy.render(facts, style="span", manual=True, jupyter=False, options=facts["options"])
    assert (facts["spans"], facts["tokens"]) == ([], ["well"]) and "well" in page
