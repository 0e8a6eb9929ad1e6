"""Annotations as read > spaCy Docs."""

from collections.abc import Iterable, Mapping

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..contract import (
    NOTE,
    Remark,
    RemarkKind,
    count_problem,
    set_modifiers,
    set_relations,
    set_remarks,
    set_scores,
    span_key,
)
from ..schema import Schema
from .brat import BratNote
from .rows import add_rows


def fill_doc(
    doc: Doc, spans: Iterable[tuple[str, int, int, str]], links: Iterable[tuple[str, str, float]], schema: Schema,
    *, scores: Mapping[str, float] | None = None, remarks: Iterable[tuple[str, RemarkKind, str, str, str]] = (),
) -> Doc:
    """Set a Doc's entities, modifiers, links and remarks from spans (id, start_char, end_char, label) and id pairs.

    A span that does not fall on tokens is widened to them; of two entities that overlap the longer
    stays. Both are counted in `doc._.problems`, as are links whose span is gone or whose pair the
    schema does not allow. Spans of one place and label become one, which keeps the links of all.

    scores (Mapping[str, float] | None): Of spans, by id.
    remarks: (id of a span, kind, name, value, modifier) each. Such a modifier is put over the span itself and linked to it.
    """
    remarks = list(remarks)
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
    said = [Remark(*span_key(made[id_]), *rest) for id_, *rest in remarks if id_ in made]  # type: ignore[arg-type]
    if len(said) < len(remarks):
        count_problem(doc, "remark on a dropped span dropped", len(remarks) - len(said))
    set_remarks(doc, said)
    by_remark = [
        (made[id_], Span(doc, made[id_].start, made[id_].end, label=modifier))
        for id_, _, _, _, modifier in remarks if modifier and id_ in made
    ]
    doc.set_ents([span for span in dict.fromkeys(taken) if span is not None])
    set_modifiers(doc, [*(s for s in made.values() if s.label_ in schema.modifiers), *(m for _, m in by_remark)])
    kept: list[tuple[Span, Span, float]] = [(head, modifier, 1.0) for head, modifier in by_remark]
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
    remarks = [(r.target, r.kind, r.name, r.value, r.modifier) for r in note.remarks]
    fill_doc(doc, spans, [(head, modifier, 1.0) for head, modifier in note.links], schema, remarks=remarks)
    for name, rows in note.layers.items():
        add_rows(doc, name, rows)
    return doc
