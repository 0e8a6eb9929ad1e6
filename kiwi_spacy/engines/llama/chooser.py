"""The choice among the tokens that an answer may say next, by a model's last states."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Chooser:
    """Decides among allowed tokens by a model's last states; only the rows of its head that can matter are computed."""

    def __init__(self, head: Any, tokens: Sequence[int], bias: Mapping[int, float]) -> None:
        """Build a chooser.

        head: The output layer, with `weight` (vocabulary, width) and perhaps `bias`.
        tokens (Sequence[int]): Every token that is not of a source: those of the tags, and the end.
        bias (Mapping): token > what is added to its logit.
        """
        self.weight, self.offset = head.weight, getattr(head, "bias", None)
        self.column = {token: i for i, token in enumerate(tokens)}
        self.index = torch.tensor(list(tokens), device=self.weight.device)
        self.rows = self.weight[self.index]
        self.bias = np.array([bias.get(token, 0.0) for token in tokens])
        self.own_bias = dict(bias)
        self.columns: dict[tuple[int, ...], np.ndarray] = {}

    def logits(self, states: Tensor, own: Sequence[int]) -> np.ndarray:
        """Return float64 (places, tokens + 1): logits of the tags' tokens and, last, of each place's own source token."""
        ids = torch.tensor(list(own), device=states.device)
        tags = states @ self.rows.T
        source = (states * self.weight[ids]).sum(1, keepdim=True)
        if self.offset is not None:
            tags, source = tags + self.offset[self.index], source + self.offset[ids][:, None]
        made = torch.cat([tags, source], 1).double().cpu().numpy()
        made[:, :-1] += self.bias
        if self.own_bias:
            made[:, -1] += [self.own_bias.get(token, 0.0) for token in own]
        return made

    def choose(self, logits: np.ndarray, allowed: Sequence[int], own: int) -> tuple[int, float]:
        """Return the best of the allowed tokens, the first of equals, and its probability among them."""
        if len(allowed) == 1:
            return allowed[0], 1.0
        first = allowed[0] == own
        rest = tuple(allowed[1:] if first else allowed)
        columns = self.columns.get(rest)
        if columns is None:
            columns = self.columns[rest] = np.array([self.column[token] for token in rest])
        scores = logits[columns]
        best = int(scores.argmax())
        top = float(scores[best])
        if first:
            source = float(logits[-1])
            most = max(top, source)
            total = float(np.exp(scores - most).sum()) + float(np.exp(source - most))
            if source >= top:
                return own, float(np.exp(source - most)) / total
            return rest[best], float(np.exp(top - most)) / total
        return rest[best], 1.0 / float(np.exp(scores - top).sum())
