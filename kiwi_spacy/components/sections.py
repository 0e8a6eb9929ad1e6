"""`kiwi_sections`: the sections of a note, by their headings.

Titles stand in `sections.yml`; a site's file adds to them. Headings are found in their usual forms: on a line of their own,
before a colon, a dash or a full stop, in capitals, numbered, in markdown, and within a line ("PMH: gout. FH: none").
"""


from spacy.language import Language
from spacy.tokens import Doc

from ..contract.sections import Section, set_sections
from .headings import Heading, find_headings
from .rules import RuleComponent
from .titles import TITLES, Titles, load_titles


def find_sections(text: str, titles: Titles | None = None) -> list[Section]:
    """Return a note's sections in order. From the first heading on they tile the text; before it there is none.

    A heading of unknown title (in capitals before a colon, in markdown) begins a section whose `key` is None.

    titles (Titles | None): The packaged ones by default.

    >>> [(s.key, s.title, s.start_char) for s in find_sections("Seen today.\\nPMH: gout. FH: none.\\nPLAN\\nRest.")]
    [('past_medical_history', 'PMH', 16), ('family_history', 'FH', 26), ('plan', 'PLAN', 37)]
    """
    titles = titles or load_titles()
    found: list[tuple[Heading, Heading | None]] = []  # a heading, and that of the section which it divides
    holder: Heading | None = None  # the section that parts and unknown headings divide
    for heading in find_headings(text, titles):
        kind = titles.kinds[heading.key] if heading.key else None
        divides = holder is not None and (kind is None or (kind.part and (not kind.part_of or holder.key in kind.part_of)))
        if kind is not None and kind.part and heading.bare and not divides:
            continue  # "ANESTHESIA:", and "General" on the next line
        found.append((heading, holder if divides else None))
        if not divides:
            holder = heading if kind is not None and kind.parts else None
    sections: list[Section] = []
    for i, (heading, whole) in enumerate(found):
        end = found[i + 1][0].start if i + 1 < len(found) else len(text)
        kind, above = (titles.kinds.get(str(h.key)) if h else None for h in (heading, whole))
        source = kind if above is None or above.examination else above
        sections.append(
            Section(
                heading.key, heading.title, source.loinc if source else None, heading.start, heading.end, heading.end, end,
                2 if whole else 1, whole.key if whole else None,
            )
        )
    return sections


@Language.factory(
    "kiwi_sections", default_config={"titles": None}, assigns=["doc._.sections", "span._.section"], retokenizes=False
)
def create_sections(nlp: Language, name: str, titles: str | None) -> "SectionFinder":
    """Build the component. Titles are found by it in every Doc; `doc._.sections` holds them.

    titles (str | None): A site's YAML file of titles, in the form of `kiwi_spacy/components/sections.yml`. Its content is
        kept in the pipeline, so that the file need not travel with it.
    """
    return SectionFinder(name, titles)


class SectionFinder(RuleComponent[Titles]):
    """Set `doc._.sections` by the packaged titles with a site's added, which travel with the pipeline."""

    file = TITLES

    def __call__(self, doc: Doc) -> Doc:
        """Set the Doc's sections; nothing else of it changes."""
        set_sections(doc, find_sections(doc.text, self.rules))
        return doc
