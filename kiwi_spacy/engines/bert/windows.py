"""The shared encoder: spacy-transformers' model over windows that hold every word piece of a note."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from spacy import registry
from spacy.tokens import Doc, Span
from spacy_transformers.data_classes import WordpieceBatch
from spacy_transformers.layers import TransformerModel
from thinc.api import Model
from transformers.utils import ModelOutput

from ..workers import ForkGuard
from .backbones import backbone_path
from .tokens import marks, orths

ROWS = 8  # windows a pass of the encoder when predicting; fastest of 4 to 32 on two cores


class Windows:
    """Cut Docs into windows that meet without overlap, at line or sentence ends where one is near.

    Lengths are counted with the encoder's own tokenizer, so nothing is cut off at its limit
    (a single token of more pieces than a window holds keeps its first ones).
    """

    def __init__(self, max_pieces: int) -> None:
        self.max_pieces = max_pieces
        self.model: Model | None = None
        self.windows_read = 0
        self._pieces: dict[int, int] = {}
        self._fork = ForkGuard()

    def count(self, doc: Doc) -> list[int]:
        """Return the number of word pieces of each token."""
        tokenizer = self.model.tokenizer if self.model is not None else None  # type: ignore[attr-defined]
        strings = doc.vocab.strings

        def pieces_of(orth: int) -> int:
            return len(tokenizer.tokenize(strings[orth])) if tokenizer is not None else len(strings[orth])

        return [self._pieces.get(orth) or self._remember(orth, pieces_of(orth)) for orth in orths(doc)]

    def _remember(self, orth: int, pieces: int) -> int:
        if len(self._pieces) > 200_000:  # bound the memory of a run over millions of notes
            self._pieces.clear()
        self._pieces[orth] = pieces
        return pieces

    def __call__(self, docs: list[Doc]) -> list[list[Span]]:
        """Return each Doc's windows, in order; together they hold all its tokens."""
        self._fork.check()  # the first layer that computes in a worker
        windows = [self.cut(doc) for doc in docs]
        self.windows_read += sum(map(len, windows))
        return windows

    def cut(self, doc: Doc) -> list[Span]:
        """Return one Doc's windows, of about equal length and at most `max_pieces` pieces."""
        counts = self.count(doc)
        total = sum(counts)
        number = -(-total // self.max_pieces)
        target = self.max_pieces if number <= 1 else min(self.max_pieces, int(total / number * 1.1) + 1)
        spans, start, size, border = [], 0, 0, 0
        line_ends, stops = marks(doc)
        ends = (line_ends | stops).tolist()
        for i, pieces in enumerate(counts):
            if size + pieces > target and i > start:
                end = border if border > start and sum(counts[start:border]) > target // 2 else i
                spans.append(doc[start:end])
                start, size = end, sum(counts[end:i])
            size += pieces
            if ends[i]:
                border = i + 1
        if start < len(doc):
            spans.append(doc[start : len(doc)])
        return spans


def _by_length(inner: Callable[..., Any], model: Model, batch: WordpieceBatch, is_train: bool) -> Any:
    """Encode windows of like length together: little of what is computed is padding."""
    if is_train or len(batch) <= ROWS:
        return inner(model, batch, is_train)
    lengths: Any = model.ops.to_numpy(batch.attention_mask).sum(axis=1).astype("int64")
    order = lengths.argsort(kind="stable")
    hidden = None
    for first in range(0, len(order), ROWS):
        rows = order[first : first + ROWS]
        longest = int(lengths[rows].max())
        types = batch.token_type_ids
        part = WordpieceBatch(
            strings=[], input_ids=batch.input_ids[rows, :longest], lengths=[],
            attention_mask=batch.attention_mask[rows, :longest],
            token_type_ids=None if types is None else types[rows, :longest],
        )
        found = inner(model, part, is_train)[0].last_hidden_state
        if hidden is None:
            hidden = found.new_zeros(*batch.input_ids.shape, found.shape[-1])
        hidden[torch.as_tensor(rows, device=found.device), :longest] = found
    return ModelOutput(last_hidden_state=hidden), lambda d_output: []


def _init(inner: Callable[..., Any], model: Model, X: Any = None, Y: Any = None) -> Any:
    if not model.attrs["has_transformer"]:
        model.attrs["name"] = backbone_path(model.attrs["name"])
    return inner(model, X=X, Y=Y)


@registry.architectures("kiwi.Transformer.v1")
def create_transformer(
    name: str, max_pieces: int, tokenizer_config: dict[str, Any], transformer_config: dict[str, Any]
) -> Model:
    """Build an encoder for the `transformer` component.

    name (str): `minilm`, or the path of a transformers directory; read at initialization alone.
    max_pieces (int): Word pieces a window, at most the encoder's positions less two.
    tokenizer_config, transformer_config (dict): Passed to tokenizer and encoder when they are built.
    """
    windows = Windows(max_pieces)
    model = TransformerModel(
        name, windows, tokenizer_config=tokenizer_config, transformer_config=transformer_config, mixed_precision=False,
        grad_scaler_config={},
    )
    windows.model = model
    model.init = partial(_init, model.init)
    model.layers[0]._func = partial(_by_length, model.layers[0]._func)
    return model
