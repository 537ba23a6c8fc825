"""A model in memory: scores, outcomes, contributions, and the features it asks for."""

import numpy as np
import pytest

from models.errors import ModelError
from models.manifest import Thresholds
from models.matrix import as_matrix
from tests.factories.models import tiny_model

FEATURES = ("amount", "count_1h", "is_new_device")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models"), FEATURES)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, len(FEATURES))).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    return x


def test_a_rows_score_does_not_depend_on_its_batch(model, rows):
    together = model.raw_scores(rows)
    alone = np.concatenate([model.raw_scores(rows[place : place + 1]) for place in range(len(rows))])
    assert together.dtype == np.float64
    assert np.array_equal(together, alone)
    assert np.all((together > 0) & (together < 1))


def test_an_empty_batch_scores_to_nothing(model, rows):
    assert model.raw_scores(rows[:0]).shape == (0,)
    assert model.contributions(rows[:0]).shape == (0, 3)
    assert model.explain(rows[:0]) == []
    assert model.outcomes(np.empty(0)).shape == (0,)


def test_infinities_score_as_the_greatest_numbers_and_spoil_no_batch(model, rows):
    x = rows.copy()
    x[0], x[1] = np.inf, -np.inf
    bounded = rows.copy()
    bounded[0], bounded[1] = np.finfo(np.float32).max, np.finfo(np.float32).min
    assert np.array_equal(model.raw_scores(x), model.raw_scores(bounded))
    assert np.array_equal(model.contributions(x), model.contributions(bounded))
    assert np.isinf(x[0]).all()


def test_contributions_and_bias_sum_to_the_log_odds(model, rows):
    scores = model.raw_scores(rows)
    rest = np.log(scores / (1 - scores)) - model.contributions(rows).sum(axis=1)
    assert np.ptp(rest) < 1e-4  # what is left is the bias, the same for every row


@pytest.mark.parametrize(
    "x", [np.zeros((1, 2), dtype=np.float32), np.zeros(3, dtype=np.float32), np.zeros((1, 3), dtype=np.float64)]
)
def test_a_matrix_of_another_shape_or_type_is_refused(model, x):
    with pytest.raises(ModelError, match="reads float32 rows of 3 features"):
        model.raw_scores(x)


def test_a_score_on_a_threshold_has_reached_it(model):
    scores = np.array([0.0, 0.4999, 0.5, 0.8999, 0.9, 1.0])
    assert model.outcomes(scores).tolist() == [0, 0, 1, 1, 2, 2]


def test_without_thresholds_everything_is_allowed(model):
    unbound = model.with_thresholds(None, None)
    assert unbound.thresholds == Thresholds(review=0.5, block=0.9)
    unbound.thresholds = Thresholds()
    assert unbound.outcomes(np.array([1.0])).tolist() == [0]


def test_other_thresholds_leave_the_model_as_it_is(model):
    stricter = model.with_thresholds(None, 0.6)
    assert stricter.outcomes(np.array([0.55, 0.6])).tolist() == [1, 2]
    assert model.outcomes(np.array([0.55, 0.6])).tolist() == [1, 1]


def test_all_features_that_are_missing_or_texts_are_named_with_what_was_meant(model):
    with pytest.raises(ModelError) as caught:
        model.check_features({"amounts": "number", "count_1h": "string", "something": "number"})
    assert str(caught.value).splitlines() == [
        "model tiny@1 asks for 3 features that the pipeline doesn't have:",
        "  amount: not defined; did you mean amounts?",
        "  count_1h: is a string; a model reads numbers, integers and booleans",
        "  is_new_device: not defined",
    ]


def test_numbers_integers_and_booleans_are_features(model):
    model.check_features({"amount": "number", "count_1h": "integer", "is_new_device": "boolean", "more": "string"})


def test_reasons_are_the_strongest_first_with_their_values(model):
    x = as_matrix([[2.5, 0.123456789, None]])
    (reasons,) = model.explain(x, k=2)
    assert reasons[0]["feature"] == "amount"
    assert reasons[0]["value"] == 2.5
    assert reasons[0]["text"] == "amount = 2.5 raises the risk"
    assert reasons[0]["contribution"] > 0
    assert len(reasons) <= 2


def test_warming_up_changes_no_score(model, rows):
    before = model.raw_scores(rows)
    model.warm_up()
    assert np.array_equal(model.raw_scores(rows), before)


def test_a_matrix_is_made_of_numbers_booleans_and_missing_values():
    found = as_matrix([[1, True, None], [1e300, -np.inf, np.nan]])
    greatest = np.finfo(np.float32).max
    assert found.dtype == np.float32
    assert np.array_equal(found, np.array([[1, 1, np.nan], [greatest, -greatest, np.nan]], "f4"), equal_nan=True)
