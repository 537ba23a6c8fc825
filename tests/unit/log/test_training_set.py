"""A training set has the served features, and of the labels those known by the given time; `mitra train` takes it as it is."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mitra.cli import main
from mitra.errors import MitraError
from mitra.log.training_set import write_training_set
from mitra.pipeline import Pipeline, load_pipeline
from tests.unit.log.conftest import EXAMPLE, HOUR_MS, Sample

DAY_MS = 24 * HOUR_MS
START_MS = 1_740_960_000_000


def test_it_has_the_served_features_and_the_labels_known_by_then(
    pipeline: Pipeline, sample: Sample, tmp_path: Path
) -> None:
    from_ms, to_ms, by_ms = START_MS + 2 * DAY_MS, START_MS + 6 * DAY_MS, START_MS + 5 * DAY_MS
    told = write_training_set(pipeline, sample.log, tmp_path, from_ms=from_ms, to_ms=to_ms, known_by_ms=by_ms)
    rows = pq.read_table(tmp_path / "decisions.parquet").to_pylist()
    wanted = {row["transaction_id"]: row for row in sample.job.logged if from_ms <= row["event_time"] < to_ms}
    assert [row["transaction_id"] for row in rows] == sorted(wanted, key=lambda id: (wanted[id]["event_time"], id))
    for row in rows:
        assert {name: row[name] for name in pipeline.features} == {
            name: wanted[row["transaction_id"]][name] for name in pipeline.features
        }
    labels = pq.read_table(tmp_path / "labels.parquet").to_pylist()
    known = {row["transaction_id"]: row["is_fraud"] for row in sample.labels.to_pylist() if row["known_at"] <= by_ms}
    expected = {id: label for id, label in known.items() if id in wanted}
    assert {row["transaction_id"]: row["is_fraud"] for row in labels} == expected
    assert (told.payments, told.labelled, told.frauds) == (len(wanted), len(expected), sum(expected.values()))
    assert told.frauds > 0


def test_files_of_labels_stand_in_for_those_of_the_log(pipeline: Pipeline, sample: Sample, tmp_path: Path) -> None:
    span = {"from_ms": START_MS, "to_ms": START_MS + 10 * DAY_MS, "known_by_ms": START_MS + 5 * DAY_MS}
    own = write_training_set(pipeline, sample.log, tmp_path / "own", **span)
    given = write_training_set(pipeline, sample.log, tmp_path / "given", labels=(sample.labels_path,), **span)
    assert own == given
    one, other = (pq.read_table(tmp_path / name / "labels.parquet") for name in ("own", "given"))
    assert one.equals(other)


def test_a_span_without_decisions_and_a_folder_without_a_log_are_told(
    pipeline: Pipeline, sample: Sample, tmp_path: Path
) -> None:
    with pytest.raises(MitraError, match="has no decision from 1 to 2"):
        write_training_set(pipeline, sample.log, tmp_path, from_ms=1, to_ms=2, known_by_ms=3)
    with pytest.raises(MitraError, match="has no decisions; name the folder that the pipeline's section log does"):
        write_training_set(pipeline, tmp_path, tmp_path, from_ms=1, to_ms=2, known_by_ms=3)


def test_train_takes_it_as_it_is(sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way on the command line: log, training set, model."""
    made = ["training-set", str(EXAMPLE), "--log", str(sample.log), "--output", str(tmp_path / "set"), "--json"]
    assert main(made) == 0
    assert json.loads(capsys.readouterr().out)["payments"] == sample.payments.num_rows
    trained = [
        "train",
        str(EXAMPLE),
        "--features",
        str(tmp_path / "set"),
        "--output",
        str(tmp_path / "model"),
        "--json",
    ]
    trained += ["--train", "2025-03-03..2025-03-08", "--test", "2025-03-09..2025-03-12", "--params", "n_estimators=5"]
    assert main(trained) == 0, capsys.readouterr().err
    assert json.loads(capsys.readouterr().out)["features"] == len(load_pipeline(EXAMPLE).features)
    assert main([*trained[:3], str(sample.log), *trained[4:]]) == 1
    assert "has no labels.parquet, as a training set has; give --labels" in capsys.readouterr().err
