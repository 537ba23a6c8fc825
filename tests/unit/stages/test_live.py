"""Live features over a restore: what was told before it holds in the end, or is told otherwise."""

import json
from typing import Any

import pytest

from mitra.pipeline import Pipeline, load_pipeline
from tests.factories.wired import WiredJob

PIPELINE = """
name: small
events:
  payment: {decided: true, topic: payments, id: id, time: at, fields: {id: string, at: time, customer: string}}
  reset: {decided: false, topic: resets, id: id, time: at, fields: {id: string, at: time, customer: string}}
entities: {customer: customer}
job: {lanes: 1, buckets: 1}
features: {resets_5m: {expression: 'count(by=customer, over="5m", event=reset)', emit: on_change}}
"""
START, MINUTE = 1_700_000_000_000, 60_000


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    path = tmp_path_factory.mktemp("live") / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return load_pipeline(path)


def send(job: WiredJob, topic: str, minute: float, now: float, customer: str = "c") -> None:
    at = START + int(minute * MINUTE)
    value = {"id": f"{topic}{minute}", "at": at, "customer": customer}
    job.read(START + int(now * MINUTE), [(topic, json.dumps(value).encode())])


def told(job: WiredJob) -> list[tuple[float, Any]]:
    """Return what was told of a customer: as of which minute, and the value."""
    return [((one["as_of"] - START) / MINUTE, one["value"]) for one in job.told if one["key"] == "c"]


def test_what_was_told_before_a_crash_is_corrected_where_the_backlog_comes_in_another_order(
    pipeline: Pipeline,
) -> None:
    lost, restored = WiredJob(pipeline), WiredJob(pipeline)
    send(lost, "payments", 5, now=30)
    send(lost, "resets", 1, now=30)
    assert told(lost) == [(5, 0), (5, 1)]
    # Nothing of that was kept, and now the reset comes when it has left its window: the value is 0 all along.
    send(restored, "payments", 3, now=31)
    send(restored, "payments", 5, now=31)
    send(restored, "payments", 9, now=31, customer="d")
    send(restored, "resets", 1, now=31)
    restored.tick(START + 45 * MINUTE)
    assert {value for _, value in told(restored)} == {0}
    last = dict(told(lost) + told(restored))  # of those as of one time, what was written last
    assert (max(last), last[max(last)]) == (10, 0)


def test_behind_a_start_a_value_is_told_once_more_and_then_where_it_changes(pipeline: Pipeline) -> None:
    job = WiredJob(pipeline, listens=True)
    for minute in (1.0, 2.0, 3.0):
        send(job, "payments", minute, now=minute)
    assert told(job) == [(1, 0)]
    job.restart(START + 4 * MINUTE)
    for minute in (5.0, 5.5, 5.75):
        send(job, "payments", minute, now=minute)
    assert told(job) == [(1, 0), (5, 0)]
