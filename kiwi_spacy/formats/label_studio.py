"""Label Studio's JSON: a list of tasks, with predictions (of a pipeline) or annotations (of people).

    [{"data": {"text", "note", "kiwi"}, "annotations" | "predictions": [{"result": [
        {"id", "from_name": "label", "to_name": "text", "type": "labels", "score",
         "value": {"start", "end", "text", "labels": [label]}},
        {"id": of a span, "from_name": attribute, "to_name": "text", "type": "choices", "value": {…, "choices": [value]}},
        {"type": "relation", "from_id", "to_id", "direction", "labels": [label]}]}]}]

Offsets are code points, as Label Studio's own converters slice the text in Python. Each span comes with its words, so a file that
counts UTF-16 units, as pages do, shows it: its offsets are then turned, which is counted in `doc._.problems`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..contract import (
    NOTE,
    RemarkKind,
    count_problem,
    get_modifiers,
    get_provenance,
    get_relations,
    get_remarks,
    get_score,
    span_key,
)
from ..errors import FormatError
from ..schema import Schema
from .doccano import turned
from .docs import fill_doc, make_doc
from .failure import Failure
from .jsonl import as_name, json_line
from .rows import add_note_rows, note_rows
from .values import as_number, as_place, as_text, objects

Spans = list[tuple[str, int, int, str]]


def encode_label_studio(doc: Doc, schema: Schema) -> bytes:
    """Return a note as a task: a prediction where the Doc has provenance, else an annotation."""
    spans = [*doc.ents, *get_modifiers(doc)]
    ids = {span_key(span): f"s{i}" for i, span in enumerate(spans)}
    result: list[dict[str, Any]] = []
    for span in spans:
        region = _region(ids[span_key(span)], "label", "labels", span)
        region["value"]["labels"] = [span.label_]
        if get_score(span) is not None:
            region["score"] = round(get_score(span) or 0.0, 4)
        result.append(region)
    for remark in get_remarks(doc):
        place = (remark.start_char, remark.end_char, remark.label)
        if remark.kind == "attribute" and place in ids:
            choice = _region(ids[place], remark.name, "choices", spans[int(ids[place][1:])])
            choice["value"]["choices"] = [remark.value or remark.name]
            result.append(choice)
    for link in get_relations(doc):
        ends = {"from_id": ids[span_key(link.head)], "to_id": ids[span_key(link.modifier)]}
        result.append({"type": "relation", **ends, "direction": "right", "labels": [link.label]})
    data: dict[str, Any] = {"text": doc.text, "note": doc.user_data.get(NOTE, "")}
    said = note_rows(doc)
    if said:
        data["kiwi"] = said
    made_by = get_provenance(doc)
    if made_by:
        version = " ".join(filter(None, (made_by.get("pipeline") or made_by.get("engine"), made_by.get("version"))))
        return json_line({"data": data, "predictions": [{"model_version": version, "result": result}]}).rstrip(b"\n")
    return json_line({"data": data, "annotations": [{"result": result}]}).rstrip(b"\n")


def _region(id_: str, name: str, kind: str, span: Span) -> dict[str, Any]:
    value: dict[str, Any] = {"start": span.start_char, "end": span.end_char, "text": span.text}
    return {"id": id_, "from_name": name, "to_name": "text", "type": kind, "value": value}


def lost_in_label_studio(doc: Doc) -> dict[str, int]:
    """Return what a task cannot say of a Doc's remarks > how often."""
    lost = sum(remark.kind != "attribute" for remark in get_remarks(doc))
    return {"comment or code of a span that label-studio cannot hold": lost} if lost else {}


def labelling_config(schema: Schema) -> bytes:
    """Return the labelling interface of a schema, to be pasted into the project's settings."""
    labels = "".join(
        f"    <Label value={quoteattr(name)} background={quoteattr(colour)}/>\n" for name, colour in schema.colours.items()
    )
    relations = "".join(f"    <Relation value={quoteattr(name)}/>\n" for name in schema.modifiers)
    return (
        f'<View>\n  <Labels name="label" toName="text">\n{labels}  </Labels>\n  <Text name="text" value="$text"/>\n'
        f"  <Relations>\n{relations}  </Relations>\n</View>\n"
    ).encode()


