"""Fitting a calibration to held-out scores. Apart from applying one, because the job needs none of the libraries here."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

from models.calibration import Calibration, Floats, Isotonic, Method, Platt, Uncalibrated, logit


def fit_calibration(method: Method, raw: Floats, labels: NDArray[np.bool_]) -> Calibration:
    """Return the calibration that `method` fits to held-out raw scores and their labels, both of length n."""
    if method == "isotonic":
        return _fit_isotonic(raw, labels)
    return _fit_platt(raw, labels) if method == "platt" else Uncalibrated()


def _fit_isotonic(raw: Floats, labels: NDArray[np.bool_]) -> Calibration:
    line = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(raw, labels.astype(np.float64))
    return Isotonic(x=tuple(line.X_thresholds_.tolist()), y=tuple(line.y_thresholds_.tolist()))


def _fit_platt(raw: Floats, labels: NDArray[np.bool_]) -> Calibration:
    """Fit the two numbers to Platt's smoothed targets, which keep a few frauds from being called certain.

    Source: Platt 1999, Probabilistic Outputs for Support Vector Machines, section 2.2.
    """
    odds = logit(raw)
    frauds = int(labels.sum())
    high, low = (frauds + 1) / (frauds + 2), 1 / (len(labels) - frauds + 2)
    targets = np.where(labels, high, low)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = parameters[0] * odds + parameters[1]
        gap = 1.0 / (1.0 + np.exp(-z)) - targets
        value = float(np.mean(np.logaddexp(0.0, z) - targets * z))
        return value, np.array([np.mean(gap * odds), np.mean(gap)])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=[(0.0, None), (None, None)], method="L-BFGS-B")
    return Platt(slope=float(found.x[0]), intercept=float(found.x[1]))
