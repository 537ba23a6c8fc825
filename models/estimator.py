"""A scikit-learn estimator out of a `model.skops`: types and numbers, never a pickle, so that reading it runs no code of its own.

It must have two classes, 0 and 1, read the manifest's features in their order, and score rows with missing values.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray

from models.errors import ModelError
from models.matrix import Matrix, bounded

_TRUSTED = ("numpy.dtype",)
"""Beside what skops trusts by itself: scikit-learn's own types."""


class Estimator:
    """One artefact's estimator; it says what it scores, and not why."""

    def __init__(self, estimator: Any) -> None:
        """Take what `read_estimator` read."""
        self._estimator = estimator

    def raw_scores(self, x: Matrix) -> NDArray[np.float64]:
        """Return the probability of fraud, shape (n,)."""
        return np.asarray(self._estimator.predict_proba(bounded(x))[:, 1], dtype=np.float64)

    def contributions(self, x: Matrix) -> NDArray[np.float64]:
        """Return zeros, shape (n, features): a feature that moved nothing is no reason."""
        return np.zeros(x.shape)

    def gains(self, features: Sequence[str]) -> dict[str, float]:
        """Return zeros: it has no trees."""
        return dict.fromkeys(features, 0.0)


def read_estimator(content: bytes, features: int) -> Estimator:
    """Return the estimator in the bytes of a `model.skops`. Raises ModelError for what isn't one, or can't score."""
    try:
        unknown = skops.io.get_untrusted_types(data=content)
    except Exception as error:  # whatever the bytes, the answer is a sentence
        raise ModelError(_sentence("is no skops file", error)) from error
    foreign = sorted(set(unknown) - set(_TRUSTED))
    if foreign:
        msg = f"holds types that Mitra doesn't trust: {', '.join(foreign[:10])}; use scikit-learn's own estimators"
        raise ModelError(msg)
    try:
        estimator = skops.io.loads(content, trusted=list(_TRUSTED))
    except Exception as error:  # see above
        raise ModelError(_sentence("can't be read", error)) from error
    if not hasattr(estimator, "predict_proba") or list(getattr(estimator, "classes_", ())) != [0, 1]:
        msg = f"holds a {type(estimator).__name__}, which gives no probability of the classes 0 and 1; use a fitted classifier"
        raise ModelError(msg)
    found = Estimator(estimator)
    rows = np.zeros((2, features), dtype=np.float32)
    rows[1] = np.nan
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an imputer warns of a column without values
            scores = found.raw_scores(rows)
    except Exception as error:  # see above
        hint = "; a row may lack any value: put an imputer before it, in a Pipeline"
        raise ModelError(f"can't score {features} features with missing values: {_first(error)}{hint}") from error
    if scores.shape != (2,) or not np.all((scores >= 0) & (scores <= 1)):
        raise ModelError(f"scores two rows as {scores.tolist()}, which are no probabilities")
    return found


def _sentence(what: str, error: Exception) -> str:
    return f"{what}: {type(error).__name__}: {_first(error)}"


def _first(error: Exception) -> str:
    return (str(error).strip() or "no reason given").splitlines()[0][:200]
