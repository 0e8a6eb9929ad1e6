"""The result contract: entities in `doc.ents`, modifiers in `doc.spans["modifiers"]`, links in `doc._.relations`.

Links and scores are plain numbers and strings in `doc.user_data`, so they survive bytes, DocBin
(with `store_user_data=True`), pickle and other processes. What the extensions give are views.

    doc._.relations      list[Relation]: head, modifier (spans), label, score
    doc._.provenance     dict: pipeline, version, engine, weights (hash)
    doc._.problems       dict: what went wrong or was repaired > how often
    span._.modifiers     dict: modifier type > list of spans linked to this entity
    span._.score         float or None, of an entity or a modifier
    span._.is_negated, is_uncertain, is_conditional, is_somebody_else
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup

from .errors import KiwiError
from .schema import ROLES, Schema, load_schema

MODIFIERS = "modifiers"  # the key in doc.spans
_RELATIONS = "kiwi_relations"  # list of (head start, end, label, modifier start, end, label, label, score)
_SCORES = "kiwi_scores"  # list of (start, end, label, score)
_PROVENANCE = "kiwi_provenance"  # dict of str
_PROBLEMS = "kiwi_problems"  # dict of str > int
_ROLES = "kiwi_roles"  # role > list of labels, kept where a schema of the user's own made the Doc

SpanKey = tuple[int, int, str]  # start_char, end_char, label


@dataclass(frozen=True)
class Relation:
    """One link. Equal when head, modifier and label are; the score is not compared."""

    head: Span
    modifier: Span
    label: str
    score: float

    @property
    def key(self) -> tuple[SpanKey, SpanKey, str]:
        """Plain form: head and modifier as (start_char, end_char, label), and the link's label."""
        return span_key(self.head), span_key(self.modifier), self.label

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Relation) and self.key == other.key and self.head.doc is other.head.doc

    def __hash__(self) -> int:
        return hash(self.key)


def span_key(span: Span) -> SpanKey:
    """Return (start_char, end_char, label), half-open, into `doc.text`."""
    return span.start_char, span.end_char, span.label_


def set_modifiers(doc: Doc, spans: Iterable[Span]) -> None:
    """Put the modifiers into `doc.spans["modifiers"]`, in reading order, each once."""
    unique = {(s.start, s.end, s.label): s for s in spans}
    doc.spans[MODIFIERS] = SpanGroup(doc, name=MODIFIERS, spans=[unique[key] for key in sorted(unique)])


def get_modifiers(doc: Doc) -> list[Span]:
    """Return the modifiers, in reading order; empty where no component has set them."""
    return list(doc.spans[MODIFIERS]) if MODIFIERS in doc.spans else []


def set_scores(doc: Doc, scored: Iterable[tuple[Span, float]]) -> None:
    """Keep the scores (0 to 1) of entities or modifiers; scores of other spans stay."""
    rows = {(row[0], row[1], row[2]): row[3] for row in doc.user_data.get(_SCORES, ())}
    rows.update({span_key(span): float(score) for span, score in scored})
    doc.user_data[_SCORES] = [[*key, score] for key, score in sorted(rows.items())]


def get_score(span: Span) -> float | None:
    """Return the score of an entity or modifier, None where the engine gave none."""
    key = span_key(span)
    for row in span.doc.user_data.get(_SCORES, ()):
        if (row[0], row[1], row[2]) == key:
            return float(row[3])
    return None


def set_relations(doc: Doc, links: Iterable[tuple[Span, Span, float]], schema: Schema | None = None) -> None:
    """Set the Doc's links, (head, modifier, score) each; the label is the modifier's.

    schema (Schema | None): Kept with the Doc where its roles are not the packaged schema's.
    RAISES (KiwiError): A span of another Doc.
    """
    rows: dict[tuple[SpanKey, SpanKey], float] = {}
    for head, modifier, score in links:
        if head.doc is not doc or modifier.doc is not doc:
            raise KiwiError("A relation joins spans of the Doc that it is set on; one of these belongs to another.")
        rows[span_key(head), span_key(modifier)] = float(score)
    doc.user_data[_RELATIONS] = [[*h, *m, m[2], score] for (h, m), score in sorted(rows.items())]
    if schema is not None:
        doc.user_data.pop(_ROLES, None)
        if schema != load_schema():
            doc.user_data[_ROLES] = {role: sorted(schema.role_labels(role)) for role in ROLES}


