"""Errors by kind: what a system got wrong about one note, against gold."""

from dataclasses import dataclass
from typing import Literal

from ...contract import SpanKey
from ...schema import Schema
from ...scoring import Annotations, Link, as_written, links_of, spans_of
from ..pairing import pair_overlapping

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
    missed, extra = gold - pred, pred - gold
    pairs = pair_overlapping(missed, extra, lambda g, p: 0 if g[2] == p[2] else 1)
    found = [Mistake(_boundary(g, p) if g[2] == p[2] else "wrong type", task, g, p) for g, p in pairs]
    found += [Mistake("missed", task, gold=g) for g in missed - {g for g, _ in pairs}]
    found += [Mistake("invented", task, pred=p) for p in extra - {p for _, p in pairs}]
    return sorted(found, key=lambda mistake: (mistake.gold or mistake.pred or (), mistake.kind))


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
