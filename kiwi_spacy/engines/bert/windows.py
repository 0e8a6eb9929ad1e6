"""The shared encoder: spacy-transformers' model over windows that hold every word piece of a note."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy
import torch
from spacy import registry
from spacy.tokens import Doc, Span
from spacy_transformers.data_classes import FullTransformerBatch, TransformerData, WordpieceBatch
from spacy_transformers.layers import TransformerModel
from thinc.api import Model, torch2xp
from thinc.types import Ragged
from transformers.utils import ModelOutput

from ...contract.windows import fill_windows
from ..workers import ForkGuard
from .backbones import backbone_path
from .compat import encoder_shim, guard_encoder, rest, torch_module, wrap_forward
from .pieces import Pieces
from .tokens import MOST, marks, orths

# Windows a pass of the encoder when predicting. On a CPU one: sums of a padded row depend on how long its neighbours are
# (2.4e-6 in the states, 6e-5 in scores), and a note has the same facts alone and in company. It costs a tenth of a pass.
ROWS, ROWS_OF_GPU = 1, 8


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
        self._encoder_pieces: Pieces | None = None
        self._fork = ForkGuard()

    @property
    def _tokenizer(self) -> Any:
        return self.model.tokenizer if self.model is not None else None  # type: ignore[attr-defined]

    @property
    def pieces(self) -> Pieces:
        """What turns windows into word pieces, by the encoder's tokenizer."""
        tokenizer = self._tokenizer
        if self._encoder_pieces is None or self._encoder_pieces.tokenizer is not tokenizer:
            self._encoder_pieces = Pieces(tokenizer)
        return self._encoder_pieces

    def count(self, doc: Doc) -> list[int]:
        """Return the number of word pieces of each token."""
        words = orths(doc)
        if len(self._pieces) > MOST:
            self._pieces = {}  # a new one: another thread may be reading the old
        known = self._pieces
        new = list(set(words).difference(known))
        if new:
            texts = [doc.vocab.strings[word] for word in new]
            coded = texts if self._tokenizer is None else self.pieces.ids(texts)
            known.update(zip(new, map(len, coded)))
        return [known[word] for word in words]

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
        line_ends, stops = marks(doc)
        starts = fill_windows(counts, target, ends=[(line_ends | stops).tolist()])
        return [doc[start:end] for start, end in zip(starts, [*starts[1:], len(doc)])]


def _forward(windows: Windows, stock: Callable[..., Any], model: Model, docs: list[Doc], is_train: bool) -> Any:
    """Encode as spacy-transformers does, but when predicting find the pieces a word at a time and compute no padding."""
    if is_train or not Pieces.fit(model.tokenizer):  # type: ignore[attr-defined]
        with windows.pieces.lock:  # two threads in one tokenizer fail
            return stock(model, docs, is_train)
    nested = windows(docs)
    batch, align = windows.pieces.encode([window for spans in nested for window in spans])
    hidden = torch2xp(_encode(encoder_shim(model), batch))
    data, row, token, longest = [], 0, 0, batch.input_ids.shape[1]
    borders = numpy.cumsum([0, *align.lengths])
    for doc, spans in zip(docs, nested):
        if not spans:
            data.append(TransformerData.empty())
            continue
        rows, tokens = slice(row, row + len(spans)), slice(token, token + len(doc))
        own = align.dataXd[borders[tokens.start] : borders[tokens.stop]] - row * longest
        states = ModelOutput(last_hidden_state=hidden[rows])
        data.append(TransformerData(batch[rows], states, Ragged(own, align.lengths[tokens])))
        row, token = rows.stop, tokens.stop
    output = ModelOutput(last_hidden_state=hidden)
    return FullTransformerBatch(nested, batch, output, align, cached_doc_data=data), lambda d_output: docs


def _encode(shim: Any, batch: WordpieceBatch) -> torch.Tensor:
    """Return the states (rows, longest, width); rows of like length are computed together on a GPU, each alone on a CPU."""
    encoder, device = torch_module(shim), shim.device
    together = ROWS if device.type == "cpu" else ROWS_OF_GPU
    lengths = numpy.array(batch.lengths)
    order = lengths.argsort(kind="stable")
    inputs: dict[str, Any] = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    if batch.token_type_ids is not None:
        inputs["token_type_ids"] = batch.token_type_ids
    hidden = torch.zeros(*batch.input_ids.shape, encoder.config.hidden_size, device=device)
    for first in range(0, len(order), together):
        rows = order[first : first + together]
        longest = int(lengths[rows].max())
        part = {name: torch.as_tensor(table[rows, :longest], device=device) for name, table in inputs.items()}
        with shim.lock, torch.no_grad():
            rest(encoder)
            states = encoder(**part).last_hidden_state.float()
        hidden[torch.as_tensor(rows, device=device), :longest] = states
    return hidden


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
    guard_encoder(model)
    model.init = partial(_init, model.init)
    wrap_forward(model, partial(_forward, windows))
    return model
