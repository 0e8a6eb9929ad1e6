"""Clinical information extraction as spaCy pipelines: entities, their modifiers, and the links between them."""

import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.7.0"
__all__ = [
    "Fact", "KiwiError", "Relation", "Schema", "Section", "get_modifiers", "get_relations", "load_schema", "merge_docs",
    "split_doc",
]

# The command answers --help without spaCy. What it does with Docs imports `contract`, which registers the extensions.
if TYPE_CHECKING or "kiwi_command" not in sys.modules:
    from .public import (
        Fact,
        KiwiError,
        Relation,
        Schema,
        Section,
        get_modifiers,
        get_relations,
        load_schema,
        merge_docs,
        split_doc,
    )


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import public

        return getattr(public, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
