"""Clinical information extraction as spaCy pipelines: entities, their modifiers, and the links between them."""

from .contract import Relation, get_modifiers, get_relations, merge_docs, register_extensions, split_doc
from .errors import KiwiError
from .schema import Schema, load_schema

__version__ = "0.6.1"
__all__ = [
    "KiwiError", "Relation", "Schema", "get_modifiers", "get_relations", "load_schema", "merge_docs", "split_doc",
]

register_extensions()