def read_label_studio(path: Path, nlp: Language, schema: Schema) -> Iterator[Doc | Failure]:
    """Yield the notes of a file of tasks, one by one; a task that cannot be read becomes a `Failure`.

    RAISES (FormatError): The file is no JSON.
    """
    try:
        tasks = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise FormatError(f"{path.name}: not UTF-8 at byte {error.start}. Convert the file to UTF-8.") from None
    except (ValueError, RecursionError) as error:
        place = f"line {getattr(error, 'lineno', 1)}, column {getattr(error, 'colno', 1)}"
        raise FormatError(f"{path.name}: not JSON at {place}. Export the project again, as JSON.") from None
    for number, task in enumerate(tasks if isinstance(tasks, list) else [tasks], 1):
        where = f"{path.name}, task {number}"
        try:
            yield _doc(nlp, task, schema)
        except FormatError as error:
            yield Failure(where, f"{where}: {error}.")


def _doc(nlp: Language, task: Any, schema: Schema) -> Doc:
    data = task.get("data") if isinstance(task, dict) else None
    if not isinstance(data, dict):
        raise FormatError("needs 'data' with 'text'. Export the project as JSON, not as JSON-MIN")
    doc = make_doc(nlp, as_text(data, "text"))
    doc.user_data[NOTE] = as_name(data.get("note", task.get("id")))
    done = [each for each in objects(task, "annotations") if not each.get("was_cancelled")] or objects(task, "predictions")
    if len(done) > 1:
        count_problem(doc, "further annotation of the same task passed over", len(done) - 1)
    result = objects(done[0], "result") if done else []
    _fill(doc, result, schema)
    add_note_rows(doc, data.get("kiwi"))
    return doc


def _fill(doc: Doc, result: list[dict[str, Any]], schema: Schema) -> None:
    """Put the regions, choices and relations of an annotation on a Doc."""
    labels = {label.lower(): label for label in [*schema.entities, *schema.modifiers]}
    spans: Spans = []
    scores: dict[str, float] = {}
    words: dict[str, str] = {}
    links: list[tuple[str, str]] = []
    choices: list[tuple[str, str, str]] = []
    for entry in result:
        kind, value = entry.get("type"), entry.get("value")
        if kind == "relation":
            links.append((as_text(entry, "from_id"), as_text(entry, "to_id")))
        elif kind == "labels" and isinstance(value, dict):
            id_, named = as_text(entry, "id"), value.get("labels")
            if not isinstance(named, list) or len(named) != 1 or not isinstance(named[0], str):
                raise FormatError("a region needs one label in 'labels'")
            if named[0].lower() not in labels:
                count_problem(doc, "span of an unknown label dropped")
                continue
            spans.append((id_, as_place(value, "start"), as_place(value, "end"), labels[named[0].lower()]))
            if isinstance(value.get("text"), str):
                words[id_] = value["text"]
            if entry.get("score") is not None:
                scores[id_] = as_number(entry, "score")
        elif kind == "choices" and isinstance(value, dict) and isinstance(value.get("choices"), list) and entry.get("id"):
            choices += [(as_text(entry, "id"), as_text(entry, "from_name"), str(choice)) for choice in value["choices"]]
        else:
            count_problem(doc, "result of a kind that a Doc cannot hold dropped")
    spans = _in_code_points(doc, spans, words)
    fill_doc(doc, spans, turned(spans, links, schema), schema, scores=scores, remarks=_remarks(spans, choices, schema))


def _remarks(
    spans: Spans, choices: list[tuple[str, str, str]], schema: Schema
) -> Iterator[tuple[str, RemarkKind, str, str, str]]:
    """Yield the choices as attributes; a choice that has the name of its group says no more than the name."""
    label_of = {id_: label for id_, _, _, label in spans}
    for id_, name, choice in choices:
        value = "" if choice == name else choice
        modifier = schema.attribute(name, value or None) or ""
        yield id_, "attribute", name, value, modifier if schema.allows(label_of.get(id_, ""), modifier) else ""


def _in_code_points(doc: Doc, spans: Spans, words: dict[str, str]) -> Spans:
    """Return spans at code points, by the words that come with them; what differs either way is counted."""
    text = doc.text

    def wrong(found: Spans) -> int:
        return sum(id_ in words and text[start:end] != words[id_] for id_, start, end, _ in found)

    misses = wrong(spans)
    if misses and any(ord(c) > 0xFFFF for c in text):
        at: dict[int, int] = {}
        unit = 0
        for i, c in enumerate(text):
            at[unit] = i
            unit += 2 if ord(c) > 0xFFFF else 1
        at[unit] = len(text)
        other = [(id_, at.get(start, -1), at.get(end, -1), label) for id_, start, end, label in spans]
        if wrong(other) == 0:
            count_problem(doc, "offset in UTF-16 units turned into characters", misses)
            return other
    if misses:
        count_problem(doc, "span whose words differ from the note's, its offsets kept", misses)
    return spans
