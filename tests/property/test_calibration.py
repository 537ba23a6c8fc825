"""A calibration never swaps two scores, and never leaves 0 … 1."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.calibration import Isotonic, Platt, Uncalibrated
from models.calibration_fit import fit_calibration

scores = st.floats(0, 1, width=32)


@pytest.mark.parametrize("method", ["isotonic", "platt", "none"])
@settings(deadline=None)  # scikit-learn and SciPy set themselves up in the first example
@given(
    held_out=st.lists(st.tuples(scores, st.booleans()), min_size=2, max_size=60).filter(
        lambda rows: len({label for _, label in rows}) == 2
    ),
    raw=st.lists(scores, min_size=1, max_size=40),
)
def test_a_fitted_calibration_keeps_the_order_of_scores(method, held_out, raw):
    x, y = zip(*held_out, strict=True)
    calibration = fit_calibration(method, np.array(x, dtype=np.float64), np.array(y))
    assert calibration.fault() is None
    calibrated = calibration.apply(np.sort(np.array(raw, dtype=np.float64)))
    assert np.all(np.diff(calibrated) >= 0)
    assert np.all((calibrated >= 0) & (calibrated <= 1))


@given(slope=st.floats(0, 1e3), intercept=st.floats(-1e3, 1e3), raw=st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_a_curve_keeps_the_order_of_scores_however_steep(slope, intercept, raw):
    calibrated = Platt(slope, intercept).apply(np.sort(np.array(raw)))
    assert np.all(np.diff(calibrated) >= 0)
    assert np.all((calibrated >= 0) & (calibrated <= 1))


@given(st.lists(scores, min_size=1, max_size=40))
def test_isotonic_is_flat_outside_its_points(raw):
    line = Isotonic(x=(0.25, 0.75), y=(0.1, 0.9))
    calibrated = line.apply(np.array(raw, dtype=np.float64))
    assert np.all((calibrated >= 0.1) & (calibrated <= 0.9))


@pytest.mark.parametrize(
    ("calibration", "fault"),
    [
        (Isotonic(x=(), y=()), "same number"),
        (Isotonic(x=(0.0, 1.0), y=(0.0,)), "same number"),
        (Isotonic(x=(0.5, 0.1), y=(0.0, 1.0)), "must not fall"),
        (Isotonic(x=(0.0, float("nan")), y=(0.0, 1.0)), "must not fall"),
        (Isotonic(x=(0.0, 1.0), y=(0.0, 1.5)), "within 0"),
        (Platt(slope=-1.0, intercept=0.0), "slope=-1.0"),
        (Platt(slope=float("inf"), intercept=0.0), "slope=inf"),
    ],
)
def test_numbers_that_would_swap_scores_are_faults(calibration, fault):
    assert fault in calibration.fault()


def test_uncalibrated_scores_are_the_raw_ones():
    raw = np.array([0.1, 0.9])
    assert Uncalibrated().fault() is None
    assert np.array_equal(Uncalibrated().apply(raw), raw)
