"""`kiwi_facts`: each entity of a Doc as one record, with status, section and attributes. Rules alone; any pipeline may add it.

    nlp.add_pipe("kiwi_facts")
    doc._.facts      list[Fact]; of a Doc on which the pipe has not run, they are derived when asked for
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Literal

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..contract import count_problem, entity_modifiers, get_note_date, get_score
from ..contract.facts import FACTS, Attribute, Fact, FactSection, get_facts, set_facts
from ..contract.sections import SECTIONS, Section, get_sections, section_at, set_sections
from .cues import CUES, Cues, load_cues
from .daily import amount_a_day
from .marks import find_marks
from .rules import RuleComponent
from .sections import find_sections
from .status import derive_status, heard_words
from .values import (
    Order,
    Result,
    parse_dose,
    parse_duration,
    parse_form,
    parse_frequency,
    parse_reference,
    parse_result,
    parse_route,
    parse_steps,
    parse_strength,
    parse_time,
)
from .values.records import Record


def _or_steps(read: Callable[[str], Record | None], words: str) -> Record | None:
    """Return one amount, or the steps of a change such as "from 20 to 40 mg"."""
    return read(words) or parse_steps(words)


READERS: dict[str, Callable[..., Record | Result | None]] = {
    "strength": partial(_or_steps, parse_strength), "dose": partial(_or_steps, parse_dose), "form": parse_form,
    "route": parse_route, "frequency": parse_frequency, "duration": parse_duration, "time": parse_time, "result": parse_result,
    "reference": parse_reference,
}


_ENDS = re.compile(r"\.\s|\n")  # of a sentence or a line


def derive_facts(doc: Doc, *, cues: Cues | None = None, date_order: Order = "mdy") -> list[Fact]:
    """Return the facts of a Doc's entities, in reading order; the Doc stays as it is.

    Sections are the Doc's own; where `kiwi_sections` has not run they are found by the packaged titles. Relative times count
    from the note's date, `doc._.note_date`, where it is set.

    cues (Cues | None): The packaged ones by default.
    date_order ("mdy" | "dmy" | None): How 3/4/21 is read; with None it keeps both readings.
    """
    cues = cues or load_cues()
    text, day = doc.text, get_note_date(doc)
    sections = get_sections(doc) if SECTIONS in doc.user_data else find_sections(text)
    marks = find_marks(text, cues, sections=sections)
    heard = heard_words(doc, cues)
    facts = []
    for ent in doc.ents:
        section = section_at(sections, ent.start_char)
        linked = entity_modifiers(ent)
        read = partial(_read, ent=ent, linked=linked, cues=cues, day=day, order=date_order)
        attributes = {
            label: tuple(Attribute(label, s.text, s.start_char, s.end_char, get_score(s), read(label, s)) for s in spans)
            for label, spans in linked.items()
        }
        facts.append(
            Fact(
                ent.label_, ent.text, ent.start_char, ent.end_char, get_score(ent),
                derive_status(ent, linked, cues=cues, marks=marks, section=section, heard=heard), _place(section), attributes,
                daily=amount_a_day(attributes, cues.readers),
            )
        )
    return facts


def _read(
    label: str, span: Span, *, ent: Span, linked: Mapping[str, Sequence[Span]], cues: Cues, day: date | None, order: Order
) -> dict[str, Any] | None:
    """Return what a modifier's words come to, None where its label has no value or the words cannot be read for sure."""
    reader = cues.readers.get(label)
    if reader is None:
        return None
    if reader == "result":  # "2 L" is low or two litres, by the test; a range decides what is high
        value = READERS[reader](span.text, test=ent.text, reference=_range_of(span, linked, cues))
    elif reader == "time":
        value = parse_time(span.text, anchor=day, order=order)
    else:
        value = READERS[reader](span.text)
    return value.to_dict() if value is not None else None


def _between(one: Span, other: Span) -> str:
    first, last = sorted((one, other), key=lambda span: span.start_char)
    return str(first.doc.text[first.end_char : last.start_char])


def _range_of(value: Span, linked: Mapping[str, Sequence[Span]], cues: Cues) -> str:
    """Return the words of the reference range that a result is judged by, "" where none is its own.

    One range serves the one result of a test, and of several results those in its sentence and line. Of several ranges there it
    is the first behind the result, with no other result between: "K 5.9 (3.5-5.1), 4.1 (3.4-5.0)".
    """
    of_kind = {
        kind: [span for label, spans in linked.items() if cues.readers.get(label) == kind for span in spans]
        for kind in ("reference", "result")
    }
    if len(of_kind["result"]) == len(of_kind["reference"]) == 1:
        return str(of_kind["reference"][0].text)
    near = [each for each in of_kind["reference"] if not _ENDS.search(_between(each, value))]
    if len(near) > 1:
        behind = [each for each in near if each.start_char >= value.end_char][:1]
        near = [
            each for each in behind
            if not any(value.end_char <= other.start_char < each.start_char for other in of_kind["result"])
        ]
    return str(near[0].text) if near else ""


def _place(section: Section | None) -> FactSection | None:
    return FactSection(section.key, section.title, section.loinc, section.parent) if section else None


def facts_of(doc: Doc) -> list[Fact]:
    """Return the facts that `kiwi_facts` kept, or derive them by the packaged rules where it has not run."""
    return get_facts(doc) if FACTS in doc.user_data else derive_facts(doc)


if not Doc.has_extension("facts"):
    Doc.set_extension("facts", getter=facts_of)


@Language.factory(
    "kiwi_facts", default_config={"cues": None, "date_order": "mdy"}, requires=["doc.ents"],
    assigns=["doc._.facts", "doc._.sections"], retokenizes=False,
)
def create_facts(nlp: Language, name: str, cues: str | None, date_order: Literal["mdy", "dmy", "none"]) -> "FactWriter":
    """Build the component. Put it behind what finds entities, modifiers and links, and behind `kiwi_sections` if it has that.

    cues (str | None): A site's YAML file of cues, in the form of `kiwi_spacy/components/cues.yml`. Its content is kept in the
        pipeline, so that the file need not travel with it.
    date_order ("mdy" | "dmy" | "none"): How 3/4/21 is read: month first, day first, or as ambiguous, with both readings.
    """
    return FactWriter(name, cues, date_order=None if date_order == "none" else date_order)


class FactWriter(RuleComponent[Cues]):
    """Keep the facts of each Doc on it, by the packaged cues with a site's added, which travel with the pipeline."""

    file = CUES

    def __init__(self, name: str, path: str | None = None, *, date_order: Order = "mdy") -> None:
        super().__init__(name, path)
        self.date_order = date_order

    def __call__(self, doc: Doc) -> Doc:
        """Set the Doc's facts, and its sections where it has none; values that cannot be read are counted as problems."""
        if SECTIONS not in doc.user_data:
            set_sections(doc, find_sections(doc.text))
        facts = derive_facts(doc, cues=self.rules, date_order=self.date_order)
        set_facts(doc, facts)
        groups = [(label, group) for fact in facts for label, group in fact.attributes.items() if label in self.rules.readers]
        unread = {(a.start_char, a.end_char, label) for label, group in groups for a in group if a.value is None}
        if unread:
            count_problem(doc, "value not read", len(unread))
        return doc
