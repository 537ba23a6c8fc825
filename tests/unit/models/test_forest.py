"""The kernel's scores are XGBoost's, bit for bit; what it can't score so is left to XGBoost."""

import numpy as np
import pytest
import xgboost

from models.forest import MOST_ROWS, Forest
from models.model import Model


def booster(features: int, **parameters) -> xgboost.Booster:
    rng = np.random.default_rng(features)
    x = rng.lognormal(size=(600, features)).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    risk = np.nan_to_num(x).sum(axis=1) + rng.normal(size=600)
    given = {"objective": "binary:logistic", "max_depth": 5, "nthread": 1, **parameters}
    trees = given.pop("trees", 30)
    return xgboost.train(given, xgboost.DMatrix(x, risk > np.quantile(risk, 0.9)), trees)


@pytest.mark.parametrize(
    "parameters", [{}, {"base_score": 0.02}, {"max_depth": 1}, {"trees": 1}, {"grow_policy": "lossguide"}]
)
@pytest.mark.parametrize("features", [1, 7, 60])
def test_scores_are_xgboosts_to_the_last_bit(features, parameters):
    trees = booster(features, **parameters)
    forest = Forest.of(trees)
    assert forest is not None
    rng = np.random.default_rng(5)
    x = rng.lognormal(sigma=2, size=(1000, features)).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    x[0], x[1], x[2] = np.nan, np.finfo(np.float32).max, np.finfo(np.float32).min
    assert np.array_equal(forest.scores(x), trees.inplace_predict(x, validate_features=False).astype(np.float64))


def test_infinities_count_as_the_greatest_numbers():
    forest = Forest.of(booster(3))
    x = np.array([[np.inf] * 3, [-np.inf] * 3], dtype=np.float32)
    assert np.array_equal(forest.scores(x), forest.scores(np.nan_to_num(x)))


def test_no_trees_give_the_base_score():
    forest = Forest.of(booster(2, trees=0, base_score=0.3))
    assert forest.scores(np.zeros((2, 2), dtype=np.float32)) == pytest.approx([0.3, 0.3])


def test_dropped_trees_are_left_to_xgboost():
    assert Forest.of(booster(4, booster="dart", rate_drop=0.5)) is None


def test_trees_that_score_differently_are_left_to_xgboost(monkeypatch):
    monkeypatch.setattr(Forest, "scores", lambda self, x: np.full(len(x), 0.5))
    assert Forest.of(booster(4)) is None


def test_small_and_large_batches_score_alike(tmp_path):
    from tests.factories.models import tiny_model  # noqa: PLC0415 - only this test needs it

    model: Model = tiny_model(tmp_path, ("amount", "count_1h", "is_new_device"))
    rows = np.random.default_rng(2).normal(size=(MOST_ROWS + 50, 3)).astype(np.float32)
    halves = np.concatenate([model.raw_scores(rows[:MOST_ROWS]), model.raw_scores(rows[MOST_ROWS:])])
    assert np.array_equal(model.raw_scores(rows), halves)
