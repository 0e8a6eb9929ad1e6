"""The trainable layers on top of the shared encoder, in torch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Scaled(nn.Module):
    """A layer that steps `factor` times as far as the encoder under one and the same optimizer.

    Adam moves every weight by about the learning rate; new layers want ten times that of tuned ones.
    """

    def __init__(self, layer: nn.Linear | nn.Conv1d, factor: float) -> None:
        super().__init__()
        self.layer = layer
        self.factor = factor
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.div_(factor)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.factor


def _convolve(scaled: Any, x: Tensor) -> Tensor:
    """Return a convolution over three rows, as three products of matrices: no copy, no transposition."""
    before, here, after = scaled.layer.weight.unbind(2)
    padded = functional.pad(x, (0, 0, 1, 1))
    near = functional.linear(padded[:-2], before) + functional.linear(x, here, scaled.layer.bias)
    return (near + functional.linear(padded[2:], after)) * scaled.factor


class Emissions(nn.Module):
    """Scores of all tags for every token: (tokens, width) > (tokens, tags).

    Two residual convolutions over three tokens each tell a token its neighbours, line ends among them.
    """

    def __init__(self, width: int, hidden: int, tags: int, dropout: float, rate_factor: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.reduce = Scaled(nn.Linear(width, hidden), rate_factor)
        self.convolutions = nn.ModuleList(
            Scaled(nn.Conv1d(hidden, hidden, 3, padding=1), rate_factor) for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(3))
        self.tags = Scaled(nn.Linear(hidden, tags), rate_factor)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0](self.reduce(self.dropout(x)))
        for convolution, norm in zip(self.convolutions, self.norms[1:]):
            near = functional.gelu(_convolve(convolution, x))
            x = norm(x + self.dropout(near))
        return self.tags(self.dropout(x))


class PairScores(nn.Module):
    """Scores of (head, modifier) pairs: tokens (tokens, width), pairs int (pairs, 4 + features) > (pairs,).

    The first four columns are the spans' half-open token ranges, head then modifier; each of the
    rest indexes a table of its own, `sizes` long.
    """

    def __init__(self, width: int, hidden: int, sizes: list[int], dropout: float, rate_factor: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.vectors = Scaled(nn.Linear(3 * width, hidden), rate_factor)
        self.tables = nn.ModuleList(nn.Embedding(size, hidden) for size in sizes)
        for weight in self.tables.parameters():
            nn.init.normal_(weight, std=0.1)
        self.norm = nn.LayerNorm(hidden)
        self.middle = Scaled(nn.Linear(hidden, hidden), rate_factor)
        self.score = Scaled(nn.Linear(hidden, 1), rate_factor)
        self.rate_factor = rate_factor

    def forward(self, tokens: Tensor, pairs: Tensor) -> Tensor:
        parts = zip(self.vectors.layer.weight.chunk(3, 1), (pairs[:, :2], pairs[:, 2:4], _between(pairs)))
        x = tokens.new_zeros(())
        for weight, ranges in parts:  # each span is averaged once, however many pairs it stands in
            spans, place = torch.unique(ranges[:, 0] * (len(tokens) + 1) + ranges[:, 1], return_inverse=True)
            mean = _means(tokens, spans // (len(tokens) + 1), spans % (len(tokens) + 1))
            x = x + functional.linear(self.dropout(mean), weight)[place]
        x = (x + self.vectors.layer.bias) * self.rate_factor  # type: ignore[operator]
        weights = [table.weight for table in self.tables if isinstance(table, nn.Embedding)]
        firsts = torch.tensor([0, *map(len, weights)], device=pairs.device).cumsum(0)[:-1]
        rows, tables = pairs[:, 4:] + firsts, torch.cat(weights)
        x = x + functional.embedding_bag(rows, tables, mode="sum") * self.rate_factor
        x = functional.gelu(self.norm(x))
        x = x + functional.gelu(self.middle(self.dropout(x)))
        return self.score(self.dropout(x))[:, 0]


def _means(rows: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Return the means of the rows from start to end, half-open; 0 of no rows."""
    sizes = end - start
    offsets = sizes.cumsum(0) - sizes
    index = torch.arange(int(sizes.sum()), device=rows.device) + torch.repeat_interleave(start - offsets, sizes)
    return functional.embedding_bag(index, rows, offsets, mode="mean")


def _between(pairs: Tensor) -> Tensor:
    """Return the half-open token ranges that lie between the two spans of each pair; empty where they touch."""
    head_start, head_end, start, end = pairs[:, :4].T
    left, right = torch.minimum(head_end, end), torch.maximum(head_start, start)
    return torch.stack([torch.minimum(left, right), right], 1)
