"""The names of `kiwi_spacy`; importing them adds `doc._.relations`, `doc._.facts` and the rest to spaCy's Docs and Spans."""

from spacy.tokens import Doc

from .contract import Relation, get_modifiers, get_relations, merge_docs, split_doc
from .contract.facts import Fact
from .contract.sections import Section
from .errors import KiwiError
from .schema import Schema, load_schema

__all__ = [
    "Fact", "KiwiError", "Relation", "Schema", "Section", "get_modifiers", "get_relations", "load_schema", "merge_docs",
    "split_doc",
]


def read_facts(doc: Doc) -> list[Fact]:
    """Return the facts of a Doc, as `components.facts.facts_of` does: the rules are imported when first asked for."""
    from .components.facts import facts_of

    return facts_of(doc)


if not Doc.has_extension("facts"):
    Doc.set_extension("facts", getter=read_facts)
