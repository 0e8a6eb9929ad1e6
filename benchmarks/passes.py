"""The bare forward pass that the speed benchmarks compare with."""

import time
from collections.abc import Callable
from typing import Any

import torch


def forward_pass(forward: Callable[[torch.Tensor], Any], rows: list[list[int]], batch_size: int) -> float:
    """Return the seconds of one pass over all rows of tokens, sorted by length, padded with 0."""
    began = time.perf_counter()
    with torch.inference_mode():
        for first in range(0, len(rows), batch_size):
            batch = rows[first : first + batch_size]
            longest = max(map(len, batch))
            forward(torch.tensor([row + [0] * (longest - len(row)) for row in batch]))
    return time.perf_counter() - began


def best_batch(forward: Callable[[torch.Tensor], Any], rows: list[list[int]], sizes: tuple[int, ...]) -> int:
    """Return the batch size at which one pass is the quickest."""
    times = {size: forward_pass(forward, rows, size) for size in sizes}
    return min(times, key=lambda size: times[size])


def by_turns(
    alone: Callable[[], float], whole: Callable[[], Any], passes: int
) -> tuple[list[float], list[float]]:
    """Return the seconds of the bare pass and of the whole pipeline, taken by turns, so that a slower minute meets both.

    alone (Callable): Runs one bare pass and returns its seconds. whole (Callable): Runs the pipeline over the same text.
    """
    bare, full = [], []
    for _ in range(passes):
        bare.append(alone())
        began = time.perf_counter()
        whole()
        full.append(time.perf_counter() - began)
    return bare, full
