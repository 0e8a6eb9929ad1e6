"""`kiwi_entities` and `kiwi_modifiers`: spans by a conditional random field over the shared encoder."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import numpy
import torch
from spacy import registry
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Model, with_array
from thinc.types import Floats2d

from ...contract import count_problem, get_modifiers, set_modifiers, set_scores
from ...schema import Schema
from . import crf
from .compat import torch_layer
from .component import Head, as_tensor, on_tokens, project_span
from .layers import Emissions
from .tokens import marks

Found = list[tuple[int, int, int, float]]  # start token, end token, label index, probability


@registry.architectures("kiwi.SpanTagger.v1")
def create_tagger_model(
    tok2vec: Model[list[Doc], list[Floats2d]], hidden: int, dropout: float, rate_factor: float
) -> Model[list[Doc], list[Floats2d]]:
    """Build the model of a span tagger: Docs > per Doc (tokens, tags) scores.

    hidden (int): Width of the convolutions. rate_factor (float): How many times the learning
    rate of the encoder the new layers take.
    """
    return on_tokens(tok2vec, "kiwi_tagger", hidden=hidden, dropout=dropout, rate_factor=rate_factor)


def _forward(model: Model, docs: list[Doc], is_train: bool) -> tuple[list[Floats2d], Callable]:
    vectors, backprop_vectors = model.layers[0](docs, is_train)
    if not is_train:  # each Doc alone: sums depend on how many rows are computed together
        empty = model.ops.alloc2f(0, 1)  # an empty Doc's vectors have no width
        return [model.layers[1].predict([each])[0] if len(each) else empty for each in vectors], lambda d_scores: docs
    scores, backprop_scores = model.layers[1](vectors, is_train)
    return scores, lambda d_scores: backprop_vectors(backprop_scores(d_scores))


class SpanTagger(Head):
    """Sets `doc.ents` or `doc.spans["modifiers"]`, with a probability for every span.

    Notes are decoded line by line, lines over `max_chunk` tokens in pieces that end at a full stop.
    """

    def __init__(
        self, vocab: Vocab, model: Model, name: str, *, kind: Literal["entities", "modifiers"], max_chunk: int,
        loss: Literal["crf", "softmax"], schema: str | None, scorer: Callable | None, thresholds: Mapping[str, float],
    ) -> None:
        super().__init__(vocab, model, name, schema, scorer, thresholds)
        self.kind = kind
        self.max_chunk = max_chunk
        self.loss = loss

    def own_labels(self, schema: Schema) -> Iterable[str]:
        return schema.entities if self.kind == "entities" else schema.modifiers

    def build(self, width: int) -> None:
        attrs = self.model.attrs
        tags = crf.tag_count(len(self.labels))
        layer = Emissions(width, attrs["hidden"], tags, attrs["dropout"], attrs["rate_factor"])
        self.set_head(with_array(torch_layer(layer), pad=2), _forward)

    def chunks(self, doc: Doc) -> list[tuple[int, int]]:
        """Return the token ranges that are decoded as one sequence each; no span crosses their ends."""
        line_ends, stops = marks(doc)
        ranges, start, stop = [], 0, 0
        for i, (line_end, full_stop) in enumerate(zip(line_ends.tolist(), stops.tolist())):
            if line_end:
                ranges.append((start, i + 1))
                start = stop = i + 1
            elif full_stop:
                stop = i + 1
            if i + 1 - start >= self.max_chunk:
                end = stop if stop > start else i + 1
                ranges.append((start, end))
                start = stop = end
        ranges.append((start, len(doc)))
        return [(a, b) for a, b in ranges if a < b]

    def _rows(self, docs: list[Doc]) -> list[tuple[int, int, int]]:
        """Return the sequences of all Docs: (Doc's index, start token, end token)."""
        return [(d, a, b) for d, doc in enumerate(docs) for a, b in self.chunks(doc)]

    def _pad(self, rows: list[tuple[int, int, int]], scores: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sequences' scores (rows, longest, tags) and the mask of their tokens (rows, longest)."""
        padded = torch.nn.utils.rnn.pad_sequence([scores[d][a:b] for d, a, b in rows], batch_first=True)
        sizes = torch.tensor([b - a for _, a, b in rows])
        return padded, torch.arange(padded.shape[1]) < sizes[:, None]

    def predict(self, docs: Iterable[Doc]) -> list[Found]:
        """Return each Doc's spans as (start token, end token, label index, probability)."""
        docs = list(docs)
        found: list[Found] = [[] for _ in docs]
        if not any(len(doc) for doc in docs):
            return found
        # Sums over a line in single precision would round at 6e-5, and otherwise in other company.
        scores = [as_tensor(s).double() for s in self.model.predict(docs)]
        rows = sorted(self._rows(docs), key=lambda row: row[2] - row[1])
        with torch.no_grad():
            for first in range(0, len(rows), 512):  # rows of like length together: little padding
                batch = rows[first : first + 512]
                for (d, start, _), spans in zip(batch, crf.decode(*self._pad(batch, scores))):
                    found[d] += [(start + a, start + b, label, p) for a, b, label, p in spans]
        return [sorted(spans) for spans in found]

    def set_annotations(self, docs: Iterable[Doc], scores: list[Found]) -> None:  # type: ignore[override]
        """Write the spans that reach their label's threshold, and their probabilities, into the Docs."""
        labels = self.labels
        for doc, found in zip(docs, scores):
            spans = []
            for start, end, label, p in found:
                while start < end and doc[start].is_space:
                    start += 1
                while start < end and doc[end - 1].is_space:
                    end -= 1
                if start < end and p >= self.thresholds.get(labels[label], 0.0):
                    spans.append((Span(doc, start, end, label=labels[label]), p))
            if self.kind == "entities":
                doc.set_ents([span for span, _ in spans])
            else:
                set_modifiers(doc, [span for span, _ in spans])
            set_scores(doc, spans)

    def gold(self, example: Example) -> list[tuple[int, int, int]]:
        """Return the reference's spans on the predicted Doc's tokens; of two that overlap, the longer."""
        reference, doc = example.reference, example.predicted
        index = {label: i for i, label in enumerate(self.labels)}
        spans = reference.ents if self.kind == "entities" else get_modifiers(reference)
        kept: list[tuple[int, int, int]] = []
        taken = numpy.zeros(len(doc), dtype=bool)
        for span in sorted(spans, key=lambda s: s.start_char - s.end_char):
            place = project_span(doc, span.start_char, span.end_char)
            if span.label_ not in index or place is None or taken[place[0] : place[1]].any():
                count_problem(reference, "gold span not taught")
                continue
            taken[place[0] : place[1]] = True
            kept.append((*place, index[span.label_]))
        return kept

    def get_loss(self, examples: Iterable[Example], scores: list[Floats2d]) -> tuple[float, list[Floats2d]]:  # type: ignore[override]
        """Return the negative log likelihood a token and its gradient, (tokens, tags) a Doc."""
        examples = list(examples)
        docs = [eg.predicted for eg in examples]
        rows = self._rows(docs)
        padded, mask = self._pad(rows, [as_tensor(s) for s in scores])
        tags = [crf.span_tags(self.gold(eg), len(eg.predicted), len(self.labels)) for eg in examples]
        gold = torch.zeros(mask.shape, dtype=torch.long)
        n = len(self.labels)
        for r, (d, a, b) in enumerate(rows):
            row = tags[d][a:b]
            row = whole_spans(row, n)  # one that a row's end cuts is not taught on either side
            gold[r, : b - a] = torch.tensor(row)
        padded.requires_grad_()
        if self.loss == "crf":
            loss = -crf.log_likelihood(padded, mask, gold).sum() / mask.sum()
        else:
            loss = torch.nn.functional.cross_entropy(padded[mask], gold[mask])
        loss.backward()
        gradient = [numpy.zeros(s.shape, dtype="f") for s in scores]
        for r, (d, a, b) in enumerate(rows):
            gradient[d][a:b] = padded.grad[r, : b - a].numpy()  # type: ignore[index]
        ops = self.model.ops
        return float(loss.detach()), [ops.asarray2f(g) for g in gradient]  # type: ignore[arg-type]

    def learn(self, examples: list[Example]) -> float:
        docs = [eg.predicted for eg in examples]
        if not any(len(doc) for doc in docs):
            self.skip_update(docs)
            return 0.0
        scores, backprop = self.model.begin_update(docs)
        loss, d_scores = self.get_loss(examples, scores)
        backprop(d_scores)
        return loss


def whole_spans(row: list[int], n: int) -> list[int]:
    """Return the tags without the spans that begin before the row or end after it.

    >>> whole_spans([3, 4, 0, 1, 2, 3], 1)
    [0, 0, 0, 1, 0, 0]
    """
    row = list(row)
    i = 0
    while i < len(row) and row[i] > 2 * n:  # I or E without its B
        row[i], ended = 0, row[i] > 3 * n
        i += 1
        if ended:
            break
    i = len(row) - 1
    while i >= 0 and n < row[i] <= 3 * n:  # B or I without its E
        row[i], began = 0, row[i] <= 2 * n
        i -= 1
        if began:
            break
    return row
