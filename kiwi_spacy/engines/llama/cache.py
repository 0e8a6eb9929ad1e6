"""Keys and values of many windows in one block of memory, and the attention over them."""

from collections.abc import Sequence
from copy import copy
from math import prod
from mmap import mmap
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ATTENTION = "kiwi_grouped"


def grouped_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float | None = None,
    dropout: float = 0.0, **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend with fewer key heads than query heads, without a copy of the keys for each query head.

    query (rows, heads, new, size); key, value (rows, key heads, width, size); attention_mask, additive, (rows, 1, new, width),
    or repeated as here, once for all layers: (rows, 1, heads a key head * new, width).
    """
    rows, heads, new, size = query.shape
    groups = heads // key.shape[1]
    folded = query.reshape(rows, key.shape[1], groups * new, size)
    mask = attention_mask
    if mask is None and new > 1:
        width = key.shape[2]
        sees = torch.ones(new, width, dtype=torch.bool, device=query.device).tril(width - new)
        mask = torch.zeros(1, 1, new, width, dtype=query.dtype, device=query.device).masked_fill(~sees, float("-inf"))
    if mask is not None:
        mask = mask[:, :, :, : key.shape[2]]
        if mask.shape[2] != groups * new:
            mask = mask.repeat(1, 1, groups, 1)
    out = F.scaled_dot_product_attention(folded, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling)
    return out.reshape(rows, heads, new, size).transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, grouped_attention)


class RowCache(Cache):
    """Keys and values of rows of unlike length: each row writes at places of its own and overwrites what it takes back."""

    def __init__(self, model: Any, tokens: int) -> None:
        """Have room for the keys and values of so many tokens of a model; `reshape` says how many of them a row has."""
        super().__init__()
        config = model.config
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.shape = (config.num_key_value_heads, size)
        self.rows = self.row_width = 0
        # Of each layer's keys, then of its values: all memory, (tokens, heads, size), and the same as rows of one width.
        # One by one, so that more room takes the memory of two of them for a moment, and not of all twice.
        self.blocks = [_zeros((tokens, *self.shape), model.dtype, model.device) for _ in range(2 * config.num_hidden_layers)]
        self.stores: list[Tensor] = []
        self.at = torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, 1, dtype=torch.long)  # rows and places of a pass
        self.width = 0  # columns that a pass sees

    def begin(self, places: Tensor) -> Tensor:
        """Say where the next pass writes, int (rows, new tokens); return its mask, bool (rows, 1, new tokens, width)."""
        self.at = torch.arange(len(places), device=places.device)[:, None], places
        self.width = int(places.max()) + 1
        if self.width > self.row_width:
            self.reshape(self.rows, self.width + 128)
        return torch.arange(self.width, device=places.device)[None, None, None] <= places[:, None, :, None]

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, cache_kwargs: dict[str, Any] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Write (rows, heads, new tokens, size) of one layer; return all that it holds, up to the width of the pass."""
        held = []
        for store, new in zip(self.stores[2 * layer_idx :], (key_states, value_states)):
            store[self.at] = new.transpose(1, 2)
            held.append(store[: len(new), : self.width].transpose(1, 2))
        return held[0], held[1]

    def reshape(self, rows: int, width: int) -> None:
        """Hold other numbers of rows and of tokens a row; what fits into them stays."""
        old, (kept_rows, kept) = self.stores, (min(rows, self.rows), min(width, self.row_width))
        # Within one block each row moves before another takes its place.
        order = range(kept_rows) if width < self.row_width else range(kept_rows)[::-1]
        self.stores = []
        for i, block in enumerate(self.blocks):
            if rows * width > len(block):
                block = self.blocks[i] = _zeros((rows * width, *self.shape), block.dtype, block.device)
            self.stores.append(block[: rows * width].unflatten(0, (rows, width)))
            for row in order if kept else ():
                self.stores[i][row, :kept] = old[i][row, :kept].clone()
            if kept:
                old[i] = block  # the last view of memory that was too little
        self.rows, self.row_width = rows, width

    def part(self, start: int, count: int, common: "RowCache") -> "RowCache":
        """Return a cache that is some rows of this one, as wide, each of which begins as the only row of another."""
        made = copy(self)
        made.rows, made.blocks = count, []
        made.stores = [store[start : start + count] for store in self.stores]
        for store, first in zip(made.stores, common.stores):
            store[:, : common.width] = first[:, : common.width]
        return made

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Drop all other rows; return where each that is left was. The last ones take the places of those dropped."""
        kept = set(rows)
        holes = [place for place in range(len(rows)) if place not in kept]
        movers = [row for row in rows if row >= len(rows)]
        order = list(range(len(rows)))
        for hole, mover in zip(holes, movers):
            order[hole] = mover
            for store in self.stores:
                store[hole] = store[mover]
        return order

    def get_seq_length(self, layer_idx: int | None = 0) -> int:
        return self.width

    def get_max_cache_shape(self) -> int | None:
        return None


def _zeros(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return zeros; on a CPU in memory of their own, which is given back whole, whatever the C library keeps of the rest."""
    size = prod(shape) * dtype.itemsize
    if device.type != "cpu" or not size:
        return torch.zeros(tuple(shape), dtype=dtype, device=device)
    return torch.frombuffer(mmap(-1, size), dtype=dtype).view(tuple(shape))
