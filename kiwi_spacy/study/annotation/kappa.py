"""Agreement beyond chance of two annotators who labelled the same items."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

Confusion = Counter[tuple[str, str]]  # (A's label, B's label) > how often


def cohen_kappa(counts: Mapping[tuple[str, str], int]) -> float | None:
    """Return Cohen's kappa of two annotators who labelled the same items; None where it is not defined.

    It is not defined where there is no item, or one category alone: chance then explains all. Nor
    is it for spans as such. Chance agreement needs the number of items that both left unmarked, and
    the stretches of a note that could have been a span and were not have no number; as one lets it
    grow, kappa becomes F1 (Hripcsak and Rothschild, JAMIA 2005). So it is taken here over items that
    are given: tokens, whose number depends on the tokenizer and which make one missed span many
    misses; and spans of the same borders, which says nothing of the spans that one annotator lacks.

    counts (Mapping[tuple[str, str], int]): (first annotator's label, second's) > items.

    >>> cohen_kappa({("drug", "drug"): 20, ("drug", "test"): 5, ("test", "drug"): 10, ("test", "test"): 15})
    0.4
    >>> cohen_kappa({("drug", "drug"): 20}) is None
    True
    """
    total = sum(counts.values())
    first: Counter[str] = Counter()
    second: Counter[str] = Counter()
    for (one, other), times in counts.items():
        first[one] += times
        second[other] += times
    by_chance = sum(first[label] * second[label] for label in first)
    if by_chance == total * total:
        return None
    same = sum(times for (one, other), times in counts.items() if one == other)
    return (same * total - by_chance) / (total * total - by_chance)


def kappa_dict(counts: Confusion) -> dict[str, Any]:
    """Return {"kappa", "items", "labels"}, plain and ready for JSON; kappa is None where it is not defined."""
    kappa = cohen_kappa(counts)
    return {
        "kappa": None if kappa is None else round(kappa, 4),
        "items": counts.total(),
        "labels": [{"a": one, "b": other, "items": times} for (one, other), times in sorted(counts.items())],
    }
