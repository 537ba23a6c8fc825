"""Sequences in the job's stages: what decisions carry, what is told by alerts, and what is told where nothing comes."""

import json
from typing import Any

import pytest

from control_stream import LiveSet
from mitra.pipeline import Pipeline, load_pipeline
from rules import Rule, read_written
from tests.factories.wired import WiredJob

PIPELINE = """
name: small
kafka: {bootstrap: localhost:9092}
topics: {probes: small.probes}
events:
  payment:
    decided: true
    topic: payments
    id: id
    time: at
    fields: {id: string, at: time, customer: string, amount: number, device: {type: string, required: false}}
  login:
    decided: false
    topic: logins
    id: id
    time: at
    fields: {id: string, at: time, customer: string, device: string, new_device: boolean}
  reset:
    decided: false
    topic: resets
    id: id
    time: at
    fields: {id: string, at: time, customer: string}
entities: {customer: customer}
features: {spent: 'sum(amount, by=customer, over="1h")'}
"""
TAKEOVER = {
    "id": "takeover",
    "by": "customer",
    "within": "30m",
    "steps": [
        {"step": "device", "event": "login", "when": "new_device"},
        {"step": "reset", "event": "reset"},
        {"step": "payout", "event": "payment", "when": "amount > 500 and device.device == device"},
    ],
    "outcome": "block",
    "reason": "{amount} after a new device and a reset",
}
SILENT = {
    "id": "silent",
    "by": "customer",
    "within": "5m",
    "steps": [{"step": "reset", "event": "reset"}, {"absent": "login", "event": "login"}],
    "outcome": "review",
    "reason": "nobody logged in behind a reset",
}
START = 1_700_000_000_000
MINUTE = 60_000


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    path = tmp_path_factory.mktemp("pipeline") / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return load_pipeline(path)


def rule(value: dict[str, Any], **more: Any) -> Rule:
    found, problems = read_written({**value, **more}, "")
    assert found is not None, problems
    return found


def job_of(pipeline: Pipeline, *rules: Rule) -> WiredJob:
    return WiredJob(pipeline, LiveSet(rules={one.id: one for one in rules}), listens=True)


class Sent:
    """Sends one event after the other, minutes after the start."""

    def __init__(self, job: WiredJob) -> None:
        self.job = job
        self.count = 0

    def __call__(self, kind: str, minute: float, now: float | None = None, **fields: Any) -> None:
        self.count += 1
        topic = {"payment": "payments", "login": "logins", "reset": "resets"}[kind]
        at = START + int(minute * MINUTE)
        defaults = {"login": {"device": "d1", "new_device": True}, "payment": {"device": "d1"}}.get(kind, {})
        value = {"id": f"e{self.count}", "at": at, "customer": "c", **defaults, **fields}
        now_ms = START + int((minute if now is None else now) * MINUTE)
        self.job.read(now_ms, [(topic, json.dumps(value).encode())])


def test_the_decision_on_the_last_step_carries_the_match_and_blocks(pipeline: Pipeline) -> None:
    job = job_of(pipeline, rule(TAKEOVER))
    sent = Sent(job)
    sent("login", 0)
    sent("reset", 3)
    sent("payment", 4, amount=20.0)
    sent("payment", 5, amount=900.0)
    sent("payment", 6, amount=900.0, device="d2")
    sent("payment", 40, amount=900.0)
    outcomes = [one.outcome for one in job.decisions]
    assert outcomes == ["allow", "block", "allow", "allow"]
    (fired,) = job.decisions[1].rules
    assert fired == {
        "id": "takeover",
        "version": 0,
        "outcome": "block",
        "reason": "900 after a new device and a reset",
        "events": [
            {"step": "device", "event": "login", "time": START, "arrival": 1},
            {"step": "reset", "event": "reset", "time": START + 3 * MINUTE, "arrival": 2},
            {"step": "payout", "event": "payment", "time": START + 5 * MINUTE, "arrival": 4},
        ],
    }
    assert job.alerts == []


