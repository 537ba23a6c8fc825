"""Training as a whole: what it holds out, what it measures, what it refuses, what it writes."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mitra.cli import main
from models.artefact import load_model, write_artefact
from models.dataset import CardSource, read_dataset
from models.errors import TrainingError
from models.labels import LabelSource
from models.metrics import auc_roc
from models.training import Order, train
from models.windows import Span, parse_span
from tests.factories.replays import DAY_MS, START_MS, replayed

TRAIN, TEST = parse_span("2024-01-01..2024-01-12", "train"), parse_span("2024-01-15..2024-01-20", "test")
# One thread: a second one that has to wait for a busy core makes small fits slow.
SMALL = {"n_estimators": 10, "max_depth": 3, "nthread": 1}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return replayed(tmp_path_factory.mktemp("replayed"))


@pytest.fixture(scope="module")
def data(files):
    cards = CardSource((files.transactions,), "id", ("card",))
    source = LabelSource(files.labels, "id", "verdict", after_ms=DAY_MS)
    return read_dataset(files.features, source, None, Span(TRAIN.from_ms, TEST.to_ms), cards=cards)


def order(**more):
    return Order("shop", "m", "1", TRAIN, TEST, **{"parameters": SMALL, "label_delay_ms": DAY_MS, **more})


def test_the_artefact_scores_as_its_metrics_say(data, tmp_path):
    trained = train(data, order())
    model = load_model(write_artefact(tmp_path / "m", trained.manifest, trained.model))
    metrics = trained.manifest.metrics["test"]
    assert 0.7 < metrics["auc_roc"] < 1
    assert metrics["rows"] < data.within(TEST).sum()  # cards known as compromised are left out
    assert "card_precision_100" in metrics
    everything = train(read_without_cards(data), order())
    scores = model.raw_scores(data.x[data.within(TEST)])
    assert everything.manifest.metrics["test"]["auc_roc"] == auc_roc(scores, data.labels[data.within(TEST)])


def read_without_cards(data):
    return replace(data, cards=None)


def test_training_twice_writes_the_same_bytes(data):
    first, second = train(data, order()), train(data, order())
    assert first.model == second.model
    assert first.manifest == second.manifest


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_calibrated_scores_sum_to_the_frauds_of_the_held_out_rows(data, method):
    metrics = train(data, order(calibration=method)).manifest.metrics["held_out"]
    assert metrics["expected_frauds"] == pytest.approx(metrics["frauds"], rel=0.02)


def test_the_test_window_changes_nothing_but_its_metrics(data):
    spoiled = replace(data, labels=np.where(data.within(TEST), ~data.labels, data.labels))
    one, other = train(data, order()), train(spoiled, order())
    assert one.model == other.model
    assert one.manifest.calibration == other.manifest.calibration
    assert one.manifest.thresholds == other.manifest.thresholds
    assert one.manifest.baseline == other.manifest.baseline
    assert one.manifest.metrics["test"] != other.manifest.metrics["test"]


def test_labels_known_only_after_the_test_began_are_not_learnt_from(data):
    late = data.event_time_ms >= TRAIN.to_ms - 2 * DAY_MS
    delayed = replace(data, known_ms=np.where(late, TEST.from_ms + 1, data.known_ms))
    trained = train(delayed, order())
    inside = data.within(TRAIN)
    assert trained.not_yet_known == int((late & inside).sum())
    assert trained.manifest.training.train.rows == int((inside & ~late).sum())


def test_progress_tells_of_every_tree(data):
    seen = []
    train(data, order(folds=2), lambda stage, done, of: seen.append((stage, done, of)))
    assert seen == [
        (stage, done, 10) for stage in ("fitting", "calibrating 1/2", "calibrating 2/2") for done in range(1, 11)
    ]


def test_windows_that_overlap_are_refused(data):
    with pytest.raises(TrainingError, match="begins before the training window"):
        train(data, Order("shop", "m", "1", TRAIN, parse_span("2024-01-12..2024-01-20", "test")))


def test_one_fold_holds_nothing_out(data):
    with pytest.raises(TrainingError, match="folds=1 holds nothing out"):
        train(data, order(folds=1))


def test_a_window_without_frauds_says_where_there_is_data(data):
    empty = Span(START_MS - 5 * DAY_MS, START_MS)
    with pytest.raises(TrainingError, match=r"rows=0 frauds=0; .* labelled rows run from 2024-01-01T"):
        train(data, Order("shop", "m", "1", empty, TEST))


@pytest.mark.parametrize("parameters", [{"max_depth": -3}, {"tree_method": "psychic"}, {"subsample": 7}])
def test_what_xgboost_refuses_is_told_in_a_sentence(data, parameters):
    with pytest.raises(TrainingError, match=r"XGBoost refuses the parameters: .+") as caught:
        train(data, order(parameters=SMALL | parameters))
    assert "Stack trace" not in str(caught.value)


def test_too_few_frauds_for_held_out_pieces_are_told(data):
    frauds = np.flatnonzero(data.labels & data.within(TRAIN))
    few = data.labels.copy()
    few[frauds[2:]] = False
    with pytest.raises(TrainingError, match="folds=5 leaves"):
        train(replace(data, labels=few), order())


PIPELINE = """
name: shop
kafka: {bootstrap: "localhost:9092"}
events:
  payment:
    topic: shop.payments
    id: id
    time: at
    fields: {id: integer, at: time, card: integer, amount: number}
