"""The shared encoder: spacy-transformers' model over windows that hold every word piece of a note."""

from collections.abc import Callable
from functools import partial
from typing import Any

from spacy import registry
from spacy.tokens import Doc, Span
from spacy_transformers.layers import TransformerModel
from thinc.api import Model

from .backbones import backbone_path


class Windows:
    """Cut Docs into windows that meet without overlap, at line or sentence ends where one is near.

    Lengths are counted with the encoder's own tokenizer, so nothing is cut off at its limit
    (a single token of more pieces than a window holds keeps its first ones).
    """

    def __init__(self, max_pieces: int) -> None:
        self.max_pieces = max_pieces
        self.model: Model | None = None
        self._pieces: dict[int, int] = {}

    def count(self, doc: Doc) -> list[int]:
        """Return the number of word pieces of each token."""
        tokenizer = self.model.tokenizer if self.model is not None else None  # type: ignore[attr-defined]
        counts = []
        for token in doc:
            pieces = self._pieces.get(token.orth)
            if pieces is None:
                pieces = len(tokenizer.tokenize(token.text)) if tokenizer is not None else len(token.text)
                if len(self._pieces) > 200_000:  # bound the memory of a run over millions of notes
                    self._pieces.clear()
                self._pieces[token.orth] = pieces
            counts.append(pieces)
        return counts

    def __call__(self, docs: list[Doc]) -> list[list[Span]]:
        """Return each Doc's windows, in order; together they hold all its tokens."""
        return [self.cut(doc) for doc in docs]

    def cut(self, doc: Doc) -> list[Span]:
        """Return one Doc's windows, of about equal length and at most `max_pieces` pieces."""
        counts = self.count(doc)
        total = sum(counts)
        number = -(-total // self.max_pieces)
        target = self.max_pieces if number <= 1 else min(self.max_pieces, int(total / number * 1.1) + 1)
        spans, start, size, border = [], 0, 0, 0
        for i, pieces in enumerate(counts):
            if size + pieces > target and i > start:
                end = border if border > start and sum(counts[start:border]) > target // 2 else i
                spans.append(doc[start:end])
                start, size = end, sum(counts[end:i])
            size += pieces
            text = doc[i].text
            if "\n" in text or text in ".!?":
                border = i + 1
        if start < len(doc):
            spans.append(doc[start : len(doc)])
        return spans


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
    return model
