"""A model's trees walked by a kernel of our own: the same scores as XGBoost's, bit for bit, without its price per call.

XGBoost lays every tree out anew for each call, and its Python wrapper builds what describes a matrix: 140 µs for one payment
and 200 trees of depth 6, where the kernel takes 5; at 200 payments they are even. When a model is loaded, both score rows made
of the trees' own thresholds; unless every bit agrees, XGBoost scores all batches.
"""

from collections.abc import Mapping
from typing import Any, Self

import numba
import numpy as np
import xgboost
from numpy.typing import NDArray

from models.matrix import Matrix
from models.ubj import read_ubj

_GREATEST = np.finfo(np.float32).max
_BLOCK = 64
"""Rows that meet one tree before the next comes: its nodes are then still in the cache."""
_CHECKED_ROWS = 256
MOST_ROWS = 200
"""XGBoost is quicker from here."""


@numba.njit(
    "void(f4[:, ::1], i4[::1], i4[::1], f4[::1], i4[::1], u1[::1], f4, f4[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _probabilities(  # type: ignore[no-untyped-def]
    x, roots, features, conditions, children, default_right, base, out
):
    """Fill `out` with the probabilities of rows `x`. A leaf has children[2 * node] = -1 and its value in `conditions`.

    Sums and the logistic function are float32, in XGBoost's order: base score, then tree by tree.
    """
    lowest = np.float32(-_GREATEST)
    for first in range(0, x.shape[0], _BLOCK):
        last = min(first + _BLOCK, x.shape[0])
        for row in range(first, last):
            out[row] = base
        for root in roots:
            for row in range(first, last):
                node = root
                child = children[2 * node]
                while child >= 0:
                    value = max(x[row, features[node]], lowest)
                    if x[row, features[node]] != x[row, features[node]]:
                        right = np.int64(default_right[node])
                    else:
                        right = np.int64(0) if value < conditions[node] else np.int64(1)
                    node = children[2 * node + right]
                    child = children[2 * node]
                out[row] += conditions[node]
        for row in range(first, last):
            margin = min(-out[row], np.float32(88.7))
            out[row] = np.float32(1.0) / (np.float32(np.exp(margin)) + np.float32(1.0) + np.float32(1e-16))


_ARRAYS = ("base", "_roots", "_features", "_conditions", "_default_right", "_children")


class Forest:
    """The trees of a booster, as flat arrays."""

    def __init__(self, booster: xgboost.Booster) -> None:
        """Read the trees. Raises KeyError, ValueError or TypeError for a booster that isn't plain trees."""
        learner = read_ubj(bytes(booster.save_raw("ubj")))["learner"]
        if learner["gradient_booster"]["name"] != "gbtree":
            msg = f"booster={learner['gradient_booster']['name']}"
            raise ValueError(msg)
        trees = learner["gradient_booster"]["model"]["trees"]
        score = np.float32(str(learner["learner_model_param"]["base_score"]).strip("[]"))
        self.base = np.float32(-np.log(np.float32(1.0) / score - np.float32(1.0)))
        sizes = [len(tree["left_children"]) for tree in trees]
        roots = np.concatenate(([0], np.cumsum(sizes)[:-1])) if trees else np.empty(0)
        self._roots = roots.astype(np.int32)
        self._features = _joined(trees, "split_indices", np.int32)
        self._conditions = _joined(trees, "split_conditions", np.float32)
        self._default_right = 1 - _joined(trees, "default_left", np.uint8)
        left, right = _joined(trees, "left_children", np.int32), _joined(trees, "right_children", np.int32)
        offsets = np.repeat(self._roots, sizes)
        self._children = np.column_stack([np.where(side < 0, -1, side + offsets) for side in (left, right)])
        self._children = np.ascontiguousarray(self._children, dtype=np.int32).ravel()

    @classmethod
    def of(cls, booster: xgboost.Booster) -> Self | None:
        """Return the booster's trees, or None if they can't be scored exactly as XGBoost does."""
        try:
            forest = cls(booster)
        except (KeyError, TypeError, ValueError):
            return None
        rows = forest._rows(booster.num_features())
        expected = np.asarray(booster.inplace_predict(rows, validate_features=False), dtype=np.float64)
        # NumPy's logarithm may be one step of a float32 off the C library's, which XGBoost takes.
        for base in (forest.base, *(np.nextafter(forest.base, np.float32(side)) for side in (-np.inf, np.inf))):
            forest.base = base
            if np.array_equal(forest.scores(rows), expected):
                return forest
        return None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all there is to it, to be kept in a file: making it anew takes Python a second for thousands of trees."""
        return {name.removeprefix("_"): np.asarray(getattr(self, name)) for name in _ARRAYS}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the forest that `arrays` was asked of."""
        forest = cls.__new__(cls)
        for name in _ARRAYS:
            setattr(forest, name, arrays[name.removeprefix("_")])
        forest.base = np.float32(forest.base)
        return forest

    def scores(self, x: Matrix) -> NDArray[np.float64]:
        """Return the probability of fraud, shape (n,), for rows of shape (n, features)."""
        out = np.empty(len(x), dtype=np.float32)
        _probabilities(
            np.ascontiguousarray(x), self._roots, self._features, self._conditions, self._children, self._default_right,
            self.base, out,
        )  # fmt: skip
        return out.astype(np.float64)

    def _rows(self, features: int) -> Matrix:
        """Return rows on, just below and beside the trees' thresholds, with gaps: where a wrong turn would show."""
        rng = np.random.default_rng(0)
        inner = self._children[::2] >= 0
        rows = rng.normal(size=(_CHECKED_ROWS, features)).astype(np.float32)
        for feature in range(features):
            thresholds = self._conditions[inner & (self._features == feature)]
            if len(thresholds):
                drawn = rng.choice(thresholds, _CHECKED_ROWS)
                below = np.nextafter(drawn, np.float32(-np.inf))
                rows[:, feature] = np.where(rng.random(_CHECKED_ROWS) < 0.5, drawn, below)
        rows[rng.random(rows.shape) < 0.1] = np.nan
        rows[0] = np.nan
        rows[1], rows[2] = _GREATEST, -_GREATEST
        return rows


def _joined(trees: list[dict[str, Any]], column: str, kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([tree[column] for tree in trees]).astype(kind) if trees else np.empty(0, dtype=kind)