def get_relations(doc: Doc) -> list[Relation]:
    """Return the Doc's links as views, in reading order of their heads."""
    return [
        Relation(_view(doc, row[0], row[1], row[2]), _view(doc, row[3], row[4], row[5]), row[6], float(row[7]))
        for row in doc.user_data.get(_RELATIONS, ())
    ]


def _view(doc: Doc, start_char: int, end_char: int, label: str) -> Span:
    span = doc.char_span(start_char, end_char, label=label)
    if span is None:
        raise KiwiError(
            f"A relation's span at {start_char}-{end_char} does not begin and end on this Doc's tokens: "
            "the Doc was retokenized after the relations were set. Set them again afterwards."
        )
    return span


def count_problem(doc: Doc, kind: str, times: int = 1) -> None:
    """Count something that went wrong or was repaired, so that it shows in `doc._.problems`."""
    problems = dict(doc.user_data.get(_PROBLEMS, {}))
    problems[kind] = problems.get(kind, 0) + times
    doc.user_data[_PROBLEMS] = problems


def set_provenance(doc: Doc, **entries: str) -> None:
    """Note where the Doc's annotations come from: pipeline, version, engine, weights."""
    doc.user_data[_PROVENANCE] = {**doc.user_data.get(_PROVENANCE, {}), **entries}


def name_pipeline(meta: Mapping[str, Any]) -> dict[str, str]:
    """Return the provenance that a pipeline's meta gives: its installed name and its version."""
    return {
        "pipeline": f"{meta.get('lang', '')}_{meta.get('name', '')}", "version": str(meta.get("version", "")),
    }


def get_provenance(doc: Doc) -> dict[str, str]:
    """Return pipeline, version, engine and hash of the weights; empty on a Doc made by hand."""
    return dict(doc.user_data.get(_PROVENANCE, {}))


def entity_modifiers(ent: Span) -> dict[str, list[Span]]:
    """Return {modifier type: spans} of what is linked to an entity; types without any are left out."""
    key = span_key(ent)
    found: dict[str, list[Span]] = {}
    for row in ent.doc.user_data.get(_RELATIONS, ()):
        if (row[0], row[1], row[2]) == key:
            found.setdefault(row[6], []).append(_view(ent.doc, row[3], row[4], row[5]))
    return found


def has_role(ent: Span, role: str) -> bool:
    """Whether a modifier linked to the entity plays `role`, one of `schema.ROLES`."""
    labels = _role_labels(ent.doc, role)
    key = span_key(ent)
    return any(
        row[6] in labels and (row[0], row[1], row[2]) == key for row in ent.doc.user_data.get(_RELATIONS, ())
    )


def _role_labels(doc: Doc, role: str) -> Iterable[str]:
    kept = doc.user_data.get(_ROLES)
    return load_schema().role_labels(role) if kept is None else kept[role]


