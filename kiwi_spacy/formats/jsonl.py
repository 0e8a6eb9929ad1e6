"""JSONL: one object a note, with every layer that a Doc carries.

    {"id", "text",
     "entities", "modifiers": [{"start", "end", "label", "text", "score"}], "relations": [{"head", "modifier", "label", "score"}],
     and every other layer of `contract.LAYERS` by its name, where the note has it: "provenance", "problems", "failures" …}

Offsets are characters, half-open; `head` and `modifier` are places in the two lists, from 0; scores have four digits.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..contract import LAYERS, NOTE, count_problem, get_modifiers, get_relations, get_score, span_key
from ..errors import FormatError
from ..schema import Schema
from .docs import fill_doc, make_doc
from .failure import Failure
from .rows import LAYER, add_rows, plain_rows
from .values import as_number, as_place, as_text, objects

# Layers that stand in a record in a form of their own.
_OWN = frozenset({"entities", "modifiers", "relations", "scores", "note"})
_KNOWN = frozenset({"id", "text", *LAYER})


def doc_to_record(doc: Doc) -> dict[str, Any]:
    """Return a Doc as a plain object, of the form of this module."""

    def plain(span: Span) -> dict[str, Any]:
        entry: dict[str, Any] = {"start": span.start_char, "end": span.end_char, "label": span.label_, "text": span.text}
        score = get_score(span)
        if score is not None:
            entry["score"] = round(score, 4)
        return entry

    ents, modifiers = list(doc.ents), get_modifiers(doc)
    ent_index = {span_key(e): i for i, e in enumerate(ents)}
    modifier_index = {span_key(m): i for i, m in enumerate(modifiers)}
    record: dict[str, Any] = {
        "id": doc.user_data.get(NOTE, ""),
        "text": doc.text,
        "entities": [plain(e) for e in ents],
        "modifiers": [plain(m) for m in modifiers],
        "relations": [
            {
                "head": ent_index[span_key(r.head)], "modifier": modifier_index[span_key(r.modifier)],
                "label": r.label, "score": round(r.score, 4),
            }
            for r in get_relations(doc)
        ],
    }
    for layer in LAYERS:
        rows = None if layer.name in _OWN else plain_rows(doc, layer)[0]
        if rows:
            record[layer.name] = rows
    return record


def record_to_doc(nlp: Language, record: dict[str, Any], schema: Schema, where: str = "record") -> Doc:
    """Return the Doc of what `doc_to_record` gave, tokenized by `nlp`.

    RAISES (FormatError): A field is missing or of the wrong kind; the message says `where`.
    """
    try:
        doc = make_doc(nlp, as_text(record, "text"))
        doc.user_data[NOTE] = as_name(record.get("id"))
        entries = [
            (f"{kind}{i}", entry) for kind in ("entities", "modifiers") for i, entry in enumerate(objects(record, kind))
        ]
        spans = [
            (id_, as_place(entry, "start"), as_place(entry, "end"), as_text(entry, "label")) for id_, entry in entries
        ]
        scores = {id_: as_number(entry, "score") for id_, entry in entries if entry.get("score") is not None}
        links = [
            (f"entities{as_place(r, 'head')}", f"modifiers{as_place(r, 'modifier')}", as_number(r, "score", 1.0))
            for r in objects(record, "relations")
        ]
        fill_known(doc, spans, links, schema, scores)
        for name in LAYER:
            if name in record and name not in _OWN:
                add_rows(doc, name, record[name])
    except FormatError as error:
        raise FormatError(f"{where}: {error}.") from None
    unknown = sum(key not in _KNOWN for key in record)
    if unknown:
        count_problem(doc, "field of the record that is no layer dropped", unknown)
    return doc


def as_name(value: Any) -> str:
    """Return a record's id as a note's name; empty where there is none.

    RAISES (FormatError): It is neither text nor a whole number.
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise FormatError("'id' must be text or a whole number")
    try:
        str(value).encode("utf-8")  # half a surrogate pair would not become a file name
    except UnicodeEncodeError:
        raise FormatError("'id' holds half a surrogate pair") from None
    return str(value)


def fill_known(
    doc: Doc, spans: list[tuple[str, int, int, str]], links: list[tuple[str, str, float]], schema: Schema,
    scores: dict[str, float] | None = None,
) -> None:
    """Put annotations on a Doc as `fill_doc` does; spans of labels outside the schema are dropped and counted."""
    labels = {label.lower(): label for label in [*schema.entities, *schema.modifiers]}
    known = [(id_, start, end, labels[label.lower()]) for id_, start, end, label in spans if label.lower() in labels]
    if len(known) < len(spans):
        count_problem(doc, "span of an unknown label dropped", len(spans) - len(known))
    fill_doc(doc, known, links, schema, scores=scores)


def read_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]] | Failure]:
    """Yield the place and the object of each line of a file of JSON lines; a line that cannot be read becomes a `Failure`."""
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            if not raw.strip():
                continue
            where = f"{path.name}, line {number}"
            try:
                record = json.loads(raw.decode("utf-8-sig"))
            except UnicodeDecodeError as error:
                yield Failure(where, f"{where}: not UTF-8 at byte {error.start} of the line. Convert the file to UTF-8.")
            except (ValueError, RecursionError) as error:  # besides JSONDecodeError: a number of too many digits
                yield Failure(where, f"{where}: not JSON at column {getattr(error, 'colno', 1)}. Write one object a line.")
            else:
                if isinstance(record, dict):
                    yield where, record
                else:
                    yield Failure(where, f"{where}: not an object. Write one object a line.")


def read_docs(path: Path, read: Callable[[dict[str, Any]], Doc]) -> Iterator[Doc | Failure]:
    """Yield what `read` makes of each object of a file; a line that cannot be read, or that it refuses, becomes a `Failure`."""
    for item in read_objects(path):
        if isinstance(item, Failure):
            yield item
            continue
        where, record = item
        try:
            yield read(record)
        except FormatError as error:
            yield Failure(where, f"{where}: {error}.")


def read_jsonl(path: Path, nlp: Language, schema: Schema) -> Iterator[Doc | Failure]:
    """Yield the Docs of a JSONL file; a line that cannot be read becomes a `Failure`."""
    for item in read_objects(path):
        if isinstance(item, Failure):
            yield item
            continue
        where, record = item
        try:
            yield record_to_doc(nlp, record, schema, where)
        except FormatError as error:
            yield Failure(where, str(error))


def json_line(value: Any) -> bytes:
    """Return a value as one line of JSON, in UTF-8.

    Half a surrogate pair, which UTF-8 cannot hold, is escaped.
    """
    try:
        return json.dumps(value, ensure_ascii=False).encode("utf-8") + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value).encode("utf-8") + b"\n"


def lost_in_jsonl(doc: Doc) -> dict[str, int]:
    """Return what `doc_to_record` leaves out of a Doc > how often: values of users' own that JSON does not give back."""
    lost = sum(plain_rows(doc, layer)[1] for layer in LAYERS)
    return {"value of user_data that JSON cannot hold": lost} if lost else {}
