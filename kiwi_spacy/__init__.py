"""Clinical information extraction as spaCy pipelines: entities, their modifiers, and the links between them."""

from .components.facts import register_fact_extensions
from .contract import Relation, get_modifiers, get_relations, merge_docs, register_extensions, split_doc
from .contract.facts import Fact
from .contract.sections import Section, register_section_extensions
from .errors import KiwiError
from .schema import Schema, load_schema

__version__ = "0.7.0"
__all__ = [
    "Fact", "KiwiError", "Relation", "Schema", "Section", "get_modifiers", "get_relations", "load_schema", "merge_docs",
    "split_doc",
]

register_extensions()
register_section_extensions()
register_fact_extensions()
