"""Cutting Docs at tokens and joining them end to end, with everything that they carry."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Any

from spacy.tokens import Doc

from ..errors import KiwiError
from .annotations import count_problem
from .layers import LAYERS, Layer, Part, Records, Spans, Table


def split_doc(doc: Doc, borders: Iterable[int]) -> list[Doc]:
    """Cut a Doc before the given tokens; each part keeps what it holds whole.

    borders (Iterable[int]): Token indices in (0, len(doc)); others are ignored.
    RETURNS (list[Doc]): The parts in order; `"".join(p.text_with_ws for p in parts)` is the note.
        What a cut goes through is counted in `doc._.problems` of the part where it begins; the
        Doc's own problems go to the first part, so that `merge_docs` counts them once.
    """
    edges = [0, *sorted({b for b in borders if 0 < b < len(doc)}), len(doc)]
    starts = [doc[edge].idx if edge < len(doc) else 0 for edge in edges[:-1]]
    carried = [(layer, _by_part(layer, layer.read(doc), starts)) for layer in LAYERS]
    parts: list[Doc] = []
    for number, (start, end) in enumerate(zip(edges, edges[1:])):
        whole = doc[start:end]
        made = Doc(doc.vocab, words=[t.text for t in whole], spaces=[bool(t.whitespace_) for t in whole])
        place = Part(starts[number], doc[end].idx if end < len(doc) else len(doc.text), first=not parts)
        cuts: dict[str, int] = {}
        for layer, rows in carried:
            own, cut = layer.restrict(rows[number], place)
            layer.write(made, own)
            if cut and layer.cut:
                cuts[layer.cut] = cuts.get(layer.cut, 0) + cut
        for kind, times in cuts.items():
            count_problem(made, kind, times)
        parts.append(made)
    return parts


def _by_part(layer: Layer, rows: Any, starts: list[int]) -> list[Any]:
    """Return for each part the rows that it meets, so that cutting is linear; all of them where rows have no places."""
    if isinstance(layer, Spans):
        extents = [(row[0], row[1]) for row in rows]
    elif isinstance(layer, Table):
        extents = [(min(row[a] for a, _ in layer.offsets), max(row[b] for _, b in layer.offsets)) for row in rows]
    elif isinstance(layer, Records):
        extents = [(row["start_char"], row["end_char"]) for row in rows]
    else:
        return [rows] * len(starts)
    met: list[Any] = [[] for _ in starts]
    for row, (start_char, end_char) in zip(rows, extents):
        first = max(0, bisect_right(starts, start_char) - 1)
        for number in range(first, max(first + 1, bisect_left(starts, end_char))):
            met[number].append(row)
    return met


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
