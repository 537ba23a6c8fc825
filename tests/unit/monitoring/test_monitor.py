"""The monitor behind decide: what it tells of windows is what a plain count over the decisions and labels says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from mitra.blueprint import Blueprint
from mitra.history import MemoryStore
from mitra.monitoring.observed import Labelled, Payments, Sheet, encode
from mitra.pipeline import load_pipeline
from mitra.stages.monitor import MonitorStage
from models.baseline import describe
from models.manifest import Baseline

DAY_MS = 86_400_000
WEEK = range(7)
PIPELINE = """
name: watched
events:
  payment: {id: id, time: at, late_after: 1m, fields: {id: string, at: time, customer: string, amount: number, country: string}}
entities: {customer: customer}
labels: {id: id, absent_is: legit, after: 3d}
features:
  amount: amount
  country: country
  weekend: weekday(time) >= 5
  mean_1d: mean(amount, by=customer, over="1d")
  count_1d: count(by=customer, over="1d")
job: {buckets: 2}
monitor:
  window: 1d
  amount: amount
  quality: {frauds: 5, drop: 0.3}
  checks:
    amount: {least: 0, most: 1000, outside: 0.01, missing: 0.1}
    country: {known: [DE, AT], unseen: 0.05}
  volume: {least: 20}
"""
FEATURES = ["amount", "weekend", "mean_1d", "count_1d"]


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory: pytest.TempPathFactory) -> Blueprint:
    path = tmp_path_factory.mktemp("monitor") / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return Blueprint(load_pipeline(path))


def values(rng: np.random.Generator, day: int, count: int, factor: float = 1.0) -> np.ndarray:
    """Return features of a day's payments: weekends are known by their flag."""
    amount = rng.lognormal(3.0, 0.7, count) * factor
    return np.column_stack(
        [amount, np.full(count, float(day % 7 >= 5)), rng.lognormal(3.0, 0.5, count), rng.poisson(3, count)]
    ).astype(np.float32)


def sheet(average_precision: float | None = None) -> Sheet:
    """Return a model trained on two weeks, told with how much its days differ."""
    from models.baseline import baseline  # noqa: PLC0415
    from models.manifest import ModelFeature  # noqa: PLC0415

    rng = np.random.default_rng(0)
    days = [values(rng, day, 400) for day in range(14)]
    times = np.concatenate([day * DAY_MS + np.sort(rng.integers(0, DAY_MS, 400)) for day in range(14)])
    scores = rng.random(len(times))
    features = tuple(ModelFeature(name, "number") for name in FEATURES)
    found = baseline(features, np.concatenate(days), scores, scores, times, DAY_MS)
    return Sheet("m@1", 0.5, 0.9, average_precision, found)


