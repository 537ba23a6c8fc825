"""How features and scores lay in the training window, so that drift has something to be measured against."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.drift import usual_psi
from models.manifest import Baseline, Distribution, ModelFeature
from models.matrix import Matrix


def describe(values: NDArray[np.float32] | NDArray[np.float64]) -> Distribution:
    """Return the distribution of values, NaN meaning missing.

    A decile is a value that occurs (no interpolation), so that a feature of few distinct values gets whole bins.
    """
    present = values[~np.isnan(values)].astype(np.float64)
    missing = 1.0 - len(present) / len(values) if len(values) else 0.0
    if not len(present):
        return Distribution(deciles=(), shares=(), missing=missing)
    # The least value that a tenth, two tenths, … of all values reach at most; in integers, because 0.3 is no number.
    ranks = np.maximum(-(-len(present) * np.arange(11) // 10), 1)
    deciles = np.sort(present)[ranks - 1]
    edges = np.unique(deciles[1:-1])
    counts = np.bincount(np.searchsorted(edges, present, side="left"), minlength=len(edges) + 1)
    shares = counts / len(present)
    return Distribution(tuple(deciles.tolist()), tuple(shares.tolist()), missing)


def baseline(
    features: tuple[ModelFeature, ...],
    x: Matrix,
    raw_scores: NDArray[np.float64],
    scores: NDArray[np.float64],
    times_ms: NDArray[np.int64],
    window_ms: int,
) -> Baseline:
    """Return the baseline of the rows `x` (n, features) and of scores of length n that their fit didn't see.

    `times_ms` are the rows' event times, and `window_ms` the windows in which drift will be looked for.
    """

    def described(values: NDArray[np.float32] | NDArray[np.float64]) -> Distribution:
        found = describe(values)
        return msgspec.structs.replace(found, usual=usual_psi(values, times_ms, found, window_ms))

    columns = {feature.name: described(x[:, place]) for place, feature in enumerate(features)}
    return Baseline(features=columns, raw_score=described(raw_scores), score=described(scores))
