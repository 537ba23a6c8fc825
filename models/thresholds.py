"""Where to review and where to block, from what was wanted and from held-out scores."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingError
from models.manifest import Thresholds

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Targets:
    """What the thresholds should come to. A threshold given outright wins over its target.

    `flagged_share`: at most this part of all payments is reviewed or blocked. `block_precision`: of the blocked
    payments, at least this part are frauds.
    """

    flagged_share: float = 0.01
    block_precision: float = 0.9
    review: float | None = None
    block: float | None = None

    def check(self) -> None:
        """Raise `TrainingError` for a number that is no share and no score."""
        for name in ("flagged_share", "block_precision", "review", "block"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                msg = f"{name}={value} is out of range; give a number within 0 … 1"
                raise TrainingError(msg)


def choose_thresholds(targets: Targets, scores: Floats, labels: NDArray[np.bool_]) -> Thresholds:
    """Return the thresholds that meet `targets` on held-out calibrated scores, both of length n.

    If no score keeps a target (all the highest scores are equal, or too few of them frauds), that threshold is None.
    """
    levels, flagged, caught = _cumulated(scores, labels)
    block = targets.block
    if block is None:
        block = _lowest(levels, caught / flagged >= targets.block_precision)
    review = targets.review
    if review is None:
        review = _lowest(levels, flagged <= targets.flagged_share * len(scores))
        if review is not None and block is not None:
            review = min(review, block)
    return Thresholds(review=review, block=block)


def _cumulated(scores: Floats, labels: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct scores, falling, and how many rows and frauds reach each."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    return scores[order][ends], ends + 1, np.cumsum(labels[order])[ends]


def _lowest(levels: Floats, fits: NDArray[np.bool_]) -> float | None:
    places = np.flatnonzero(fits)
    return float(levels[places[-1]]) if len(places) else None
