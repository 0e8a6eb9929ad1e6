"""Intervals hold the truth as often as they say, and tests find what is there."""

import numpy as np
import pytest

from kiwi_spacy.scoring import Counts
from kiwi_spacy.study.comparison.intervals import as_rows, f1, f1_difference, f1_interval


def draw(random: np.random.Generator, notes: int) -> np.ndarray:
    """Counts of notes as they come: of unlike length, some easier than others; (notes, 4)."""
    gold = random.gamma(4, 20, notes).astype(int) + 3
    found = random.binomial(gold, random.beta(16, 4, notes))
    invented = random.binomial(gold, random.beta(4, 16, notes))
    return np.stack([found, found, gold, found + invented], 1).astype(float)


def coverage(notes: int, trials: int) -> float:
    random = np.random.default_rng(7)
    truth = float(f1(draw(random, 400_000).sum(0)))
    held = 0
    for trial in range(trials):
        interval = f1_interval(draw(random, notes), draws=1000, seed=trial)
        held += interval.low <= truth <= interval.high
    return held / trials


@pytest.mark.slow
def test_intervals_hold_the_true_value_at_50_notes() -> None:
    assert 0.93 <= coverage(50, 1500) <= 0.97


@pytest.mark.slow
def test_intervals_at_16_notes_are_a_little_too_narrow_and_not_more() -> None:
    """Decision 6 says so, with the figure."""
    assert 0.90 <= coverage(16, 1500) <= 0.97


def test_interval_of_one_note_has_no_limits() -> None:
    interval = f1_interval(as_rows([Counts(4, 2, {"exact": 1}, {"exact": 1})], "exact"))
    assert (round(interval.value, 4), interval.low, interval.high) == (0.3333, None, None)


def test_interval_of_equal_notes_is_a_point() -> None:
    interval = f1_interval(np.array([[3.0, 3.0, 4.0, 4.0]] * 10))
    assert (interval.value, interval.low, interval.high) == (0.75, 0.75, 0.75)


def test_a_difference_that_is_there_is_found_and_one_that_is_not_is_not() -> None:
    random = np.random.default_rng(3)
    first = draw(random, 50)
    better = first.copy()
    better[:, 0] = better[:, 1] = np.minimum(first[:, 2], first[:, 0] * 1.08)
    difference = f1_difference(first, better)
    assert difference.value > 0.02
    assert difference.p < 0.01
    assert difference.words == "hardly chance"
    assert difference.low > 0
    same = f1_difference(first, first)
    assert (same.value, same.p) == (0.0, 1.0)


def test_p_values_of_equal_systems_are_spread_evenly() -> None:
    random = np.random.default_rng(5)
    values = []
    for trial in range(300):
        both = draw(random, 20)
        other = both.copy()
        moved = random.integers(-2, 3, 20)
        other[:, 0] = other[:, 1] = np.clip(both[:, 0] + moved, 0, np.minimum(both[:, 2], both[:, 3]))
        values.append(f1_difference(both, other, draws=200, seed=trial).p)
    assert 0.02 <= np.mean(np.array(values) < 0.05) <= 0.10


@pytest.mark.parametrize("notes", [1, 2])
def test_too_few_notes_have_no_limits(notes: int) -> None:
    rows = np.array([[3.0, 3.0, 4.0, 5.0]] * notes)
    assert (f1_interval(rows).low, f1_difference(rows, rows).p) == (None, None)
    assert f1_difference(rows, rows).words == "too few notes to say"


def test_draws_without_a_rare_label_say_nothing_of_it() -> None:
    rows = np.zeros((16, 4))
    rows[3] = [5, 5, 5, 5]  # in one note, and all found
    interval = f1_interval(rows)
    assert (interval.value, interval.low, interval.high) == (1.0, 1.0, 1.0)
    assert np.isnan(f1_interval(np.zeros((16, 4))).value)
    assert f1_interval(np.zeros((16, 4))).low is None
    nothing = f1_difference(np.zeros((16, 4)), np.zeros((16, 4)))
    assert (nothing.value, nothing.p) == (0.0, None)
