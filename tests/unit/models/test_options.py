"""What people write for a training: spans of time, parameters, targets."""

import numpy as np
import pytest

from models.baseline import describe
from models.errors import TrainingError
from models.manifest import Thresholds
from models.parameters import DEFAULTS, complete, read_parameters
from models.thresholds import Targets, choose_thresholds
from models.windows import parse_span

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2018-07-25..2018-07-31", "2018-07-25 … 2018-08-01"),
        ("2018-07-25..2018-07-25", "2018-07-25 … 2018-07-26"),
        ("2018-07-25T06:00..2018-07-26", "2018-07-25T06:00:00.000 … 2018-07-27"),
        ("2018-07-25T06:00:00+02:00..2018-07-25T12:00:00.5Z", "2018-07-25T04:00:00.000 … 2018-07-25T12:00:00.500"),
    ],
)
def test_days_are_whole_and_a_clock_time_ends_before_itself(text, shown):
    assert str(parse_span(text, "--train")) == shown


@pytest.mark.parametrize("text", ["", "2018-07-25", "2018-07-25..", "..", "july..august", "2018-02-30..2018-03-01"])
def test_what_is_no_span_is_told_with_an_example(text):
    with pytest.raises(TrainingError, match=r"--train=.*2018-07-25\.\.2018-07-31"):
        parse_span(text, "--train")


def test_a_span_that_ends_before_it_begins_is_refused():
    with pytest.raises(TrainingError, match="ends before it begins"):
        parse_span("2018-07-25..2018-07-24", "--test")


def test_parameters_keep_their_types(tmp_path):
    (tmp_path / "p.yaml").write_text("max_depth: 4\nsubsample: 0.5\n")
    found = read_parameters([str(tmp_path / "p.yaml"), "max_depth=5", "eta=1e-2", "tree_method=exact", "seed=7"])
    assert found == {"max_depth": 5, "subsample": 0.5, "eta": 0.01, "tree_method": "exact", "seed": 7}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["no/such/file.yaml"], "neither name=value nor a file"),
        (["{folder}/list.yaml"], "not a mapping of names to plain values"),
        (["{folder}/broken.yaml"], "neither JSON nor YAML"),
    ],
)
def test_a_parameter_file_that_is_none_is_told(tmp_path, given, message):
    (tmp_path / "list.yaml").write_text("[1, 2]")
    (tmp_path / "broken.yaml").write_text("{")
    with pytest.raises(TrainingError, match=message):
        read_parameters([text.format(folder=tmp_path) for text in given])


def test_defaults_fill_what_is_left_open():
    assert complete({"max_depth": 3}) == {**DEFAULTS, "max_depth": 3, "objective": "binary:logistic"}
    assert complete({"defaults": "xgboost", "eta": 0.2}) == {
        "n_estimators": 100,
        "eta": 0.2,
        "objective": "binary:logistic",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_dept": 3, "wat": 1}, r"max_dept \(did you mean max_depth\?\); wat"),
        ({"objective": "reg:squarederror"}, "gives no probability"),
        ({"booster": "gblinear"}, "no trees"),
        ({"n_estimators": 0}, "n_estimators=0"),
        ({"n_estimators": 2.5}, "n_estimators=2.5"),
        ({"defaults": "lightgbm"}, "neither mitra nor xgboost"),
    ],
)
def test_parameters_that_make_no_model_are_refused(given, message):
    with pytest.raises(TrainingError, match=message):
        complete(given)


SCORES = np.array([0.9, 0.8, 0.8, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])
LABELS = np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 0], dtype=bool)


def test_thresholds_meet_their_targets():
    assert choose_thresholds(Targets(0.4, 0.7), SCORES, LABELS) == Thresholds(review=0.3, block=0.3)
    assert choose_thresholds(Targets(0.4, 0.8), SCORES, LABELS) == Thresholds(review=0.3, block=0.9)
    assert choose_thresholds(Targets(0.2, 0.9), SCORES, LABELS) == Thresholds(review=0.9, block=0.9)


def test_equal_scores_are_flagged_together_or_not_at_all():
    assert choose_thresholds(Targets(0.2, 1.0), SCORES, LABELS).review == 0.9
    assert choose_thresholds(Targets(0.05, 1.0), SCORES, LABELS).review is None


def test_a_target_that_no_score_meets_gives_no_threshold():
    assert choose_thresholds(Targets(0.4, 0.9), SCORES, ~LABELS).block is None


def test_a_given_threshold_wins_over_its_target():
    assert choose_thresholds(Targets(review=0.25, block=0.75), SCORES, LABELS) == Thresholds(0.25, 0.75)


@pytest.mark.parametrize("targets", [Targets(flagged_share=1.5), Targets(block_precision=-1), Targets(review=2)])
def test_a_target_that_is_no_share_is_refused(targets):
    with pytest.raises(TrainingError, match="out of range"):
        targets.check()


def test_a_distribution_of_many_values_has_ten_equal_shares():
    found = describe(np.arange(1, 101, dtype=np.float64))
    assert found.deciles == (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
    assert found.shares == pytest.approx([0.1] * 10)
    assert found.missing == 0


def test_a_distribution_of_few_values_has_a_share_for_each():
    found = describe(np.array([0.0] * 7 + [1.0] * 2 + [np.nan]))
    assert found.deciles == (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1)
    assert found.shares == pytest.approx((7 / 9, 2 / 9, 0))
    assert found.missing == pytest.approx(0.1)


def test_a_feature_without_values_has_no_deciles():
    found = describe(np.array([np.nan, np.nan]))
    assert (found.deciles, found.shares, found.missing) == ((), (), 1.0)