class Told:
    """Days of payments through the stage, whatever is told collected."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.store, self.blueprint = MemoryStore(), blueprint
        self.now_ms = 0.0
        self.records: list[dict[str, Any]] = []
        self.restart()

    def restart(self) -> None:
        assert self.blueprint.pipeline.monitoring is not None
        self.stage = MonitorStage(self.blueprint, self.blueprint.pipeline.monitoring, self.store, lambda: self.now_ms)

    def take(self, *observations: Any) -> None:
        self.records += [json.loads(one) for one in self.stage.process([encode(one) for one in observations])]

    def of(self, metric: str, **more: Any) -> list[dict[str, Any]]:
        return [one for one in self.records if one["metric"] == metric and more.items() <= one.items()]


def payments(day: int, rows: np.ndarray, bucket: int = 0, **more: Any) -> Payments:
    count = len(rows)
    rng = np.random.default_rng(day)
    times = day * DAY_MS + np.sort(rng.integers(0, DAY_MS, count))
    raw = more.pop("raw", rng.random((count, 1)).astype(np.float32).astype(np.float64))
    fields: dict[str, Any] = {
        "bucket": bucket,
        "clocks_ms": {0: int(times[-1]) if count else day * DAY_MS},
        "times_ms": times.tobytes(),
        "features": FEATURES,
        "numbers": rows.tobytes(),
        "checked_names": ["amount"],
        "checked": rows[:, 0].astype(np.float64).tobytes(),
        "text_names": ["country"],
        "texts": bytes(count),
        "models": ["m@1"],
        "modes": ["champion"],
        "raw": raw.tobytes(),
        "scores": raw.tobytes(),
        "deciding": np.zeros(count, dtype=np.int8).tobytes(),
        "outcomes": bytes(count),
        "amounts": rows[:, 0].astype(np.float64).tobytes(),
    }
    return Payments(**fields | more)


def labelled(
    told: Payments, rows: list[int], classes: list[int], known_at_ms: int, before: list[tuple[int, int]]
) -> Labelled:
    """Return labels of some payments that were told: what they say, and what the label before said, since when."""

    def picked(data: bytes, kind: Any) -> bytes:
        columns = np.frombuffer(data, dtype=kind).reshape(len(told.outcomes), -1)
        return bytes(columns[rows].tobytes())

    return Labelled(
        times_ms=picked(told.times_ms, np.int64),
        classes=bytes(classes),
        known_at_ms=np.full(len(rows), known_at_ms, dtype=np.int64).tobytes(),
        before=bytes(one for one, _ in before),
        before_known_at_ms=np.array([at for _, at in before], dtype=np.int64).tobytes(),
        models=told.models,
        raw=picked(told.raw, np.float64),
        scores=picked(told.scores, np.float64),
        deciding=picked(told.deciding, np.int8),
        outcomes=picked(told.outcomes, np.uint8),
        amounts=picked(told.amounts, np.float64),
    )


def both(day: int, rows: np.ndarray, **more: Any) -> list[Payments]:
    """Return a day's payments in bucket 0, and word of bucket 1 that it has come as far."""
    first = payments(day, rows, **more)
    return [first, payments(day, rows[:0], bucket=1, clocks_ms=first.clocks_ms, raw=np.empty((0, 1)))]


