"""Cutting Docs at tokens and joining them end to end, with everything that they carry."""

from collections.abc import Iterable

from spacy.tokens import Doc

from ..errors import KiwiError
from .annotations import count_problem
from .layers import LAYERS, Part


def split_doc(doc: Doc, borders: Iterable[int]) -> list[Doc]:
    """Cut a Doc before the given tokens; each part keeps what it holds whole.

    borders (Iterable[int]): Token indices in (0, len(doc)); others are ignored.
    RETURNS (list[Doc]): The parts in order; `"".join(p.text_with_ws for p in parts)` is the note.
        What a cut goes through is counted in `doc._.problems` of the part where it begins; the
        Doc's own problems go to the first part, so that `merge_docs` counts them once.
    """
    edges = [0, *sorted({b for b in borders if 0 < b < len(doc)}), len(doc)]
    carried = [(layer, layer.read(doc)) for layer in LAYERS]
    parts: list[Doc] = []
    for start, end in zip(edges, edges[1:]):
        whole = doc[start:end]
        made = Doc(doc.vocab, words=[t.text for t in whole], spaces=[bool(t.whitespace_) for t in whole])
        place = Part(
            doc[start].idx if start < len(doc) else 0, doc[end].idx if end < len(doc) else len(doc.text), first=not parts
        )
        cuts: dict[str, int] = {}
        for layer, rows in carried:
            own, cut = layer.restrict(rows, place)
            layer.write(made, own)
            if cut and layer.cut:
                cuts[layer.cut] = cuts.get(layer.cut, 0) + cut
        for kind, times in cuts.items():
            count_problem(made, kind, times)
        parts.append(made)
    return parts


def merge_docs(parts: list[Doc]) -> Doc:
    """Join Docs end to end, exactly as they are (no white space is added), with everything that they carry.

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
    offsets = [0]
    for part in parts:
        offsets.append(offsets[-1] + sum(len(t.text_with_ws) for t in part))
    for layer in LAYERS:
        layer.write(merged, layer.join([layer.shift(layer.read(part), by) for part, by in zip(parts, offsets)]))
    return merged
