"""Drift: PSI over a baseline's bins, and how much of it is usual."""

import itertools
import math

import numpy as np
import pytest

from models.baseline import describe
from models.drift import SHARE_FLOOR, Bins, missing_share, usual_psi

DAY_MS = 86_400_000


def naive_psi(then: list[float], now: list[float]) -> float:
    """Return PSI by its definition, bins between the baseline's distinct inner deciles."""
    deciles = [sorted(then)[max(-(-len(then) * tenth // 10), 1) - 1] for tenth in range(1, 10)]
    edges = [-math.inf, *sorted(set(deciles)), math.inf]
    total = 0.0
    for low, high in itertools.pairwise(edges):
        p = max(sum(low < value <= high for value in now) / len(now), SHARE_FLOOR)
        q = max(sum(low < value <= high for value in then) / len(then), SHARE_FLOOR)
        total += (p - q) * math.log(p / q)
    return total


@pytest.mark.parametrize("seed", range(5))
def test_psi_is_that_of_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    then = np.round(rng.normal(size=500) * 3) if seed % 2 else rng.lognormal(size=500)
    now = then[:200] * 1.3 + seed
    bins = Bins(describe(then))
    assert bins.psi(bins.count(now)) == pytest.approx(naive_psi(then.tolist(), now.tolist()))


def test_the_same_values_have_not_moved_and_counts_add_up() -> None:
    values = np.random.default_rng(1).normal(size=1_000)
    values[::10] = np.nan
    bins = Bins(describe(values))
    counts = bins.count(values[:300]) + bins.count(values[300:])
    assert (counts == bins.count(values)).all()
    assert bins.psi(counts) == pytest.approx(0.0, abs=1e-3)
    assert missing_share(counts) == pytest.approx(0.1)


def test_nothing_to_compare_is_no_drift() -> None:
    empty = np.full(10, np.nan)
    assert Bins(describe(empty)).psi(Bins(describe(empty)).count(np.ones(5))) is None
    bins = Bins(describe(np.arange(10.0)))
    assert bins.psi(bins.count(empty)) is None
    assert missing_share(bins.count(np.empty(0))) == 0.0


def test_what_is_usual_is_the_worst_window_of_training() -> None:
    """A flag that is up all weekend differs from the week's average every day; a plain value hardly on any."""
    times = np.arange(0, 7 * DAY_MS, DAY_MS // 100)
    weekend = (times // DAY_MS >= 5).astype(float)
    plain = np.random.default_rng(2).normal(size=len(times))
    assert usual_psi(weekend, times, describe(weekend), DAY_MS) > 1.0
    assert usual_psi(plain, times, describe(plain), DAY_MS) < 0.4


def test_a_window_that_the_data_only_begins_in_is_passed_over() -> None:
    times = np.concatenate([np.arange(0, 4 * DAY_MS, DAY_MS // 100), [5 * DAY_MS]])
    values = np.concatenate([np.tile(np.arange(100.0), 4), [1e6]])
    assert usual_psi(values, times, describe(values), DAY_MS) < 0.01
    assert usual_psi(values[:0], times[:0], describe(values), DAY_MS) == 0.0
