"""`kiwi_facts`: each entity of a Doc as one record, with status, section and attributes. Rules alone; any pipeline may add it.

    nlp.add_pipe("kiwi_facts")
    doc._.facts      list[Fact]; of a Doc on which the pipe has not run, they are derived when asked for
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import srsly
from spacy.language import Language
from spacy.tokens import Doc, Span

from ..contract import count_problem, entity_modifiers, get_score
from ..contract.facts import FACTS, Attribute, Fact, FactSection, get_facts, set_facts
from ..contract.sections import SECTIONS, Section, get_sections, section_at, set_sections
from .cues import Cues, cues_from_dict, load_cues
from .marks import find_marks
from .sections import find_sections
from .status import derive_status, heard_words
from .values import (
    parse_dose,
    parse_duration,
    parse_form,
    parse_frequency,
    parse_reference,
    parse_result,
    parse_route,
    parse_strength,
    parse_time,
)


class _Value(Protocol):
    def to_dict(self) -> dict[str, Any]: ...


READERS: dict[str, Callable[..., _Value | None]] = {
    "strength": parse_strength, "dose": parse_dose, "form": parse_form, "route": parse_route, "frequency": parse_frequency,
    "duration": parse_duration, "time": parse_time, "result": parse_result, "reference": parse_reference,
}


def derive_facts(doc: Doc, *, cues: Cues | None = None) -> list[Fact]:
    """Return the facts of a Doc's entities, in reading order; the Doc stays as it is.

    Sections are the Doc's own; where `kiwi_sections` has not run they are found by the packaged titles.

    cues (Cues | None): The packaged ones by default.
    """
    cues = cues or load_cues()
    text = doc.text
    sections = get_sections(doc) if SECTIONS in doc.user_data else find_sections(text)
    marks = find_marks(text, cues, sections=sections)
    heard = heard_words(doc, cues)
    facts = []
    for ent in doc.ents:
        section = section_at(sections, ent.start_char)
        linked = entity_modifiers(ent)
        attributes = {
            label: tuple(
                Attribute(label, s.text, s.start_char, s.end_char, get_score(s), _read(label, s, ent, linked, cues))
                for s in spans
            )
            for label, spans in linked.items()
        }
        facts.append(
            Fact(
                ent.label_, ent.text, ent.start_char, ent.end_char, get_score(ent),
                derive_status(ent, linked, cues=cues, marks=marks, section=section, heard=heard), _place(section), attributes,
            )
        )
    return facts


def _read(label: str, span: Span, ent: Span, linked: Mapping[str, Sequence[Span]], cues: Cues) -> dict[str, Any] | None:
    """Return what a modifier's words come to, None where its label has no value or the words cannot be read for sure."""
    reader = cues.readers.get(label)
    if reader is None:
        return None
    if reader == "result":  # "2 L" is low or two litres, by the test; a range decides what is high
        ranges = [other.text for name, others in linked.items() if cues.readers.get(name) == "reference" for other in others]
        value = READERS[reader](span.text, test=ent.text, reference=ranges[0] if len(ranges) == 1 else "")
    else:
        value = READERS[reader](span.text)
    return value.to_dict() if value is not None else None


def _place(section: Section | None) -> FactSection | None:
    return FactSection(section.key, section.title, section.loinc, section.parent) if section else None


def facts_of(doc: Doc) -> list[Fact]:
    """Return the facts that `kiwi_facts` kept, or derive them by the packaged rules where it has not run."""
    return get_facts(doc) if FACTS in doc.user_data else derive_facts(doc)


def register_fact_extensions() -> None:
    """Add `doc._.facts`, unless another import has done so."""
    if not Doc.has_extension("facts"):
        Doc.set_extension("facts", getter=facts_of)


@Language.factory(
    "kiwi_facts", default_config={"cues": None}, requires=["doc.ents"], assigns=["doc._.facts", "doc._.sections"],
    retokenizes=False,
)
def create_facts(nlp: Language, name: str, cues: str | None) -> "FactWriter":
    """Build the component. Put it behind what finds entities, modifiers and links, and behind `kiwi_sections` if it has that.

    cues (str | None): A site's YAML file of cues, in the form of `kiwi_spacy/components/cues.yml`. Its content is kept in the
        pipeline, so that the file need not travel with it.
    """
    return FactWriter(name, cues)


class FactWriter:
    """Keep the facts of each Doc on it, by a file of cues whose content travels with the pipeline."""

    def __init__(self, name: str, path: str | None = None) -> None:
        self.name = name
        self._path = path
        # A saved pipeline is built from its config, with the path, before it takes the cues that it was saved with.
        self._cues = load_cues(path) if path is None or Path(path).exists() else None

    @property
    def cues(self) -> Cues:
        """The cues in use.

        RAISES (RulesError): Their file is missing and no saved ones were loaded.
        """
        if self._cues is None:
            self._cues = load_cues(self._path)
        return self._cues

    def __call__(self, doc: Doc) -> Doc:
        """Set the Doc's facts, and its sections where it has none; values that cannot be read are counted as problems."""
        if SECTIONS not in doc.user_data:
            set_sections(doc, find_sections(doc.text))
        facts = derive_facts(doc, cues=self.cues)
        set_facts(doc, facts)
        groups = [(label, group) for fact in facts for label, group in fact.attributes.items() if label in self.cues.readers]
        unread = {(a.start_char, a.end_char, label) for label, group in groups for a in group if a.value is None}
        if unread:
            count_problem(doc, "value not read", len(unread))
        return doc

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Return the cues as bytes."""
        return srsly.msgpack_dumps(dict(self.cues.data))

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> "FactWriter":
        """Take the cues that `to_bytes` gave."""
        self._cues = cues_from_dict(srsly.msgpack_loads(data), f"pipeline component '{self.name}'")
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the cues to a folder."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        srsly.write_json(folder / "cues.json", dict(self.cues.data))

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "FactWriter":
        """Take the cues of a folder that `to_disk` wrote."""
        self._cues = cues_from_dict(srsly.read_json(Path(path) / "cues.json"), f"pipeline component '{self.name}'")
        return self
