"""Retraining out of a log: judged on the newest matured days, shipped and pushed if it is better, and told why."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import mitra.control.kafka
from mitra.cli import main
from mitra.control.replay import context_of
from mitra.log.names import LOG_NAMES
from mitra.pipeline import Pipeline, load_pipeline
from mitra.retrain.settings import Retraining
from mitra.retrain.watch import Watch
from models.artefact import load_model
from models.errors import TrainingError
from models.manifest import Training, Window
from models.parameters import DEFAULTS
from models.retraining import spans
from models.windows import Span, parse_span
from tests.factories.control_topics import MemoryTopics
from tests.factories.models import tiny_model
from tests.factories.replays import DAY_MS, START_MS, replayed

PIPELINE = """
name: shop
events: {payment: {id: id, time: at, fields: {id: string, at: time, customer: string, amount: number}}}
entities: {customer: customer}
labels: {id: id, label: verdict, absent_is: legit, after: 2d}
features: {amount: amount, count_1h: 'count(by=customer, over="1h")', is_night: hour(time) < 6}
log: {path: log}
retrain: {train: 14d, test: 4d, percent: 10}
"""
AS_OF = "2024-01-27T12:00:00Z"


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline file beside its log of 26 days; its models are small."""
    monkeypatch.setitem(DEFAULTS, "n_estimators", 40)
    monkeypatch.setitem(DEFAULTS, "nthread", 1)
    made = replayed(tmp_path, days=26, per_day=100, text_ids=True)
    table = pq.read_table(made.features / "decisions.parquet").drop_columns(["outcome", "score", "country"])
    count = table.num_rows
    for name in sorted(LOG_NAMES - set(table.column_names) - {"day"}):
        table = table.append_column(name, pa.nulls(count, pa.string()))
    days = pc.strftime(table["event_time"].cast(pa.timestamp("ms")), "%Y-%m-%d")
    for day in set(days.to_pylist()):
        folder = tmp_path / "log" / "decisions" / f"day={day}"
        folder.mkdir(parents=True)
        pq.write_table(table.filter(pc.equal(days, day)), folder / "part-0-0")
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def priority(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How far the command stepped back; this process keeps its priority for the tests to come."""
    asked: list[int] = []
    monkeypatch.setattr(os, "nice", asked.append)
    return asked


@pytest.fixture
def poor(tmp_path: Path) -> Path:
    """A champion that looks at the wrong feature."""
    tiny_model(tmp_path / "poor", ("count_1h", "amount"))
    return tmp_path / "poor" / "tiny-1"


@pytest.fixture
def topics(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryTopics:
    made = MemoryTopics(context_of(load_pipeline(pipeline)), lanes=1, buckets=2)

    @contextmanager
    def opened(_: Pipeline) -> Iterator[MemoryTopics]:
        yield made

    monkeypatch.setattr(mitra.control.kafka, "open_topics", opened)
    monkeypatch.setattr("mitra.control.monitor.model_use", lambda _: {})
    return made


def retrain(pipeline: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    labels = str(pipeline.parent / "labels.parquet")
    status = main(["retrain", str(pipeline), "--labels", labels, "--as-of", AS_OF, "--json", *more])
    said = capsys.readouterr()
    assert said.err == ""
    return status, json.loads(said.out)


def test_a_better_model_ships_with_all_that_was_done(
    pipeline: Path, poor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = retrain(pipeline, capsys, "--no-push", "--champion", str(poor))
    assert (status, found["better"], found["champion"]) == (0, True, "tiny@1")
    assert found["challenger_measured"]["average_precision"] > found["champion_measured"]["average_precision"] + 0.2
    model = load_model(found["artefact"])
    assert model.reference == found["model"]
    assert model.manifest.training is not None
    assert model.manifest.training.test is not None
    span, test = model.manifest.training.train, model.manifest.training.test
    assert (span.from_ms, span.to_ms) == (START_MS + 10 * DAY_MS, START_MS + 24 * DAY_MS), (
        "what ships has seen the test days, and no more days than what was judged"
    )
    assert (test.from_ms, test.to_ms) == (START_MS + 20 * DAY_MS, START_MS + 24 * DAY_MS)
    about = model.manifest.metrics["retraining"]
    assert (about["why"], about["champion"], about["as_of"]) == ("by hand", "tiny@1", "2024-01-27T12:00:00.000Z")
    assert about["challenger"] == found["challenger_measured"]
    assert model.manifest.metrics["test"]["average_precision"] == found["challenger_measured"]["average_precision"]


def test_one_that_is_not_better_by_the_margin_does_not(
    pipeline: Path, poor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.write_text(PIPELINE.replace("percent: 10", "margin: 0.99"), encoding="utf-8")
    status, found = retrain(pipeline, capsys, "--no-push", "--champion", str(poor))
    assert (status, found["better"], found["artefact"]) == (0, False, None)
    assert not (pipeline.parent / "models").exists()


def test_it_is_pushed_as_a_challenger_with_the_reason(
    pipeline: Path, poor: Path, topics: MemoryTopics, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "push", str(pipeline), str(poor)]) == 0
    assert main(["models", "mode", str(pipeline), "tiny@1", "champion"]) == 0
    capsys.readouterr()
    status, found = retrain(pipeline, capsys)
    assert (status, found["champion"], found["test"]) == (0, "tiny@1", "2024-01-21 … 2024-01-25")
    pushed = [(one["ok"], [change["change"] for change in one["changes"]]) for one in found["pushed"]]
    assert pushed == [(True, ["model.put"]), (True, ["model.mode"])]
    assert main(["models", "list", str(pipeline), "--json"]) == 0
    live = {one["model"]: (one["mode"], one["percent"]) for one in json.loads(capsys.readouterr().out)["models"]}
    (name,) = set(live) - {"tiny@1"}
    assert live == {"tiny@1": ("champion", None), name: ("challenger", 10)}
    assert main(["models", "show", str(pipeline), name, "--json"]) == 0
    history = json.loads(capsys.readouterr().out)["history"]
    assert all(one["reason"].startswith("retrained because of by hand: average precision") for one in history)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--watch", "--as-of", AS_OF], "--watch and --as-of exclude each other"),
        (["--labels", "nowhere.parquet"], "there is no file nowhere.parquet"),
        (["--log", "nowhere", "--no-push"], "has no decisions; name the folder"),
        (["--as-of", "2023-01-10", "--no-push", "--labels", "LABELS"], "has no decision from"),
        (["--as-of", "soon"], "--as-of=soon is no time"),
        (["--threads", "0"], "--threads=0 can't work; give 1 or more"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    pipeline: Path, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = str(pipeline.parent / "labels.parquet")
    assert main(["retrain", str(pipeline), *(labels if word == "LABELS" else word for word in more)]) == 1
    assert said in capsys.readouterr().err


def test_it_steps_back_behind_whatever_else_runs(pipeline: Path) -> None:
    labels = str(pipeline.parent / "labels.parquet")
    command = [sys.executable, "-m", "mitra.cli", "retrain", str(pipeline), "--labels", labels, "--no-push"]
    with subprocess.Popen([*command, "--as-of", AS_OF], stdout=subprocess.DEVNULL) as process:
        seen = set()
        while process.poll() is None:
            seen.add(os.getpriority(os.PRIO_PROCESS, process.pid))
            time.sleep(0.01)
    assert (process.returncode, max(seen)) == (0, 19)


def test_without_a_section_it_says_which(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.write_text(PIPELINE.partition("retrain:")[0], encoding="utf-8")
    assert main(["retrain", str(pipeline)]) == 1
    assert "pipeline shop has no section retrain; add `retrain: {}`" in capsys.readouterr().err


def test_the_windows_end_with_the_last_day_whose_labels_have_matured() -> None:
    as_of = parse_span("2024-01-27T12:00..2024-01-28T00:00", "as of").from_ms
    train, test = spans(as_of, 2 * DAY_MS, 14 * DAY_MS, 4 * DAY_MS)
    assert (test.from_ms, test.to_ms) == (START_MS + 20 * DAY_MS, START_MS + 24 * DAY_MS)
    assert (train.from_ms, train.to_ms) == (START_MS + 6 * DAY_MS, START_MS + 20 * DAY_MS)


def test_the_champion_is_not_judged_by_what_it_learnt_from() -> None:
    as_of = START_MS + 26 * DAY_MS + 1
    learnt = Training("shop", Window(START_MS, START_MS + 22 * DAY_MS + 1, 100, 9))
    train, test = spans(as_of, 2 * DAY_MS, 14 * DAY_MS, 4 * DAY_MS, learnt)
    assert (test.from_ms, test.to_ms) == (START_MS + 22 * DAY_MS + 1, START_MS + 24 * DAY_MS)
    assert (train.from_ms, train.to_ms) == (START_MS + 8 * DAY_MS + 1, test.from_ms)
    long_ago = Training("shop", Window(START_MS, START_MS + 3 * DAY_MS, 100, 9))
    assert spans(as_of, 2 * DAY_MS, 14 * DAY_MS, 4 * DAY_MS, long_ago) == spans(
        as_of, 2 * DAY_MS, 14 * DAY_MS, 4 * DAY_MS
    )
    too_new = Training("shop", Window(START_MS, START_MS + 24 * DAY_MS, 100, 9))
    with pytest.raises(
        TrainingError, match=r"learnt from payments up to 2024-01-25, and .* retrain from 2024-01-28 on"
    ):
        spans(as_of, 2 * DAY_MS, 14 * DAY_MS, 4 * DAY_MS, too_new)
    assert spans(START_MS + 27 * DAY_MS, 2 * DAY_MS, 14 * DAY_MS, 4 * DAY_MS, too_new)[1] == Span(
        START_MS + 24 * DAY_MS, START_MS + 25 * DAY_MS
    )


def test_one_that_learnt_all_the_champion_did_and_no_more_is_not_better(
    pipeline: Path, poor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, shipped = retrain(pipeline, capsys, "--no-push", "--champion", str(poor))
    champion = ("--champion", str(shipped["artefact"]), "--no-push")
    labels = str(pipeline.parent / "labels.parquet")
    assert main(["retrain", str(pipeline), "--labels", labels, "--as-of", AS_OF, *champion]) == 1
    assert "the champion learnt from payments up to 2024-01-25" in capsys.readouterr().err
    assert main(["retrain", str(pipeline), "--labels", labels, "--as-of", "2024-01-28T12:00:00Z", *champion]) == 0
    assert "the champion stays" in capsys.readouterr().out


def test_under_watch_it_is_time_on_an_alarm_and_by_schedule_and_not_too_soon() -> None:
    hour = 3_600_000
    watch = Watch(Retraining(Path("models"), every_ms=7 * DAY_MS, rest_ms=DAY_MS), 0)
    alarm = {"metric": "alarm", "about": "drift", "model": "m@1", "raised": ["amount"], "cleared": [], "on": ["amount"]}
    assert watch.due(hour) is None
    watch.hear([{"metric": "volume", "alarm": True}, {**alarm, "about": "volume"}, {**alarm, "raised": []}])
    assert watch.due(2 * hour) is None
    watch.hear([alarm])
    assert watch.due(3 * hour) == "an alarm, drift of m@1: amount"
    watch.hear([{**alarm, "about": "quality", "raised": ["average_precision"]}])
    assert watch.due(4 * hour) is None, "the last is hardly over"
    assert watch.due(3 * hour + DAY_MS) == "an alarm, quality of m@1: average_precision"
    assert watch.due(3 * hour + 3 * DAY_MS) is None
    assert watch.due(3 * hour + 8 * DAY_MS) == "the schedule"


def test_no_champion_at_all_is_no_hindrance(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = retrain(pipeline, capsys, "--no-push")
    assert (status, found["champion"], found["champion_measured"]) == (0, None, None)
    assert np.isfinite(found["challenger_measured"]["auc"])