entities: {card: card}
labels: {id: id, label: verdict}
features:
  amount: amount
  count_1h: count(by=card, over="1h")
  is_night: hour(time) < 6
"""


def command(files, folder: Path, *more: str) -> list[str]:
    (folder / "pipeline.yaml").write_text(PIPELINE)
    return [
        "train", str(folder / "pipeline.yaml"), "--features", str(files.features), "--labels", str(files.labels),
        "--train", "2024-01-01..2024-01-12", "--test", "2024-01-15..2024-01-20", "--output", str(folder / "model"),
        "--params", "n_estimators=10", "max_depth=3", "nthread=1", *more,
    ]  # fmt: skip


def test_the_command_writes_an_artefact_and_tells_how_good_it_is(files, tmp_path, capsys):
    assert main(command(files, tmp_path)) == 0
    assert "auc_roc" in capsys.readouterr().out
    model = load_model(tmp_path / "model")
    assert model.reference == "shop@2024-01-12"
    assert model.features == ("amount", "count_1h", "is_night")


def test_the_command_speaks_json(files, tmp_path, capsys):
    cards = ["--transactions", str(files.transactions), "--card", "card", "--label-delay", "1d"]
    assert main(command(files, tmp_path, "--json", "--name", "fraud", "--version", "7", *cards)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == "fraud@7"
    assert found["features"] == 3
    assert math.isfinite(found["metrics"]["test"]["card_precision_100"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--train", "2024-02-01..2024-02-02", "--test", "2024-02-03..2024-02-04"], "its data runs from 2024-01-01T"),
        (["--label-delay", "a week"], "--label-delay 'a week' is not a length of time"),
        (["--card", "card"], "--card and --transactions go together"),
        (["--params", "max_dept=3"], "did you mean max_depth"),
        (["--version", "v 1"], "not a plain name"),
    ],
)
def test_the_command_says_what_is_wrong(files, tmp_path, capsys, more, message):
    assert main(command(files, tmp_path, *more)) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_the_command_replaces_a_model_only_when_told(files, tmp_path, capsys):
    assert main(command(files, tmp_path)) == 0
    assert main(command(files, tmp_path)) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main(command(files, tmp_path, "--overwrite", "--version", "2")) == 0
    assert load_model(tmp_path / "model").reference == "shop@2"
