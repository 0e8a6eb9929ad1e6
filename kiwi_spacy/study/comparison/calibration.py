"""What the scores of predictions are worth: how often each is right, and which threshold gives a wanted precision."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 10


@dataclass(frozen=True)
class Scored:
    """One predicted item: its score, and whether it is exactly right."""

    score: float
    right: bool


@dataclass(frozen=True)
class Bin:
    """Predictions of like scores: how many, their mean score, and the share of them that is right."""

    count: int
    score: float
    right: float


@dataclass(frozen=True)
class Point:
    """What remains of the predictions with at least a score of `threshold`."""

    threshold: float
    precision: float
    recall: float
    kept: int


def reliability(items: Sequence[Scored], bins: int = BINS) -> list[Bin]:
    """Return bins of equal width over scores 0 to 1, empty ones left out.

    >>> reliability([Scored(0.95, True), Scored(0.97, False)])
    [Bin(count=2, score=0.96, right=0.5)]
    """
    places: dict[int, list[Scored]] = {}
    for item in items:
        places.setdefault(min(int(item.score * bins), bins - 1), []).append(item)
    return [
        Bin(
            len(here), round(sum(i.score for i in here) / len(here), 12),
            sum(i.right for i in here) / len(here),
        )
        for _, here in sorted(places.items())
    ]


def calibration_error(items: Sequence[Scored], bins: int = BINS) -> float | None:
    """Return the expected calibration error: the mean gap between score and share right, weighted by the bins' counts.

    None where nothing is predicted.
    """
    if not items:
        return None
    return sum(b.count * abs(b.score - b.right) for b in reliability(items, bins)) / len(items)


def thresholds(items: Sequence[Scored], gold: int) -> list[Point]:
    """Return precision and recall for each score as a threshold, rising; predictions below it are left out.

    gold (int): How many there are to be found.

    >>> [(p.threshold, p.precision, p.recall) for p in thresholds([Scored(0.9, True), Scored(0.4, False)], 2)]
    [(0.4, 0.5, 0.5), (0.9, 1.0, 0.5)]
    """
    if not items:
        return []
    order = sorted(items, key=lambda item: -item.score)
    scores = np.array([item.score for item in order])
    right = np.cumsum([item.right for item in order])
    last = np.append(np.nonzero(np.diff(scores))[0], len(order) - 1)  # of equal scores all go or stay
    return [
        Point(float(scores[i]), float(right[i]) / (i + 1), float(right[i]) / gold if gold else 0.0, int(i) + 1)
        for i in last[::-1].tolist()
    ]


def threshold_for(items: Sequence[Scored], gold: int, precision: float) -> Point | None:
    """Return the lowest threshold whose predictions reach a precision, or None where none does."""
    return next((point for point in thresholds(items, gold) if point.precision >= precision), None)


def round_up(threshold: float, digits: int = 3) -> str:
    """Return a threshold for people, rounded so that it lets no more in than it was measured to.

    >>> round_up(0.8612, 2)
    '0.87'
    """
    return f"{math.ceil(threshold * 10**digits) / 10**digits:.{digits}f}"
