"""How far values lie from where they lay in training: the population stability index (PSI) over a baseline's bins.

PSI = Σ (p - q) ln(p / q), where q is a bin's share in training and p its share now. Below 0.1 is usually called stable and
above 0.25 shifted (Siddiqi, *Credit Risk Scorecards*, 2006). Shares are kept SHARE_FLOOR from 0, so an empty bin counts much
and not without end.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manifest import Distribution

SHARE_FLOOR = 1e-4

Counts = NDArray[np.int64]


class Bins:
    """The bins of one distribution: values are counted into them, and the last count is of those that are missing."""

    def __init__(self, distribution: Distribution) -> None:
        """Take the edges from the baseline's deciles."""
        self._edges = np.unique(np.array(distribution.deciles[1:-1], dtype=np.float64))
        self._shares = np.array(distribution.shares, dtype=np.float64)
        self.distribution = distribution

    @property
    def size(self) -> int:
        """How many counts there are."""
        return len(self._edges) + 2

    def count(self, values: NDArray[Any]) -> Counts:
        """Return int64[size]: how many of `values` (NaN: missing) lie in each bin."""
        present = values[~np.isnan(values)].astype(np.float64)
        counts = np.zeros(self.size, dtype=np.int64)
        counts[:-1] = np.bincount(np.searchsorted(self._edges, present, side="left"), minlength=self.size - 1)
        counts[-1] = len(values) - len(present)
        return counts

    def psi(self, counts: Counts) -> float | None:
        """Return how far counts lie from the baseline; None where nothing is to be compared: no value then or now."""
        present = int(counts[:-1].sum())
        if not present or not len(self._shares):
            return None
        now = np.maximum(counts[:-1] / present, SHARE_FLOOR)
        then = np.maximum(self._shares, SHARE_FLOOR)
        return float(((now - then) * np.log(now / then)).sum())


def missing_share(counts: Counts) -> float:
    """Return the part of counted values that was missing; 0 of none."""
    total = int(counts.sum())
    return int(counts[-1]) / total if total else 0.0


def usual_psi(values: NDArray[Any], times_ms: NDArray[np.int64], distribution: Distribution, window_ms: int) -> float:
    """Return the largest PSI that a single window of the training data has against all of it.

    That is what rhythm and chance come to: nights, weekends, features of few distinct values. A window that holds less than a
    quarter of what an average one does is passed over: the data begins or ends in it.
    """
    bins = Bins(distribution)
    found = [bins.psi(bins.count(values[rows])) for rows in _windows(times_ms, window_ms)]
    return max((psi for psi in found if psi is not None), default=0.0)


def _windows(times_ms: NDArray[np.int64], window_ms: int) -> Iterator[NDArray[np.int64]]:
    if not len(times_ms):
        return
    numbers, place = np.unique(times_ms // window_ms, return_inverse=True)
    rows_of = np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place))[:-1])
    yield from (rows for rows in rows_of if len(rows) * len(numbers) * 4 >= len(times_ms))
