"""Annotations as read > spaCy Docs, and Docs > plain records for JSONL."""

from collections.abc import Iterable
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..errors import FormatError
from ..relations import (
    count_problem,
    get_modifiers,
    get_relations,
    get_score,
    set_modifiers,
    set_relations,
    set_scores,
    span_key,
)
from ..schema import Schema
from .brat import BratNote

NOTE = "kiwi_note"  # the note's name in doc.user_data


def fill_doc(
    doc: Doc, spans: Iterable[tuple[str, int, int, str]], links: Iterable[tuple[str, str, float]], schema: Schema
) -> Doc:
    """Set a Doc's entities, modifiers and links from spans (id, start_char, end_char, label) and id pairs.

    A span that does not fall on tokens is widened to them; of two entities that overlap the longer
    stays. Both are counted in `doc._.problems`, as are links whose span is gone.
    """
    made: dict[str, Span] = {}
    ents: list[tuple[str, Span]] = []
    for id_, start, end, label in spans:
        span = doc.char_span(start, end, label=label)
        if span is None:
            span = doc.char_span(start, end, label=label, alignment_mode="expand")
            if span is None or start >= end:
                count_problem(doc, "span outside the note dropped")
                continue
            count_problem(doc, "span snapped to tokens")
        if label in schema.entities:
            ents.append((id_, span))
        else:
            made[id_] = span
    taken = [False] * len(doc)
    for id_, span in sorted(ents, key=lambda item: (item[1].start - item[1].end, item[1].start)):
        if any(taken[span.start : span.end]):
            count_problem(doc, "overlapping entity dropped")
            continue
        taken[span.start : span.end] = [True] * len(span)
        made[id_] = span
    doc.set_ents([span for span in made.values() if span.label_ in schema.entities])
    set_modifiers(doc, [span for span in made.values() if span.label_ in schema.modifiers])
    kept = []
    for head, modifier, score in links:
        if head in made and modifier in made:
            kept.append((made[head], made[modifier], score))
        else:
            count_problem(doc, "link of a dropped span dropped")
    set_relations(doc, kept, schema)
    return doc


def note_to_doc(nlp: Language, note: BratNote, schema: Schema) -> Doc:
    """Return a note's text, tokenized by `nlp`, with its annotations; its name is in `doc.user_data`."""
    doc = nlp.make_doc(note.text)
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
        doc = nlp.make_doc(record["text"])
        doc.user_data[NOTE] = str(record.get("id", ""))
        spans = [
            (f"{kind}{i}", int(entry["start"]), int(entry["end"]), str(entry["label"]))
            for kind in ("entities", "modifiers") for i, entry in enumerate(record.get(kind, ()))
        ]
        links = [
            (f"entities{int(r['head'])}", f"modifiers{int(r['modifier'])}", float(r.get("score", 1.0)))
            for r in record.get("relations", ())
        ]
        labels = {*schema.entities, *schema.modifiers}
        strange = {label for _, _, _, label in spans if label not in labels}
        if strange:
            count_problem(doc, "span of an unknown label dropped", sum(s[3] in strange for s in spans))
            spans = [s for s in spans if s[3] in labels]
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{where}: needs 'text' and lists 'entities', 'modifiers' of {{start, end, label}}; "
            f"found {type(error).__name__}."
        ) from None
    fill_doc(doc, spans, links, schema)
    scored = {(e["start"], e["end"], e["label"]): e["score"]
              for kind in ("entities", "modifiers") for e in record.get(kind, ()) if "score" in e}
    set_scores(doc, [(s, scored[span_key(s)]) for s in [*doc.ents, *get_modifiers(doc)] if span_key(s) in scored])
    return doc
