"""`kiwi_relations`: scores every legal pair of entity and modifier within reach."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy
import torch
from spacy import registry
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import ArgsKwargs, Model, torch2xp, xp2torch
from thinc.types import Floats1d, Floats2d

from ...contract import get_modifiers, get_relations, set_relations, span_key
from ...schema import Schema
from .compat import torch_layer
from .component import Head, as_tensor, on_tokens, project_span
from .layers import PairScores
from .tokens import marks

Place = tuple[int, int, str]  # start token, end token, label
Pairs = numpy.ndarray  # int64 (pairs, 4 + features); see `candidates`

# Largest value of each counted feature, plus one: place, distance, heads passed, line ends,
# full stops, other modifiers passed, rank of the head by distance.
_COUNTED = [5, 12, 7, 3, 3, 6, 7]


@registry.architectures("kiwi.LinkScorer.v1")
def create_link_model(
    tok2vec: Model[list[Doc], list[Floats2d]], hidden: int, dropout: float, rate_factor: float
) -> Model[tuple[list[Doc], list[Pairs]], Floats1d]:
    """Build the model of the link scorer: (Docs, pairs of each) > a score a pair, all Docs in one row."""
    return on_tokens(tok2vec, "kiwi_links", hidden=hidden, dropout=dropout, rate_factor=rate_factor)


def _forward(model: Model, X: tuple[list[Doc], list[Pairs]], is_train: bool) -> tuple[Floats1d, Callable]:
    docs, pairs = X
    vectors, backprop_vectors = model.layers[0](docs, is_train)
    if not is_train:  # each Doc alone: sums depend on how many rows are computed together
        found = [model.layers[1].predict((each, rows)) for each, rows in zip(vectors, pairs) if len(rows)]
        return model.ops.xp.concatenate(found), lambda d_scores: docs
    sizes = [len(v) for v in vectors]
    offsets = numpy.cumsum([0, *sizes])
    moved = []
    for offset, rows in zip(offsets, pairs):
        rows = rows.copy()
        rows[:, :4] += offset
        moved.append(rows)
    flat = model.ops.xp.concatenate([v for v in vectors if len(v)])  # an empty Doc's vectors have no width
    scores, backprop = model.layers[1]((flat, numpy.concatenate(moved)), is_train)

    def backward(d_scores: Floats1d) -> Any:
        d_flat = backprop(d_scores)
        return backprop_vectors([d_flat[a:b] for a, b in zip(offsets, offsets[1:])])

    return scores, backward


def _convert_inputs(model: Model, X: tuple[Floats2d, Pairs], is_train: bool) -> tuple[ArgsKwargs, Callable]:
    flat = xp2torch(X[0], requires_grad=is_train)
    pairs = torch.as_tensor(X[1]).to(flat.device)
    return ArgsKwargs(args=(flat, pairs), kwargs={}), lambda d: torch2xp(d.args[0])


class LinkScorer(Head):
    """Sets `doc._.relations` from `doc.ents` and `doc.spans["modifiers"]`."""

    def __init__(
        self, vocab: Vocab, model: Model, name: str, *, max_distance: int, threshold: float, schema: str | None,
        scorer: Callable | None, thresholds: Mapping[str, float],
    ) -> None:
        super().__init__(vocab, model, name, schema, scorer, thresholds)
        self.max_distance = max_distance
        self.threshold = threshold

    def own_labels(self, schema: Schema) -> Iterable[str]:
        return schema.modifiers

    def build(self, width: int) -> None:
        attrs = self.model.attrs
        sizes = [len(self.schema.entities), len(self.schema.modifiers), *_COUNTED]
        layer = PairScores(width, attrs["hidden"], sizes, attrs["dropout"], attrs["rate_factor"])
        self.set_head(torch_layer(layer, _convert_inputs), _forward)

    def candidates(self, doc: Doc, heads: list[Place], modifiers: list[Place]) -> tuple[Pairs, list[tuple[int, int]]]:
        """Return the legal pairs within `max_distance` tokens: their features and (head, modifier) indices.

        Columns: head start, end, modifier start, end (tokens, half-open), then the types and what is
        counted: where the modifier stands, log distance, heads of the right type passed, line ends,
        full stops and modifiers passed, rank of the head by its distance.
        """
        rows, index = [numpy.zeros((0, 6 + len(_COUNTED)), dtype="int64")], []
        kinds, types = list(self.schema.entities), list(self.schema.modifiers)
        head_start, head_end, head_kind = _table(heads, kinds).T
        table = _table(modifiers, types)
        legal = numpy.array([[self.schema.allows(kind, type_) for kind in kinds] for type_ in types])
        line_ends, stops = ((_so_far(numpy.flatnonzero(mark), len(doc))) for mark in marks(doc))
        starts = _so_far(table[:, 0], len(doc))
        head_starts = numpy.stack([_so_far(head_start[head_kind == kind], len(doc)) for kind in range(len(kinds))])
        together = max(1, 2**18 // max(1, len(heads)))  # bounds the table of all pairs in a very long note
        for first in range(0, len(table), together):
            start, end, type_ = table[first : first + together].T
            gap = numpy.maximum(numpy.maximum(start[:, None] - head_end, head_start - end[:, None]), -1)
            allowed = legal[type_][:, head_kind]
            order = numpy.where(allowed, gap, len(doc) + 1).argsort(axis=1, kind="stable")
            m, h = numpy.nonzero(allowed & (gap < self.max_distance))
            rank, gap = order.argsort(axis=1)[m, h], gap[m, h]
            start, end, type_ = start[m], end[m], type_[m]
            after = head_end[h] <= start  # the modifier comes after the head
            left, right = numpy.where(after, head_end[h], end), numpy.where(after, start, head_start[h])
            right = numpy.maximum(left, right)
            within = (head_start[h] <= start) & (end <= head_end[h])
            counted = [
                numpy.where(within, 0, numpy.where(gap < 0, 1, numpy.where(after, 2, 3))),
                numpy.where(gap < 0, 0, (2 * numpy.log2(numpy.maximum(gap, 0) + 1)).astype("int64") + 1),
                ((head_starts[:, right] - head_starts[:, left]) * legal[type_].T).sum(0),
                *(places[right] - places[left] for places in (line_ends, stops, starts)),
                rank,
            ]
            counted = [numpy.minimum(value, size - 1) for value, size in zip(counted, _COUNTED)]
            rows.append(numpy.stack([head_start[h], head_end[h], start, end, head_kind[h], type_, *counted], 1))
            index += list(zip(h.tolist(), (m + first).tolist()))
        return numpy.concatenate(rows).astype("int64"), index

    def predict(self, docs: Iterable[Doc]) -> list[list[tuple[int, int, float]]]:
        """Return each Doc's links: (index in doc.ents, index in doc.spans["modifiers"], probability)."""
        docs = list(docs)
        made = [
            self.candidates(doc, _places(doc.ents), _places(get_modifiers(doc))) if len(doc) else
            self.candidates(doc, [], [])
            for doc in docs
        ]
        if not sum(len(index) for _, index in made):
            return [[] for _ in docs]
        scores = as_tensor(self.model.predict((docs, [rows for rows, _ in made]))).double().sigmoid().tolist()
        results, first = [], 0
        for _, index in made:
            scored = [(h, m, p) for (h, m), p in zip(index, scores[first : first + len(index)])]
            first += len(index)
            results.append([link for link in scored if link[2] >= self.threshold])
        return results

    def set_annotations(self, docs: Iterable[Doc], scores: list[list[tuple[int, int, float]]]) -> None:  # type: ignore[override]
        """Write the links into the Docs, but those below the threshold of their modifier's label."""
        for doc, links in zip(docs, scores):
            ents, modifiers = doc.ents, get_modifiers(doc)
            kept = [(h, m, p) for h, m, p in links if p >= self.thresholds.get(modifiers[m].label_, 0.0)]
            set_relations(doc, [(ents[h], modifiers[m], p) for h, m, p in kept], self.schema)

    def gold(self, example: Example) -> tuple[Pairs, numpy.ndarray]:
        """Return the candidates among the reference's own spans and 1.0 where they are linked."""
        reference, doc = example.reference, example.predicted
        heads, head_keys = _projected(doc, reference.ents)
        modifiers, modifier_keys = _projected(doc, get_modifiers(reference))
        rows, index = self.candidates(doc, heads, modifiers)
        linked = {(span_key(r.head), span_key(r.modifier)) for r in get_relations(reference)}
        truth = [float((head_keys[h], modifier_keys[m]) in linked) for h, m in index]
        return rows, numpy.array(truth, dtype="f")

    def get_loss(self, truth: numpy.ndarray, scores: Floats1d, tokens: int) -> tuple[float, Floats1d]:  # type: ignore[override]
        """Return the binary cross entropy a token and its gradient, (pairs,)."""
        logits = as_tensor(scores).clone().requires_grad_()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.as_tensor(truth), reduction="sum")
        loss = loss / tokens
        loss.backward()
        return float(loss.detach()), self.model.ops.asarray1f(logits.grad.numpy())  # type: ignore

    def learn(self, examples: list[Example]) -> float:
        docs = [eg.predicted for eg in examples]
        gold = [self.gold(eg) for eg in examples]
        truth = numpy.concatenate([t for _, t in gold])
        if not len(truth):
            self.skip_update(docs)
            return 0.0
        scores, backprop = self.model.begin_update((docs, [rows for rows, _ in gold]))
        loss, d_scores = self.get_loss(truth, scores, sum(len(doc) for doc in docs))
        backprop(d_scores)
        return loss


def _table(places: list[Place], labels: list[str]) -> numpy.ndarray:
    """Return int64 (places, 3): start token, end token, index of the label."""
    table = [(start, end, labels.index(label)) for start, end, label in places]
    return numpy.array(table, dtype="int64").reshape(len(table), 3)


def _so_far(places: numpy.ndarray, length: int) -> numpy.ndarray:
    """Return int64 (length + 1): how many of the places, token indices, lie before each token."""
    return numpy.concatenate([[0], numpy.bincount(places, minlength=length).cumsum()])


def _places(spans: Iterable[Span]) -> list[Place]:
    return [(span.start, span.end, span.label_) for span in spans]


def _projected(doc: Doc, spans: Iterable[Span]) -> tuple[list[Place], list[tuple[int, int, str]]]:
    places, keys = [], []
    for span in spans:
        place = project_span(doc, span.start_char, span.end_char)
        if place is not None:
            places.append((*place, span.label_))
            keys.append(span_key(span))
    return places, keys