def test_shadow_percent_and_what_is_asked_besides_go_as_with_rules(pipeline: Pipeline) -> None:
    whole = rule(TAKEOVER, id="rich", when='count(by=customer, over="1h", event=payment) >= 2', outcome="review")
    job = job_of(pipeline, rule(TAKEOVER, mode="shadow"), whole, rule(TAKEOVER, id="few", percent=0.01))
    sent = Sent(job)
    sent("login", 0)
    sent("reset", 3)
    sent("payment", 5, amount=900.0)
    sent("payment", 6, amount=901.0)
    first, second = job.decisions
    assert (first.outcome, [one["id"] for one in first.rules], [one["id"] for one in first.shadow]) == (
        "allow",
        [],
        ["takeover"],
    )
    assert (second.outcome, [one["id"] for one in second.rules]) == ("review", ["rich"])


def test_a_step_that_comes_late_gives_an_alert_marked_late_and_no_second_decision(pipeline: Pipeline) -> None:
    job = job_of(pipeline, rule(TAKEOVER))
    sent = Sent(job)
    sent("login", 0)
    sent("payment", 5, amount=900.0)
    assert [one.outcome for one in job.decisions] == ["allow"]
    sent("reset", 3, now=5.1)
    assert len(job.decisions) == 1
    (alert,) = job.alerts
    assert (alert["rule"], alert["late"], alert["entity"], alert["key"]) == ("takeover", True, "customer", "c")
    assert [one["step"] for one in alert["events"]] == ["device", "reset", "payout"]
    assert alert["time"] == START + 5 * MINUTE


def test_an_event_that_nobody_decides_completes_a_sequence_by_an_alert(pipeline: Pipeline) -> None:
    two = rule({**TAKEOVER, "id": "two", "steps": TAKEOVER["steps"][:2], "reason": "a reset on a new device"})
    job = job_of(pipeline, two)
    sent = Sent(job)
    sent("login", 0)
    sent("reset", 3)
    (alert,) = job.alerts
    assert (alert["rule"], alert["late"], alert["reason"], alert["outcome"]) == (
        "two",
        False,
        "a reset on a new device",
        "block",
    )


@pytest.mark.parametrize("restarted", [False, True])
def test_what_does_not_come_is_told_once_when_the_time_is_up(pipeline: Pipeline, restarted: bool) -> None:
    job = job_of(pipeline, rule(SILENT))
    sent = Sent(job)
    sent("reset", 0)
    sent("payment", 4, amount=1.0)
    if restarted:
        job.restart()
    sent("payment", 5, amount=1.0)
    job.tick(START + 5 * MINUTE)
    assert job.alerts == []  # an event of that very time may still come
    sent("payment", 5.01, amount=1.0)
    sent("payment", 6, amount=1.0)
    job.tick(START + 6 * MINUTE)
    (alert,) = job.alerts
    assert (alert["rule"], alert["time"], alert["late"]) == ("silent", START + 5 * MINUTE, False)
    assert [one["step"] for one in alert["events"]] == ["reset"]


def test_what_comes_in_time_even_late_leaves_nothing_to_tell(pipeline: Pipeline) -> None:
    job = job_of(pipeline, rule(SILENT))
    sent = Sent(job)
    sent("reset", 0)
    sent("payment", 4.9, amount=1.0)
    sent("login", 2, now=4.95)
    sent("payment", 9, amount=1.0)
    assert job.alerts == []


def test_where_nothing_comes_any_more_the_wall_clock_stands_in(pipeline: Pipeline) -> None:
    job = job_of(pipeline, rule(SILENT))
    Sent(job)("reset", 0)
    job.tick(START + 4 * MINUTE)
    assert job.alerts == []
    job.tick(START + 5 * MINUTE + 1_000)
    (alert,) = job.alerts
    job.restart()
    job.tick(START + 90 * MINUTE)
    job.tick(START + 95 * MINUTE)
    assert job.alerts == [alert]


def test_an_alert_has_the_same_id_whoever_finds_it(pipeline: Pipeline) -> None:
    ids = []
    for _ in range(2):
        job = job_of(pipeline, rule(SILENT, id=f"silent{0}"))
        sent = Sent(job)
        sent("reset", 0)
        sent("payment", 9, amount=1.0)
        ids += [one["id"] for one in job.alerts]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_a_restored_bucket_waits_for_input_before_the_wall_clock_counts(pipeline: Pipeline) -> None:
    job = job_of(pipeline, rule(SILENT))
    Sent(job)("reset", 0)
    job.restart(START + 30 * MINUTE)
    job.tick(START + 30 * MINUTE + 59_000)
    assert job.alerts == []
    job.tick(START + 30 * MINUTE + 61_000)
    assert len(job.alerts) == 1
