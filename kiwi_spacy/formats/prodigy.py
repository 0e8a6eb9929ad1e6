"""Prodigy's JSON lines, as its recipes for spans and relations read and write them.

    {"text", "tokens": [{"text", "start", "end", "id", "ws"}], "spans": [{"start", "end", "token_start", "token_end", "label"}],
     "relations": [{"head", "child", "head_span", "child_span", "label"}], "meta": {"note"}, "answer", "kiwi"}

Offsets are code points, as spaCy counts them; `token_end` is the span's last token, not the one after it. An example whose answer
is not "accept" is no annotation and is reported.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..contract import NOTE, get_modifiers, get_relations
from ..errors import FormatError
from ..schema import Schema
from .doccano import turned
from .docs import make_doc
from .failure import Failure
from .jsonl import as_name, fill_known, json_line, read_docs
from .rows import add_note_rows, note_rows
from .values import as_place, as_text, objects


def encode_prodigy(doc: Doc, schema: Schema) -> bytes:
    """Return a note as a line."""
    record: dict[str, Any] = {
        "text": doc.text,
        "tokens": [
            {"text": token.text, "start": token.idx, "end": token.idx + len(token), "id": token.i, "ws": bool(token.whitespace_)}
            for token in doc
        ],
        "spans": [_span(span) for span in [*doc.ents, *get_modifiers(doc)]],
        "relations": [
            {
                "head": link.head.end - 1, "child": link.modifier.end - 1, "head_span": _span(link.head),
                "child_span": _span(link.modifier), "label": link.label,
            }
            for link in get_relations(doc)
        ],
        "meta": {"note": doc.user_data.get(NOTE, "")},
        "answer": "accept",
    }
    said = note_rows(doc)
    return json_line({**record, "kiwi": said} if said else record)


def _span(span: Span) -> dict[str, Any]:
    tokens = {"token_start": span.start, "token_end": span.end - 1}
    return {"start": span.start_char, "end": span.end_char, **tokens, "label": span.label_}


def read_prodigy(path: Path, nlp: Language, schema: Schema) -> Iterator[Doc | Failure]:
    """Return the notes of a file; a line that cannot be read, or was not accepted, becomes a `Failure`."""
    return read_docs(path, lambda record: _doc(nlp, record, schema))


def _doc(nlp: Language, record: dict[str, Any], schema: Schema) -> Doc:
    if record.get("answer", "accept") != "accept":
        raise FormatError("its answer is not 'accept', so it is no annotation. Answer it again, or leave it")
    doc = make_doc(nlp, as_text(record, "text"))
    meta = record.get("meta")
    doc.user_data[NOTE] = as_name(meta.get("note") if isinstance(meta, dict) else None)
    places = [_place(entry) for entry in objects(record, "spans")]
    links = []
    for entry in objects(record, "relations"):
        ends = [entry.get("head_span"), entry.get("child_span")]
        if not all(isinstance(end, dict) for end in ends):
            raise FormatError("a relation needs 'head_span' and 'child_span', as the recipe rel.manual writes them")
        links.append((_place(ends[0]), _place(ends[1])))  # type: ignore[arg-type]
    places += [end for link in links for end in link]  # a span may stand in its relation alone
    ids = {place: str(i) for i, place in enumerate(dict.fromkeys(places))}
    spans = [(id_, *place) for place, id_ in ids.items()]
    fill_known(doc, spans, turned(spans, [(ids[a], ids[b]) for a, b in links], schema), schema)
    add_note_rows(doc, record.get("kiwi"))
    return doc


def _place(entry: dict[str, Any]) -> tuple[int, int, str]:
    return as_place(entry, "start"), as_place(entry, "end"), as_text(entry, "label")
