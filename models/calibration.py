"""From a raw score to the share of frauds at that score, as plain numbers kept in the manifest.

A calibration never swaps two scores: raw a <= raw b gives calibrated a <= calibrated b.
"""

from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Method = Literal["isotonic", "platt", "none"]

# A logit of exactly 0 or 1 is infinite: raw scores are kept this far from both ends (float32's step below 1 is 6e-8).
_EDGE = 1e-7


class Isotonic(Struct, tag="isotonic", tag_field="method", frozen=True, forbid_unknown_fields=True):
    """A rising line through the points (x, y), flat before the first and after the last."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def fault(self) -> str | None:
        """Return what is wrong with the points, None for a line that rises."""
        if not self.x or len(self.x) != len(self.y):
            return f"x has {len(self.x)} points and y {len(self.y)}; they need the same number, at least one"
        if not (_rises(self.x) and _rises(self.y)):
            return "x and y must not fall anywhere"
        return None if self.y[0] >= 0.0 and self.y[-1] <= 1.0 else "y must lie within 0 … 1"

    def apply(self, raw: Floats) -> Floats:
        """Return the calibrated scores."""
        return np.asarray(np.interp(raw, self.x, self.y), dtype=np.float64)


class Platt(Struct, tag="platt", tag_field="method", frozen=True, forbid_unknown_fields=True):
    """A logistic curve over the raw score's log-odds: 1 / (1 + exp(-(slope * logit + intercept)))."""

    slope: float
    intercept: float

    def fault(self) -> str | None:
        """Return what is wrong with the curve, None for one that doesn't fall."""
        finite = bool(np.isfinite(self.slope) and np.isfinite(self.intercept))
        return (
            None
            if finite and self.slope >= 0
            else f"slope={self.slope} and intercept={self.intercept}: needs slope >= 0"
        )

    def apply(self, raw: Floats) -> Floats:
        """Return the calibrated scores."""
        # exp overflows at 709; a score that near to 0 or 1 has long been rounded.
        odds = np.clip(self.slope * logit(raw) + self.intercept, -500.0, 500.0)
        return np.asarray(1.0 / (1.0 + np.exp(-odds)), dtype=np.float64)


class Uncalibrated(Struct, tag="none", tag_field="method", frozen=True, forbid_unknown_fields=True):
    """The raw score as it is."""

    def fault(self) -> str | None:
        """Return None: there is nothing to get wrong."""
        return None

    def apply(self, raw: Floats) -> Floats:
        """Return the raw scores."""
        return raw


Calibration = Isotonic | Platt | Uncalibrated


def logit(raw: Floats) -> Floats:
    """Return the log-odds of raw scores, kept finite at both ends."""
    inside = np.clip(raw, _EDGE, 1.0 - _EDGE)
    return np.asarray(np.log(inside / (1.0 - inside)), dtype=np.float64)


def _rises(values: tuple[float, ...]) -> bool:
    return bool(np.all(np.diff(values) >= 0)) and bool(np.all(np.isfinite(values)))
