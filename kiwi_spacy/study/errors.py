"""Errors by kind: what a system got wrong about one note, against gold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..relations import SpanKey
from ..schema import Schema
from ..scoring import Annotations, Link, as_written, links_of, spans_of

Kind = Literal[
    "boundary short", "boundary long", "boundary shifted", "wrong type", "missed", "invented",
    "wrong link", "missed link", "link of a wrong span",
]
KINDS: dict[Kind, str] = {
    "boundary short": "Right label, but a part of the gold span is left out.",
    "boundary long": "Right label, but the span holds more than the gold span.",
    "boundary shifted": "Right label, but something is left out on one side and something else taken in on the other.",
    "wrong type": "The place is right or overlaps, the label is another.",
    "missed": "A gold span has no partner among the predicted ones.",
    "invented": "A predicted span has no partner in gold.",
    "wrong link": "Both spans are exactly right, and gold does not link them.",
    "missed link": "Both spans are exactly right, and their gold link is not found.",
    "link of a wrong span": "The link is missed or wrong because one of its spans is.",
}


@dataclass(frozen=True)
class Mistake:
    """One mistake. Of spans, `gold` and `pred` are the spans it is about, None where there is none; of links, pairs."""

    kind: Kind
    task: str
    gold: SpanKey | Link | None = None
    pred: SpanKey | Link | None = None

    @property
    def label(self) -> str:
        """The gold label, or else the predicted one; of a link, `head-modifier`.

        >>> Mistake("invented", "entities", pred=(0, 4, "test")).label
        'test'
        """
        item = self.gold or self.pred
        assert item is not None
        return item[2] if len(item) == 3 else f"{item[0][2]}-{item[1][2]}"


def find_mistakes(gold: Annotations, pred: Annotations, schema: Schema) -> list[Mistake]:
    """Return the mistakes of one note, each gold and predicted item that is not exactly right in one of them.

    A span goes together with the span of the other side that it overlaps most, of its own label
    first; a gold span without a partner is missed, a predicted one invented.
    """
    gold, pred = as_written(gold, schema), as_written(pred, schema)
    found: list[Mistake] = []
    for task, labels in (("entities", schema.entities), ("modifiers", schema.modifiers)):
        found += _of_spans(task, spans_of(gold, labels), spans_of(pred, labels))
    wanted, given = links_of(gold, schema), links_of(pred, schema)
    right = gold.spans & pred.spans
    for link in sorted(wanted - given):
        kind: Kind = "missed link" if set(link) <= right else "link of a wrong span"
        found.append(Mistake(kind, "relations", gold=link))
    for link in sorted(given - wanted):
        kind = "wrong link" if set(link) <= right else "link of a wrong span"
        found.append(Mistake(kind, "relations", pred=link))
    return found


def _of_spans(task: str, gold: set[SpanKey], pred: set[SpanKey]) -> list[Mistake]:
    missed, extra = sorted(gold - pred), sorted(pred - gold)
    pairs = [
        (g[2] == p[2], min(g[1], p[1]) - max(g[0], p[0]), g, p)
        for g, near in _overlapping(missed, extra).items() for p in near
    ]
    free_gold, free_pred = set(missed), set(extra)
    found = []
    for same, _, g, p in sorted(pairs, key=lambda pair: (not pair[0], -pair[1], pair[2:])):
        if g in free_gold and p in free_pred:
            free_gold.remove(g)
            free_pred.remove(p)
            found.append(Mistake(_boundary(g, p) if same else "wrong type", task, g, p))
    found += [Mistake("missed", task, gold=g) for g in free_gold]
    found += [Mistake("invented", task, pred=p) for p in free_pred]
    return sorted(found, key=lambda mistake: (mistake.gold or mistake.pred or (), mistake.kind))


def _overlapping(gold: list[SpanKey], pred: list[SpanKey]) -> Mapping[SpanKey, list[SpanKey]]:
    """Return for each gold span the predicted ones that it overlaps; both sorted."""
    near: dict[SpanKey, list[SpanKey]] = {}
    first = 0
    longest = max((end - start for start, end, _ in pred), default=0)
    for g in gold:
        while first < len(pred) and pred[first][0] + longest <= g[0]:
            first += 1
        near[g] = [p for p in _until(pred, first, g[1]) if g[0] < p[1]]
    return near


def _until(pred: list[SpanKey], first: int, end: int) -> Iterable[SpanKey]:
    for span in pred[first:]:
        if span[0] >= end:
            return
        yield span


def _boundary(gold: SpanKey, pred: SpanKey) -> Kind:
    """Return how a span of the right label misses gold's borders.

    >>> _boundary((0, 10, "problem"), (4, 10, "problem"))
    'boundary short'
    """
    if gold[0] <= pred[0] and pred[1] <= gold[1]:
        return "boundary short"
    if pred[0] <= gold[0] and gold[1] <= pred[1]:
        return "boundary long"
    return "boundary shifted"
