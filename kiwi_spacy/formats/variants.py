"""Variants of annotated notes: some spans' words replaced by those of other spans of the same label.

Mention replacement (Dai and Adel, 2020, arXiv:2010.11683), with spans that lie in others, and links kept.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..relations import get_modifiers, get_relations, span_key
from ..schema import Schema
from .docs import NOTE, fill_doc, make_doc

Kind = tuple[str, str, str, str]
PART = 0.5  # of the spans of a variant that are replaced


class Mentions:
    """The distinct words of a corpus' innermost spans, by what they may stand in for: label, side, head, letter case."""

    def __init__(self, docs: Iterable[Doc]) -> None:
        found: dict[Kind, dict[str, None]] = defaultdict(dict)
        for doc in docs:
            for span, kind in _innermost(doc):
                found[kind][span.text] = None
        self.texts = {kind: list(texts) for kind, texts in found.items()}

    def vary(self, doc: Doc, nlp: Language, schema: Schema, order: random.Random) -> Doc:
        """Return a note in which about half of the innermost spans have other words; links and labels are kept."""
        drawn = [(span, order.choice(self.texts[kind])) for span, kind in _innermost(doc) if order.random() < PART]
        pieces, shifts, at, shift = [], [], 0, 0
        for span, text in drawn:
            pieces += [doc.text[at : span.start_char], text]
            at = span.end_char
            shift += len(text) - len(span.text)
            shifts.append((at, shift))
        made = make_doc(nlp, "".join([*pieces, doc.text[at:]]))
        made.user_data[NOTE] = doc.user_data.get(NOTE, "")

        def moved(place: int) -> int:
            return place + next((by for end, by in reversed(shifts) if end <= place), 0)

        spans = {str(i): span for i, span in enumerate([*doc.ents, *get_modifiers(doc)])}
        ids = {span_key(span): id_ for id_, span in spans.items()}
        fill_doc(
            made,
            [(id_, moved(s.start_char), moved(s.end_char), s.label_) for id_, s in spans.items()],
            [(ids[span_key(r.head)], ids[span_key(r.modifier)], 1.0) for r in get_relations(doc)], schema,
        )
        return made


def _innermost(doc: Doc) -> Iterator[tuple[Span, Kind]]:
    """Yield the spans of one line that overlap no other span unless they lie inside it, in order, with their kinds."""
    spans = [*doc.ents, *get_modifiers(doc)]
    heads = {span_key(r.modifier): r.head for r in get_relations(doc)}
    for span in sorted(spans, key=lambda s: s.start):
        others = [o for o in spans if o is not span and o.start < span.end and span.start < o.end]
        if "\n" in span.text or any(len(o) <= len(span) or o.start > span.start or o.end < span.end for o in others):
            continue
        head = heads.get(span_key(span))
        side = "" if head is None else "before" if span.end <= head.start else "after" if span.start >= head.end else "in"
        text = span.text
        case = "upper" if text.isupper() else "title" if text[:1].isupper() else "digit" if text[:1].isdigit() else "lower"
        yield span, (span.label_, side, "" if head is None else head.label_, case)