def split_doc(doc: Doc, borders: Iterable[int]) -> list[Doc]:
    """Cut a Doc before the given tokens; each part keeps the spans and links that it holds whole.

    borders (Iterable[int]): Token indices in (0, len(doc)); others are ignored.
    RETURNS (list[Doc]): The parts in order; `"".join(p.text_with_ws for p in parts)` is the note.
        What a cut goes through is counted in `doc._.problems` of the part where it begins; the
        Doc's own problems go to the first part, so that `merge_docs` counts them once.
    """
    edges = [0, *sorted({b for b in borders if 0 < b < len(doc)}), len(doc)]
    relations = get_relations(doc)
    scores = {(row[0], row[1], row[2]): row[3] for row in doc.user_data.get(_SCORES, ())}
    parts: list[Doc] = []
    for start, end in zip(edges, edges[1:]):
        whole = doc[start:end]
        part = Doc(doc.vocab, words=[t.text for t in whole], spaces=[bool(t.whitespace_) for t in whole])
        for key in (_PROVENANCE, _ROLES):
            if key in doc.user_data:
                part.user_data[key] = doc.user_data[key]
        for kind, times in doc.user_data.get(_PROBLEMS, {}).items() if not parts else ():
            count_problem(part, kind, times)

        def moved(span: Span, part: Doc = part, start: int = start) -> Span:
            return Span(part, span.start - start, span.end - start, label=span.label)

        def inside(span: Span, start: int = start, end: int = end) -> bool:
            return start <= span.start and span.end <= end

        ents, modifiers = list(doc.ents), get_modifiers(doc)
        part.set_ents([moved(e) for e in ents if inside(e)])
        set_modifiers(part, [moved(m) for m in modifiers if inside(m)])
        set_scores(
            part, [(moved(s), scores[span_key(s)]) for s in ents + modifiers if inside(s) and span_key(s) in scores]
        )
        set_relations(
            part, [(moved(r.head), moved(r.modifier), r.score) for r in relations if inside(r.head) and inside(r.modifier)]
        )
        cut = [s for s in ents + modifiers if start <= s.start < end < s.end]
        lost = [
            r for r in relations
            if start <= min(r.head.start, r.modifier.start) < end and max(r.head.end, r.modifier.end) > end
        ]
        if cut:
            count_problem(part, "span cut in two", len(cut))
        if lost:
            count_problem(part, "link cut in two", len(lost))
        parts.append(part)
    return parts


def merge_docs(parts: list[Doc]) -> Doc:
    """Join Docs end to end, exactly as they are (no white space is added), with spans, links and scores.

    RAISES (KiwiError): An empty list, or Docs of different vocabularies.
    """
    if not parts:
        raise KiwiError("merge_docs needs at least one Doc.")
    if any(part.vocab is not parts[0].vocab for part in parts):
        raise KiwiError("merge_docs joins Docs of one pipeline; these have different vocabularies.")
    merged = Doc(
        parts[0].vocab,
        words=[t.text for part in parts for t in part],
        spaces=[bool(t.whitespace_) for part in parts for t in part],
    )
    ents: list[Span] = []
    modifiers: list[Span] = []
    links: list[tuple[Span, Span, float]] = []
    scored: list[tuple[Span, float]] = []
    offset = 0
    for part in parts:

        def moved(span: Span, offset: int = offset) -> Span:
            return Span(merged, span.start + offset, span.end + offset, label=span.label)

        ents += [moved(e) for e in part.ents]
        modifiers += [moved(m) for m in get_modifiers(part)]
        links += [(moved(r.head), moved(r.modifier), r.score) for r in get_relations(part)]
        scored += [
            (moved(s), score) for s in [*part.ents, *get_modifiers(part)] if (score := get_score(s)) is not None
        ]
        for kind, times in part.user_data.get(_PROBLEMS, {}).items():
            count_problem(merged, kind, times)
        if _PROVENANCE in part.user_data:
            merged.user_data[_PROVENANCE] = part.user_data[_PROVENANCE]
        offset += len(part)
    merged.set_ents(ents)
    set_modifiers(merged, modifiers)
    set_scores(merged, scored)
    set_relations(merged, links)
    if any(_ROLES in part.user_data for part in parts):  # of parts by two schemas, both keep their roles
        merged.user_data[_ROLES] = {
            role: sorted({label for part in parts for label in _role_labels(part, role)}) for role in ROLES
        }
    return merged


def _role_getter(role: str) -> Any:
    def getter(span: Span) -> bool:
        return has_role(span, role)

    return getter


def register_extensions() -> None:
    """Add `doc._.relations` and the rest, unless another import has done so."""
    doc_getters = {
        "relations": get_relations,
        "provenance": get_provenance,
        "problems": lambda doc: dict(doc.user_data.get(_PROBLEMS, {})),
    }
    span_getters: dict[str, Any] = {"modifiers": entity_modifiers, "score": get_score}
    span_getters |= {f"is_{role}": _role_getter(role) for role in ROLES}
    for name, getter in doc_getters.items():
        if not Doc.has_extension(name):
            Doc.set_extension(name, getter=getter)
    for name, getter in span_getters.items():
        if not Span.has_extension(name):
            Span.set_extension(name, getter=getter)
