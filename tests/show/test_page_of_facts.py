"""The page says of each entity its status and value, and why, and lights up the words that decided."""

import html
import re
from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from kiwi_spacy.contract import set_provenance
from kiwi_spacy.contract.facts import Attribute, Code, Fact, set_facts
from kiwi_spacy.contract.status import Evidence, Status
from kiwi_spacy.show import render_frame, render_html

ABSENT = Status(certainty="absent", summary="absent", evidence=(Evidence("certainty", "absent", "cue", 4, 17, "denied"),))
TWICE = Attribute("frequency", "b.i.d.", 0, 6, value={"frequency": 2, "period": 1, "periodUnit": "d"})
STRENGTH = Attribute("strength", "20mg", 0, 4, value={"parts": [{"value": 20, "unit": "mg"}]})
HIGH = Attribute("labvalue", "5.9 H", 0, 5, value={"type": "quantity", "value": 5.9, "unit": "mmol/L", "interpretation": "H"})


class _Tree(HTMLParser):
    """Builds the page's tree; tags that do not fit each other raise."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.builder = TreeBuilder()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in ("meta", "br"):
            self.builder.end(tag)
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.builder.end(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.builder.data(data)


def parsed(page: str) -> Element:
    tree = _Tree()
    tree.feed(page)
    assert tree.open == []
    return tree.builder.close()


def noted(text: str, *facts: Fact) -> Doc:
    """A Doc with these facts and their entities."""
    doc = spacy.blank("en")(text)
    doc.set_ents([fact.span(doc) for fact in facts])
    set_facts(doc, facts)
    return doc


def by_id(page: Element, name: str) -> Element:
    (found,) = page.findall(f".//*[@id='{name}']")
    return found


def lines_of(cell: Element) -> list[str]:
    return list(cell.itertext())


@pytest.mark.parametrize(
    ("fact", "tag"),
    [
        (Fact("problem", "DVT", 0, 3, None, ABSENT), "problem, absent"),
        (Fact("problem", "DVT", 0, 3, None, Status()), "problem"),
        (
            Fact("problem", "DVT", 0, 3, None, Status(experiencer="family", relative="father", summary="family")),
            "problem, family (father)",
        ),
        (
            Fact("drug", "DVT", 0, 3, None, Status(use="taking", summary="taking"), None,
                 {"strength": (STRENGTH,), "frequency": (TWICE,)}),
            "drug, taking, 20 mg, 2 per 1 d",
        ),
        (
            Fact("drug", "DVT", 0, 3, None, Status(), None, {
                "dosage": (Attribute("dosage", "1-2", 0, 3, value={"value": 1, "high": 2}),),
                "form": (Attribute("form", "tabs", 4, 8, value={"code": "tablet"}),),
            }), "drug, 1-2 tabs",
        ),
        (
            Fact("drug", "DVT", 0, 3, None, Status(), None, {
                "dosage": (Attribute("dosage", "one", 0, 3, value={"value": 1}), Attribute("dosage", "sliding scale", 0, 13)),
            }), "drug, 1 at a time, sliding scale",
        ),
        (Fact("test", "DVT", 0, 3, None, Status(), None, {"labvalue": (HIGH,)}), "test, 5.9 mmol/L H"),
        (
            Fact("test", "DVT", 0, 3, None, Status(), None, {"labvalue": (Attribute("labvalue", "seen " * 20, 0, 100),)}),
            "test, seen seen seen seen seen seen seen seen…",
        ),
    ],
    ids=["absent", "present", "family", "drug", "tablets", "bare dose", "test", "long"],
)
def test_small_label_says_status_and_value(fact: Fact, tag: str) -> None:
    assert by_id(parsed(render_html(noted("DVT was ruled out", fact))), "e0").get("data-tag") == tag


def test_an_entity_is_reached_by_the_keyboard_described_by_its_reasons_and_linked_to_its_row_and_back() -> None:
    page = parsed(render_html(noted("DVT was ruled out", Fact("problem", "DVT", 0, 3, None, ABSENT))))
    entity = by_id(page, "e0")
    assert (entity.tag, entity.get("href"), entity.get("aria-describedby")) == ("a", "#listed-e0", "why-e0")
    assert lines_of(by_id(page, "why-e0")) == ["absent: “was ruled out”, cue of rule denied"]
    assert entity.get("title") == "problem, absent\nabsent: “was ruled out”, cue of rule denied"
    for name in ("listed-e0", "row-e0"):
        row = by_id(page, name)
        assert [(link.get("href"), link.text) for link in row.iter("a")] == [("#e0", "DVT")]
        assert (row.get("data-key"), row.get("tabindex")) == ("e0", "-1")  # so that the link's target takes the focus


def rows_under(page: Element, heading: str) -> list[list[str]]:
    """The rows of the table under a heading, its own heads first; empty where none stands there."""
    body = page.find("body")
    assert body is not None
    parts = list(body)
    (i,) = [i for i, part in enumerate(parts) if part.tag == "h2" and part.text == heading]
    return [["".join(cell.itertext()) for cell in row] for row in parts[i + 1].iter("tr")]


def test_problems_medications_and_results_stand_under_the_text_each_row_linked() -> None:
    gout = Code("http://hl7.org/fhir/sid/icd-10-cm", "M10.9", "Gout, unspecified")
    lasix = Code("http://www.nlm.nih.gov/research/umls/rxnorm", "4603", "furosemide", 0.91, "fuzzy")
    page = parsed(render_html(noted(
        "gout, Lasix, K, CT, rest", Fact("problem", "gout", 0, 4, None, ABSENT, codes=(gout,)),
        Fact("drug", "Lasix", 6, 11, None, Status(), None, {"strength": (STRENGTH,)}, (lasix,)),
        Fact("test", "K", 13, 14, None, Status(), None, {"labvalue": (HIGH, HIGH)}),
        Fact("test", "CT", 16, 18, None, Status()), Fact("treatment", "rest", 20, 24, None, Status()),
    )))
    assert rows_under(page, "Problems") == [
        ["Problem", "Status", "Section", "Where and how", "Codes"], ["gout", "absent", "", "", "M10.9"],
    ]
    assert rows_under(page, "Medications")[1:] == [["Lasix", "present", "20mg", "", "", "", "", "", "4603"]]
    assert rows_under(page, "Results")[1:] == [["K", "5.9 mmol/L", "H", "", "", ""]] * 2
    assert [row[5] for row in rows_under(page, "Entities")] == [
        "Codes", "M10.9 Gout, unspecified", "4603 furosemide (fuzzy 0.91)", "", "", "",
    ]
    assert [by_id(page, f"e{i}").get("href") for i in range(5)] == [
        "#listed-e0", "#listed-e1", "#listed-e2", "#row-e3", "#row-e4",
    ]
    in_rows = [row.find(".//a") for row in page.iter("tr") if row.get("data-key")]
    assert [link.get("href") for link in in_rows if link is not None] == [
        "#e0", "#e1", "#e2", "#e2", "#e0", "#e1", "#e2", "#e3", "#e4",
    ]


def test_a_list_without_a_row_says_none() -> None:
    page = parsed(render_html(noted("gout", Fact("problem", "gout", 0, 4, None, Status()))))
    assert [part.text for part in page.findall(".//p[@class='empty']")][-2:] == ["None.", "None."]
    assert rows_under(page, "Results") == []


def test_words_that_decided_can_be_lit_up_within_entities_and_modifiers_and_over_line_breaks() -> None:
    text = "PMH:\ngout,\nnot seen"
    said = (Evidence("time", "historical", "section", 0, 4, "past"), Evidence("certainty", "absent", "cue", 5, 14, "not"))
    doc = noted(text, Fact("problem", "gout", 5, 9, None, Status(time="historical", certainty="absent", evidence=said)))
    page = parsed(render_html(doc))
    assert by_id(page, "e0").get("data-because") == "c0 c1"
    lit = [(piece.get("data-cues"), "".join(piece.itertext())) for piece in page.findall(".//*[@class='cue']")]
    assert lit == [("c0", "PMH:"), ("c1", "gout"), ("c1", ","), ("c1", "not")]


def test_words_of_several_reasons_are_shared_and_a_reason_for_two_axes_is_named_once() -> None:
    both = (Evidence("certainty", "absent", "cue", 0, 7, "refused"), Evidence("use", "refused", "cue", 0, 7, "refused"))
    further = Evidence("time", "historical", "cue", 0, 3, "old")
    doc = noted(
        "refused aspirin gout", Fact("drug", "aspirin", 8, 15, None, Status(evidence=both)),
        Fact("problem", "gout", 16, 20, None, Status(evidence=(further,))),
    )
    page = parsed(render_html(doc))
    assert [by_id(page, key).get("data-because") for key in ("e0", "e1")] == ["c1", "c0"]
    lit = [(piece.get("data-cues"), piece.text) for piece in page.findall(".//*[@class='cue']")]
    assert lit == [("c0 c1", "ref"), ("c1", "used")]


def test_reasons_name_the_pipeline_the_section_and_what_was_overruled() -> None:
    status = Status(
        certainty="absent", experiencer="family", relative="father", summary="absent",
        evidence=(
            Evidence("certainty", "absent", "modifier", 0, 2, "negated"),
            Evidence("experiencer", "family", "section", 3, 6, "fh"),
        ),
        conflicts=(Evidence("certainty", "possible", "modifier", 7, 12, "uncertain"),),
    )
    doc = noted("no FH: maybe gout", Fact("problem", "gout", 13, 17, None, status))
    assert lines_of(by_id(parsed(render_html(doc)), "why-e0")) == [
        "absent: “no”, linked modifier (negated)", "family (father): section “FH:” (fh)",
        "overruled, possible: “maybe”, linked modifier (uncertain)",
    ]
    set_provenance(doc, pipeline="en_model")
    assert lines_of(by_id(parsed(render_html(doc)), "why-e0"))[0] == "absent: “no”, modifier linked by en_model (negated)"


def test_a_status_without_a_reason_says_so() -> None:
    page = parsed(render_html(noted("gout", Fact("problem", "gout", 0, 4, None, Status()))))
    assert lines_of(by_id(page, "why-e0")) == ["present: nothing says otherwise"]


def test_what_a_fact_quotes_is_escaped() -> None:
    text = "</td><script>alert(1)</script> gout"
    said = (Evidence("certainty", "absent", "cue", 0, 30, "<b>"),)
    page = render_html(noted(text, Fact("problem", "gout", 31, 35, None, Status(evidence=said))))
    assert page.count("<script") == 1 and "<b>" not in page
    assert lines_of(by_id(parsed(page), "why-e0")) == ["absent: “</td><script>alert(1)</script>”, cue of rule <b>"]


@pytest.mark.parametrize(
    "text",
    [
        "<b>denies</b> fever & \"cough\"\n</a>aspirin 5 mg", "PMH:\n\tdenies  fever\n\n", "no fever " * 200,
        "denies\nfever 😀 cough",
    ],
    ids=["markup", "layout", "long line", "over lines"],
)
def test_every_character_of_a_note_is_kept_where_facts_are_shown(nlp: Language, text: str) -> None:
    doc = nlp(text)
    page = parsed(render_html(doc, facts=doc._.facts))
    assert "\n".join("".join(line.itertext()) for line in page.findall(".//*[@class='line']")) == text
    assert {piece.get("data-cues") for piece in page.findall(".//*[@class='cue']")} != set()


def test_each_link_leads_to_a_place_on_the_page(nlp: Language) -> None:
    nlp.add_pipe("kiwi_facts")
    page = parsed(render_html(nlp("denies fever\ncough. aspirin 5 mg daily\nCT")))
    ids = [element.get("id") for element in page.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert {link.get("href") for link in page.iter("a")} <= {f"#{name}" for name in ids}
    assert {element.get("aria-describedby") for element in page.iter("a")} - {None} <= set(ids)


def test_an_entity_over_a_line_break_is_linked_once_and_named_in_each_line() -> None:
    page = parsed(render_html(noted("left\narm pain", Fact("problem", "left\narm pain", 0, 13, None, ABSENT))))
    pieces = page.findall(".//*[@class='line']/*[@data-key]")
    assert [(piece.tag, piece.get("id"), piece.get("data-tag")) for piece in pieces] == [
        ("a", "e0", "problem, absent"), ("span", None, None),
    ]


def test_an_entity_that_is_a_line_break_has_a_row_without_a_link() -> None:
    page = parsed(render_html(noted("a\nb", Fact("problem", "\n", 1, 2, None, Status()))))
    assert list(page.iter("a")) == []
    assert lines_of(by_id(page, "why-e0")) == ["present: nothing says otherwise"]


def test_a_doc_without_facts_has_no_status_until_they_are_given(nlp: Language) -> None:
    doc = nlp("denies fever")
    page = render_html(doc)
    assert [page.count(mark) for mark in ('id="why', "data-because=", "data-cues=", "Because", "<a ", "<h2>Problems")] == [0] * 6
    assert re.findall(r'data-tag="(problem[^"]*)"', page) == ["problem, negated"]
    given = render_html(doc, facts=doc._.facts)
    assert re.findall(r'data-tag="(problem[^"]*)"', given) == ["problem, absent"]
    assert html.escape(given) in render_frame(doc, facts=doc._.facts)


def test_an_entity_without_a_fact_stands_beside_those_that_have_one(nlp: Language) -> None:
    doc = nlp("fever, cough")
    page = parsed(render_html(doc, facts=doc._.facts[:1]))
    assert [(piece.tag, piece.get("data-tag")) for piece in page.findall(".//*[@class='ent'][@data-key]")] == [
        ("a", "problem"), ("span", "problem"),
    ]
    assert lines_of(by_id(page, "why-e1")) == []


def test_status_stands_on_paper_in_words() -> None:
    """On paper nothing can be pointed at, and colours may be lost: entities have a frame, and the label and tables stay."""
    page = render_html(noted("DVT was ruled out", Fact("problem", "DVT", 0, 3, None, ABSENT)))
    style = page[page.index("<style>"):page.index("</style>")]
    paper = style.split("@media print")[1]
    assert re.search(r"\.ent \{ outline: 1px solid #000000; \}", paper)
    assert re.findall(r"([^{};]*)\{ display: none; \}", paper) == ["\n  #links, #why "]
    assert "content: attr(data-tag)" in style.split("@media")[0]
