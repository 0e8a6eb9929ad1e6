"""What a Doc carries: entities, modifiers, links, scores, provenance, problems, failures; cutting and joining Docs."""

from .annotations import (
    FAILURES,
    MODIFIERS,
    NOTE,
    NOTE_DATE,
    Failure,
    Relation,
    SpanKey,
    count_problem,
    entity_modifiers,
    get_columns,
    get_failures,
    get_modifiers,
    get_note_date,
    get_problems,
    get_provenance,
    get_relations,
    get_score,
    has_role,
    name_pipeline,
    register_extensions,
    role_labels,
    rows_of,
    set_columns,
    set_failures,
    set_modifiers,
    set_note_date,
    set_provenance,
    set_relations,
    set_scores,
    span_key,
)
from .layers import LAYERS, Layer, Part
from .parts import merge_docs, split_doc
from .remarks import Remark, RemarkKind, get_remarks, set_remarks
from .sections import register_section_extensions

__all__ = [
    "FAILURES", "LAYERS", "MODIFIERS", "NOTE", "NOTE_DATE", "Failure", "Layer", "Part", "Relation", "Remark", "RemarkKind",
    "SpanKey", "count_problem", "entity_modifiers", "get_columns", "get_failures", "get_modifiers", "get_note_date",
    "get_problems", "get_provenance", "get_relations", "get_remarks", "get_score", "has_role", "merge_docs", "name_pipeline",
    "register_extensions", "role_labels", "rows_of", "set_columns", "set_failures", "set_modifiers", "set_note_date",
    "set_provenance", "set_relations", "set_remarks", "set_scores", "span_key", "split_doc",
]

register_extensions()  # whoever imports anything that knows Docs finds `doc._.relations` and the rest
register_section_extensions()
