"""Quality: rankings are scikit-learn's, labels move payments between classes, and memory is bounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from models.quality import CLASSES, FRAUD, LEGIT, SILENT, ScoreCounts, Tally

payments = st.lists(
    st.tuples(st.floats(0, 1, width=32), st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), max_size=60
)


def arrays(scores: list[float], classes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(scores, dtype=np.float64), np.array(classes, dtype=np.int64)


@given(payments, st.booleans(), st.integers(1, 20))
def test_rankings_are_scikit_learns_whatever_was_corrected(
    given_: list[tuple[float, int, int]], silent_is_legit: bool, batch: int
) -> None:
    """Each payment is counted in one class and then moved to another, in batches, with a restore in between."""
    counts = ScoreCounts(1_000)
    for start in range(0, len(given_), batch):
        part = given_[start : start + batch]
        scores, before = arrays([one[0] for one in part], [one[1] for one in part])
        after = np.array([one[2] for one in part], dtype=np.int64)
        counts.add(scores, before)
        counts = ScoreCounts.decode(counts.encode(), 1_000)
        counts.add(scores, before, -1)
        counts.add(scores, after)
    kept = [(score, after) for score, _, after in given_ if silent_is_legit or after != SILENT]
    scores, truth = [score for score, _ in kept], [after == FRAUD for _, after in kept]
    found = counts.ranking(silent_is_legit=silent_is_legit)
    assert found.exact
    if any(truth):
        assert found.average_precision == pytest.approx(average_precision_score(truth, scores), abs=1e-9)
    else:
        assert found.average_precision is None
    if any(truth) and not all(truth):
        assert found.auc == pytest.approx(roc_auc_score(truth, scores), abs=1e-9)
    else:
        assert found.auc is None


def test_too_many_scores_are_folded_and_still_taken_out() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(50_000)
    truth = rng.random(50_000) < scores / 10
    classes = np.where(truth, FRAUD, LEGIT).astype(np.int64)
    counts = ScoreCounts(5_000)
    counts.add(scores, np.full(len(scores), SILENT))
    assert not counts.ranking(silent_is_legit=True).exact
    counts.add(scores, np.full(len(scores), SILENT), -1)
    counts.add(scores, classes)
    found = counts.ranking(silent_is_legit=False)
    assert found.auc == pytest.approx(roc_auc_score(truth, scores), abs=1e-4)
    assert found.average_precision == pytest.approx(average_precision_score(truth, scores), abs=1e-3)
    assert len(counts.encode()) < 40 * 5_000
    counts.add(scores, classes, -1)
    assert len(counts.encode()) < 100


def test_no_score_is_not_counted() -> None:
    counts = ScoreCounts(1_000)
    counts.add(*arrays([float("nan"), 0.5, 0.2], [FRAUD, FRAUD, LEGIT]))
    assert counts.ranking(silent_is_legit=False)[:2] == (1.0, 1.0)


def test_a_tally_tells_precision_recall_and_money() -> None:
    tally = Tally()
    outcomes = np.array([0, 1, 2, 2, 0])
    classes = np.array([FRAUD, FRAUD, FRAUD, LEGIT, SILENT])
    amounts, scores = np.array([10.0, 20.0, 30.0, 5.0, np.nan]), np.array([0.1, 0.6, 0.9, 0.95, np.nan])
    tally.add(classes, outcomes, amounts, scores)
    tally = Tally.decode(tally.encode())
    figures = tally.figures(silent_is_legit=True, money=True)
    assert figures == {
        "payments": 5, "frauds": 3, "flagged": 3, "precision": pytest.approx(2 / 3), "recall": pytest.approx(2 / 3),
        "blocked": 2, "block_precision": 0.5, "block_recall": pytest.approx(1 / 3),
        "stopped": 50.0, "missed": 10.0, "wrongly_stopped": 5.0,
        "expected_frauds": 2.55, "calibration_error": pytest.approx((0.9 + 0.4 + 0.85) / 4),
    }  # fmt: skip
    assert tally.figures(silent_is_legit=False, money=False)["payments"] == 4
    tally.add(classes, outcomes, amounts, scores, -1)
    assert tally.figures(silent_is_legit=True, money=False) == {
        "payments": 0, "frauds": 0, "flagged": 0, "precision": None, "recall": None,
        "blocked": 0, "block_precision": None, "block_recall": None,
    }  # fmt: skip
