"""Annotations as read > spaCy Docs, and Docs > plain records for JSONL."""

from collections.abc import Iterable, Mapping
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..contract import (
    NOTE,
    count_problem,
    get_modifiers,
    get_relations,
    get_score,
    set_modifiers,
    set_relations,
    set_scores,
    span_key,
)
from ..errors import FormatError
from ..schema import Schema
from .brat import BratNote


def fill_doc(
    doc: Doc, spans: Iterable[tuple[str, int, int, str]], links: Iterable[tuple[str, str, float]], schema: Schema,
    *, scores: Mapping[str, float] | None = None,
) -> Doc:
    """Set a Doc's entities, modifiers and links from spans (id, start_char, end_char, label) and id pairs.

    A span that does not fall on tokens is widened to them; of two entities that overlap the longer
    stays. Both are counted in `doc._.problems`, as are links whose span is gone or whose pair the
    schema does not allow. Spans of one place and label become one, which keeps the links of all.

    scores (Mapping[str, float] | None): Of spans, by id.
    """
    made: dict[str, Span] = {}
    ents: list[tuple[str, Span]] = []
    for id_, start, end, label in spans:
        span = _fit(doc, start, end, label)
        if span is None:
            continue
        if label in schema.entities:
            ents.append((id_, span))
        else:
            made[id_] = span
    taken: list[Span | None] = [None] * len(doc)
    for id_, span in sorted(ents, key=lambda item: (item[1].start - item[1].end, item[1].start)):
        there = next((other for other in taken[span.start : span.end] if other is not None), None)
        if there is not None and span_key(there) != span_key(span):
            count_problem(doc, "overlapping entity dropped")
            continue
        taken[span.start : span.end] = [span] * len(span)
        made[id_] = span
    doc.set_ents([span for span in dict.fromkeys(taken) if span is not None])
    set_modifiers(doc, [span for span in made.values() if span.label_ in schema.modifiers])
    kept = []
    for head, modifier, score in links:
        if head not in made or modifier not in made:
            count_problem(doc, "link of a dropped span dropped")
        elif not schema.allows(made[head].label_, made[modifier].label_):
            count_problem(doc, "link that the schema does not allow dropped")
        else:
            kept.append((made[head], made[modifier], score))
    set_relations(doc, kept, schema)
    if scores:
        set_scores(doc, [(made[id_], score) for id_, score in scores.items() if id_ in made])
    return doc


def _fit(doc: Doc, start: int, end: int, label: str) -> Span | None:
    """Return the span of whole tokens around start_char and end_char, None where there is none; count what does not fit."""
    if not 0 <= start < end <= len(doc.text):
        count_problem(doc, "span outside the note dropped")
        return None
    span = doc.char_span(start, end, label=label)
    if span is None:
        words = doc.text[start:end]
        start, end = end - len(words.lstrip()), start + len(words.rstrip())
        if start >= end:  # spaCy gives an empty span for the space between two tokens
            count_problem(doc, "span of white space dropped")
            return None
        span = doc.char_span(start, end, label=label, alignment_mode="expand")
        count_problem(doc, "span snapped to tokens")
    return span


def make_doc(nlp: Language, text: str) -> Doc:
    """Tokenize a note of any length: `nlp.max_length` guards the memory of a parser, which is not run here."""
    return nlp.tokenizer(text)


def note_to_doc(nlp: Language, note: BratNote, schema: Schema) -> Doc:
    """Return a note's text, tokenized by `nlp`, with its annotations; its name is in `doc.user_data`."""
    doc = make_doc(nlp, note.text)
    doc.user_data[NOTE] = note.name
    spans = [(s.id, s.start_char, s.end_char, s.label) for s in note.spans]
    return fill_doc(doc, spans, [(head, modifier, 1.0) for head, modifier in note.links], schema)


def doc_to_record(doc: Doc) -> dict[str, Any]:
    """Return a Doc as a plain object: text, entities, modifiers (with offsets) and relations (by index)."""

    def plain(span: Span) -> dict[str, Any]:
        entry: dict[str, Any] = {"start": span.start_char, "end": span.end_char, "label": span.label_, "text": span.text}
        score = get_score(span)
        if score is not None:
            entry["score"] = round(score, 4)
        return entry

    ents, modifiers = list(doc.ents), get_modifiers(doc)
    ent_index = {span_key(e): i for i, e in enumerate(ents)}
    modifier_index = {span_key(m): i for i, m in enumerate(modifiers)}
    return {
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


def record_to_doc(nlp: Language, record: dict[str, Any], schema: Schema, where: str = "record") -> Doc:
    """Return the Doc of what `doc_to_record` gave, tokenized by `nlp`.

    RAISES (FormatError): A field is missing or of the wrong kind; the message says `where`.
    """
    try:
        doc = make_doc(nlp, record["text"])
        name = record.get("id")
        if not isinstance(name, str | int | None):
            raise TypeError
        str(name).encode("utf-8")  # half a surrogate pair would not become a file name
        doc.user_data[NOTE] = "" if name is None else str(name)
        entries = [
            (f"{kind}{i}", entry) for kind in ("entities", "modifiers") for i, entry in enumerate(record.get(kind) or ())
        ]
        spans = [(id_, int(entry["start"]), int(entry["end"]), str(entry["label"])) for id_, entry in entries]
        scores = {id_: float(entry["score"]) for id_, entry in entries if entry.get("score") is not None}
        links = [
            (f"entities{int(r['head'])}", f"modifiers{int(r['modifier'])}", float(r.get("score", 1.0)))
            for r in record.get("relations") or ()
        ]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FormatError(
            f"{where}: needs 'text' and lists 'entities', 'modifiers' of {{start, end, label}}; "
            f"found {type(error).__name__}."
        ) from None
    labels = {label.lower(): label for label in [*schema.entities, *schema.modifiers]}
    known = [(id_, start, end, labels[label.lower()]) for id_, start, end, label in spans if label.lower() in labels]
    if len(known) < len(spans):
        count_problem(doc, "span of an unknown label dropped", len(spans) - len(known))
    return fill_doc(doc, known, links, schema, scores=scores)
