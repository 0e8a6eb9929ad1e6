"""doccano's JSON lines of a project for sequence labelling with relations.

    {"note", "text", "entities": [{"id", "label", "start_offset", "end_offset"}],
     "relations": [{"id", "from_id", "to_id", "type"}], "kiwi"}

Offsets are code points: doccano 1.8.4 turns those of the page by its `toCodePointOffset` before it keeps them. Entities and
modifiers are both "entities" there. Its own "id" is a number of its database, so a note's name stands under "note".
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from ..contract import NOTE, count_problem, get_modifiers, get_relations, span_key
from ..errors import FormatError
from ..schema import Schema
from .docs import make_doc
from .failure import Failure
from .jsonl import as_name, fill_known, json_line, read_docs
from .rows import add_note_rows, note_rows
from .values import as_place, as_text, objects


def encode_doccano(doc: Doc, schema: Schema) -> bytes:
    """Return a note as a line."""
    spans = [*doc.ents, *get_modifiers(doc)]
    ids = {span_key(span): i for i, span in enumerate(spans)}
    record: dict[str, Any] = {
        "note": doc.user_data.get(NOTE, ""), "text": doc.text,
        "entities": [
            {"id": i, "label": span.label_, "start_offset": span.start_char, "end_offset": span.end_char}
            for i, span in enumerate(spans)
        ],
        "relations": [
            {"id": i, "from_id": ids[span_key(link.head)], "to_id": ids[span_key(link.modifier)], "type": link.label}
            for i, link in enumerate(get_relations(doc))
        ],
    }
    said = note_rows(doc)
    return json_line({**record, "kiwi": said} if said else record)


def read_doccano(path: Path, nlp: Language, schema: Schema) -> Iterator[Doc | Failure]:
    """Return the notes of a file; a line that cannot be read becomes a `Failure`. Relations may point either way."""
    return read_docs(path, lambda record: _doc(nlp, record, schema))


def _doc(nlp: Language, record: dict[str, Any], schema: Schema) -> Doc:
    doc = make_doc(nlp, as_text(record, "text"))
    doc.user_data[NOTE] = as_name(record.get("note", record.get("id")))
    spans = [
        (str(as_place(entry, "id")), as_place(entry, "start_offset"), as_place(entry, "end_offset"), as_text(entry, "label"))
        for entry in objects(record, "entities")
    ]
    spans += _triples(record.get("label"))
    links = [(str(as_place(entry, "from_id")), str(as_place(entry, "to_id"))) for entry in objects(record, "relations")]
    fill_known(doc, spans, turned(spans, links, schema), schema)
    add_note_rows(doc, record.get("kiwi"))
    if record.get("Comments"):
        count_problem(doc, "comment of doccano dropped", len(record["Comments"]))
    return doc


def _triples(found: Any) -> list[tuple[str, int, int, str]]:
    """Return the spans of the shape without relations: [start, end, label] each."""
    spans = []
    for i, each in enumerate(found or ()):
        if not isinstance(each, list) or len(each) != 3:
            raise FormatError("'label' must be a list of [start, end, label]")
        entry = dict(zip(("start", "end", "label"), each))
        spans.append((f"label{i}", as_place(entry, "start"), as_place(entry, "end"), as_text(entry, "label")))
    return spans


def turned(
    spans: list[tuple[str, int, int, str]], links: list[tuple[str, str]], schema: Schema
) -> list[tuple[str, str, float]]:
    """Return links with the entity first, whichever way round they were drawn."""
    modifiers = {label.lower() for label in schema.modifiers}
    is_modifier = {id_: label.lower() in modifiers for id_, _, _, label in spans}
    return [
        (b, a, 1.0) if is_modifier.get(a) and not is_modifier.get(b, True) else (a, b, 1.0) for a, b in links
    ]
