"""Feature values as the matrix a model reads: float32, a row per transaction, NaN where a value is missing.

Training and scoring both come through here, so a value is rounded and bounded in one way only.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float32]

# XGBoost refuses a whole batch for one infinity: values beyond float32 count as the greatest it can hold.
_GREATEST = np.finfo(np.float32).max


def as_matrix(rows: ArrayLike) -> Matrix:
    """Return numbers of shape (n, k) as float32, row-major, infinities bounded, NaN kept.

    None becomes NaN, True and False 1 and 0.
    """
    wide = np.asarray(rows, dtype=np.float64)
    return np.clip(wide, -_GREATEST, _GREATEST).astype(np.float32, order="C")


def bounded(matrix: Matrix) -> Matrix:
    """Return a float32 matrix without infinities: itself, if it has none."""
    return np.clip(matrix, -_GREATEST, _GREATEST) if np.isinf(matrix).any() else matrix
