"""Which span of one side goes with which of the other."""

from bisect import bisect_left
from collections.abc import Callable, Collection

from ..contract import SpanKey


def pair_overlapping(
    a: Collection[SpanKey], b: Collection[SpanKey], rank: Callable[[SpanKey, SpanKey], int | None]
) -> list[tuple[SpanKey, SpanKey]]:
    """Pair spans that overlap, each at most once: those of the lowest rank first, then those that overlap most.

    Taken so, one by one, they may be fewer than the relaxed score counts, which seeks the most.

    rank (Callable): What a pair is worth, the lowest best; None where the two must not be paired.

    >>> pair_overlapping([(0, 5, "x"), (4, 9, "x")], [(3, 9, "x")], lambda one, other: 0)
    [((4, 9, 'x'), (3, 9, 'x'))]
    """
    others = sorted(b)
    starts = [start for start, _, _ in others]
    longest = max((end - start for start, end, _ in others), default=0)
    near = []
    for one in a:
        for other in others[bisect_left(starts, one[0] - longest) : bisect_left(starts, one[1])]:
            overlap = min(one[1], other[1]) - max(one[0], other[0])
            worth = rank(one, other) if overlap > 0 else None
            if worth is not None:
                near.append((worth, -overlap, one, other))
    pairs = []
    free_a, free_b = set(a), set(b)
    for _, _, one, other in sorted(near):
        if one in free_a and other in free_b:
            free_a.remove(one)
            free_b.remove(other)
            pairs.append((one, other))
    return pairs