def test_weekends_and_a_day_of_chance_are_no_alarm_but_a_field_that_moves_is(blueprint: Blueprint) -> None:
    told, rng = Told(blueprint), np.random.default_rng(5)
    told.take(sheet())
    for day in range(14, 28):
        told.take(*both(day, values(rng, day, 300, factor=1.0 if day < 24 else 1.8)))
    assert {one["from"] // DAY_MS for one in told.of("drift")} == set(range(14, 27))
    (alarm,) = told.of("alarm", about="drift")
    assert alarm["from"] == 24 * DAY_MS
    assert (alarm["raised"], alarm["on"], alarm["built_on"]) == (["amount"], ["amount"], ["mean_1d"])
    by_day = {one["from"] // DAY_MS: one for one in told.of("drift", feature="amount")}
    assert [day for day, one in by_day.items() if one["alarm"]] == [24, 25, 26]
    assert by_day[20]["value"] < by_day[20]["allowed"] / 2


def test_an_alarm_stays_until_the_value_is_well_below(blueprint: Blueprint) -> None:
    told, rng = Told(blueprint), np.random.default_rng(6)
    told.take(sheet())
    for day, factor in enumerate((1.0, 1.8, 1.3, 1.0, 1.0), start=14):
        told.take(*both(day, values(rng, day, 2_000, factor)))
    changes = [(one["from"] // DAY_MS, one["raised"], one["cleared"]) for one in told.of("alarm", about="drift")]
    assert changes == [(15, ["amount"], []), (17, [], ["amount"])]
    between = {one["from"] // DAY_MS: one for one in told.of("drift", feature="amount")}[16]
    assert 0.1 < between["value"] < between["allowed"]
    assert between["alarm"]


def test_values_that_go_missing_are_an_alarm(blueprint: Blueprint) -> None:
    told, rng = Told(blueprint), np.random.default_rng(7)
    told.take(sheet())
    for day in (14, 15, 16):
        rows = values(rng, day, 300)
        rows[:: 5 if day == 15 else 1_000, 2] = np.nan
        told.take(*both(day, rows))
    assert [(one["from"] // DAY_MS, one["on"]) for one in told.of("alarm", about="missing")] == [(15, ["mean_1d"])]


def test_checks_and_volume_are_those_of_the_file(blueprint: Blueprint) -> None:
    told, rng = Told(blueprint), np.random.default_rng(8)
    good, bad = values(rng, 1, 100), values(rng, 2, 100)
    bad[:3, 0] = (-1.0, 5_000.0, 1_000.5)
    bad[3:23, 0] = np.nan
    told.take(*both(1, good))
    told.take(*both(2, bad, texts=bytes([1] * 7 + [2] * 3 + [0] * 90)))
    told.take(*both(6, good[:5]), *both(7, good))
    found = {(one["from"] // DAY_MS, one["feature"], one["check"]): one for one in told.of("check")}
    assert found[1, "amount", "outside"]["alarm"] is False
    assert found[2, "amount", "outside"]["value"] == pytest.approx(3 / 80)
    assert found[2, "amount", "missing"]["value"] == pytest.approx(0.2)
    assert found[2, "country", "unseen"]["value"] == pytest.approx(7 / 97)
    assert all(found[2, *key]["alarm"] for key in (("amount", "outside"), ("amount", "missing"), ("country", "unseen")))
    volume = [(one["from"] // DAY_MS, one["payments"], one["alarm"]) for one in told.of("volume")]
    assert volume == [(1, 100, False), (2, 100, False), (3, 0, True), (4, 0, True), (5, 0, True), (6, 5, True)]
    assert [one["from"] // DAY_MS for one in told.of("alarm", about="volume")] == [3]


def play(told: Told, restart: Callable[[], None]) -> tuple[list[bool], list[float]]:
    """Play a day with labels of all kinds and the days until they have matured; return truth and raw scores."""
    rng = np.random.default_rng(9)
    rows = values(rng, 1, 400)
    day = payments(1, rows)
    raw = np.frombuffer(day.raw)
    truth = rng.random(400) < raw / 3
    frauds = np.flatnonzero(truth).tolist()
    in_time = (1 + 1 + 3) * DAY_MS
    told.take(sheet(average_precision=0.9), day)
    restart()
    wrong = [row for row in range(400) if not truth[row]][:20]
    told.take(
        labelled(day, frauds[3:] + wrong, [2] * (len(frauds) - 3 + 20), 2 * DAY_MS, [(0, 0)] * (len(frauds) + 17))
    )
    restart()
    # A correction supersedes; what became known too late doesn't count, nor takes away what counted.
    told.take(labelled(day, wrong, [1] * 20, 3 * DAY_MS, [(2, 2 * DAY_MS)] * 20))
    told.take(labelled(day, frauds[:3], [2] * 3, in_time + 1, [(0, 0)] * 3))
    told.take(labelled(day, frauds[3:5], [1] * 2, in_time + 1, [(2, 2 * DAY_MS)] * 2))
    restart()
    truth[frauds[:3]] = False
    for later in range(2, 7):
        told.take(*both(later, values(rng, later, 50)))
        restart()
    return truth.tolist(), raw.tolist()


@pytest.mark.parametrize("restarts", [False, True])
def test_quality_counts_matured_labels_alone_and_is_scikit_learns(blueprint: Blueprint, restarts: bool) -> None:
    told = Told(blueprint)
    truth, raw = play(told, told.restart if restarts else lambda: None)
    scored = next(one for one in told.of("quality", model="m@1", arm="scored") if one["from"] == DAY_MS)
    assert scored["auc"] == pytest.approx(roc_auc_score(truth, raw), abs=1e-9)
    assert scored["average_precision"] == pytest.approx(average_precision_score(truth, raw), abs=1e-9)
    assert (scored["payments"], scored["frauds"], scored["exact"]) == (400, sum(truth), True)
    flagged = np.array(raw) >= 0.5
    assert scored["flagged"] == int(flagged.sum())
    assert scored["precision"] == pytest.approx(float(np.array(truth)[flagged].mean()))
    assert scored["alarm"], "far below the manifest's average precision"
    (alarm, *_) = told.of("alarm", about="quality")
    assert (alarm["model"], alarm["raised"]) == ("m@1", ["average_precision"])
    (decisions,) = [one for one in told.of("quality", arm="decided") if "model" not in one and one["from"] == DAY_MS]
    assert (decisions["flagged"], decisions["missed"] > 0) == (0, True)


def test_a_restart_changes_nothing_that_is_told(blueprint: Blueprint) -> None:
    straight, torn = Told(blueprint), Told(blueprint)
    play(straight, lambda: None)
    play(torn, torn.restart)
    assert torn.records == straight.records
    assert len(straight.records) > 20


def test_arms_are_told_side_by_side(blueprint: Blueprint) -> None:
    told, rng = Told(blueprint), np.random.default_rng(11)
    raw = rng.random((200, 2))
    deciding = (np.arange(200) % 10 == 0).astype(np.int8)
    day = payments(
        1,
        values(rng, 1, 200),
        models=["m@1", "m@2"],
        modes=["champion", "challenger"],
        raw=raw,
        deciding=deciding.tobytes(),
    )
    told.take(sheet(), day, labelled(day, [0, 1], [2, 2], 2 * DAY_MS, [(0, 0)] * 2))
    for later in range(2, 8):
        told.take(*both(later, values(rng, later, 10)))
    found = {(one["model"], one["arm"]): one for one in told.of("quality") if "model" in one and one["from"] == DAY_MS}
    assert {key: (one["payments"], one["frauds"], one["mode"]) for key, one in found.items()} == {
        ("m@1", "scored"): (200, 2, "champion"),
        ("m@1", "decided"): (180, 1, "champion"),
        ("m@2", "scored"): (200, 2, "challenger"),
        ("m@2", "decided"): (20, 1, "challenger"),
    }


def test_nothing_is_told_before_the_slowest_bucket_is_there(blueprint: Blueprint) -> None:
    told, rng = Told(blueprint), np.random.default_rng(12)
    for day in (1, 2, 3):
        told.take(payments(day, values(rng, day, 30)))
    assert told.records == []
    told.take(payments(2, values(rng, 2, 30), bucket=1))
    assert {one["from"] for one in told.records} == {DAY_MS}
    told.now_ms = 700_000.0
    told.take(payments(4, values(rng, 4, 30)))
    assert {one["from"] for one in told.records} == {DAY_MS, 2 * DAY_MS, 3 * DAY_MS}, (
        "a bucket that is silent holds nothing back"
    )


def test_after_a_restart_the_backlog_of_one_bucket_does_not_end_the_windows_of_another(blueprint: Blueprint) -> None:
    told, rng = Told(blueprint), np.random.default_rng(14)
    told.take(*both(1, values(rng, 1, 30)))
    told.now_ms = 10_000_000.0
    told.restart()
    told.take(payments(4, values(rng, 4, 30)))
    assert told.records == []
    told.take(*both(4, values(rng, 4, 30)))
    assert [one["from"] // DAY_MS for one in told.of("volume")] == [1]


def test_a_baseline_that_is_another_starts_the_window_anew(blueprint: Blueprint) -> None:
    told, rng = Told(blueprint), np.random.default_rng(13)
    other = describe(np.full(10, 5.0))
    told.take(sheet(), payments(1, values(rng, 1, 30)))
    told.take(Sheet("m@1", None, None, None, Baseline({"amount": other}, other, other)))
    told.take(*both(2, values(rng, 2, 30)), *both(3, values(rng, 3, 30)))
    assert {(one["from"] // DAY_MS, one.get("feature", one.get("score"))) for one in told.of("drift")} == {
        (2, "amount"), (2, "raw_score"), (2, "score"),
    }  # fmt: skip


def test_the_pipeline_is_that_of_the_example(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    monitoring = load_pipeline(path).monitoring
    assert monitoring is not None
    assert (monitoring.window_ms, monitoring.matured_ms) == (DAY_MS, 3 * DAY_MS)
