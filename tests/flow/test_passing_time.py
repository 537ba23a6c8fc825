"""Sequences and the passing of time in the running job: from parallelism 1, over a restore, to parallelism 2.

Events are of now, or of three quarters of an hour ago: what is awaited is due within seconds. How soon something is told says the
broker's time stamp of the record.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from mitra.cli import main
from mitra.local.job import LocalJob, failure_causes
from mitra.local.kafka import LocalKafka
from mitra.pipeline import Pipeline
from tests.factories.live import Reader, on_kafka

pytestmark = pytest.mark.flow

PIPELINE = """
name: passing
kafka: {partitions: 2}
events:
  payment:
    decided: true
    topic: passing.payments
    id: id
    time: at
    fields: {id: string, at: time, customer: string, amount: number,
      device: {type: string, required: false}, store: {type: string, required: false}}
  login: {decided: false, topic: passing.logins, id: id, time: at, fields: {id: string, at: time, customer: string, device: string, new: boolean}}
  reset: {decided: false, topic: passing.resets, id: id, time: at, fields: {id: string, at: time, customer: string}}
  picked: {decided: false, topic: passing.picked, id: id, time: at, fields: {id: string, at: time, order: string, store: string}}
  delivered: {decided: false, topic: passing.delivered, id: id, time: at, fields: {id: string, at: time, order: string, store: string}}
entities: {customer: customer, order: order, store: store}
features:
  logins: count(by=customer, over="1h", event=login)
  resets: count(by=customer, over="1h", event=reset)
  picked_4s: {expression: 'count(by=store, over="4s", event=picked)', emit: on_change}
job: {include_features: true, lanes: 2}
"""
SEQUENCES = """
- id: takeover
  by: customer
  within: 30m
  steps:
  - {step: login, event: login, when: new}
  - {step: reset, event: reset}
  - {step: payout, event: payment, when: amount > 500 and device == login.device}
  outcome: block
  reason: "{amount} after a login on a new device and a reset"
- id: undelivered
  by: order
  within: 45m
  steps:
  - {step: picked, event: picked}
  - {absent: delivered, event: delivered}
  outcome: review
"""
SETTINGS = {"execution.checkpointing.interval": "1 s", "execution.checkpointing.min-pause": "100 ms"}
MINUTE, WITHIN = 60_000, 45 * 60_000
SOON_MS = 3_000
"""A second, where nobody else computes: `python -m bench.orders` measures it."""


def now_ms() -> int:
    return int(time.time() * 1000)


@dataclass
class Live:
    """What runs, and what has been sent."""

    path: Path
    pipeline: Pipeline
    folder: Path
    reader: Reader
    producer: Producer
    job: LocalJob
    sent: dict[str, int] = field(default_factory=dict)

    def start(self, parallelism: int, restore: str | None) -> None:
        self.job = LocalJob(
            self.path, self.pipeline, self.folder, parallelism=parallelism, restore=restore, settings=SETTINGS
        ).start()

    def send(self, kind: str, at_ms: int, **fields: Any) -> str:
        """Send one event; those of one customer, order or store go to one partition."""
        number = self.sent[kind] = self.sent.get(kind, 0) + 1
        event = {"id": f"{kind}{number}", "at": at_ms, **fields}
        key = next(fields[name] for name in ("customer", "order", "store") if name in fields)
        topic = next(one.topic for one in self.pipeline.events if one.name == kind)
        self.producer.produce(topic, json.dumps(event), partition=sum(key.encode()) % 2)
        self.producer.poll(0)
        return event["id"]

    def pick(self, order: str, due_in_ms: int) -> int:
        """Have an order picked so long ago that its time is up in so many milliseconds; return when that is."""
        at_ms = now_ms() + due_in_ms - WITHIN
        self.send("picked", at_ms, order=order, store=f"store of {order}")
        return at_ms + WITHIN

    def traffic(self) -> None:
        """Let a payment come in each partition, as of now."""
        for customer in ("a", "b"):
            self.send("payment", now_ms(), customer=customer, amount=1.0)

    def wait(self, condition: Callable[[], bool], *, flows: bool, timeout_s: float = 60.0) -> bool:
        """Read until a condition holds, while payments flow or nothing comes."""
        ends = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > ends:
                return False
            if flows:
                self.traffic()
            self.producer.flush()
            self.reader.read(0.05)
        return True

    def pay(self, **fields: Any) -> dict[str, Any]:
        """Send a payment as of now and return its decision."""
        id = self.send("payment", now_ms(), **fields)
        decisions = self.reader.values[self.pipeline.topics.decisions]
        assert self.wait(lambda: any(one["transaction_id"] == id for one in decisions), flows=False), id
        return next(one for one in decisions if one["transaction_id"] == id)

    def alerts(self, *orders: str) -> dict[str, list[tuple[dict[str, Any], int]]]:
        """Return the alerts of orders, each with the broker's time stamp."""
        topic = self.pipeline.topics.alerts
        told: dict[str, list[tuple[dict[str, Any], int]]] = {order: [] for order in orders}
        for alert, at_ms in zip(self.reader.values[topic], self.reader.times_ms[topic], strict=True):
            if alert["key"] in told:
                told[alert["key"]].append((alert, at_ms))
        return told

    def told(self, store: str) -> list[tuple[dict[str, Any], int]]:
        """Return what was told of a store's feature, each with the broker's time stamp."""
        topic = self.pipeline.topics.features
        records = zip(self.reader.values[topic], self.reader.times_ms[topic], strict=True)
        return [(one, at_ms) for one, at_ms in records if one["key"] == store]


@pytest.fixture(scope="module")
def live(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The job at parallelism 1, with the sequences pushed by an analyst while it runs."""
    folder = tmp_path_factory.mktemp("passing")
    path, sequences = folder / "pipeline.yaml", folder / "sequences.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    sequences.write_text(SEQUENCES, encoding="utf-8")
    pipeline = on_kafka(path, kafka)
    topics = pipeline.topics
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 1})
    with Reader(kafka, topics.decisions, topics.alerts, topics.features, topics.dead_letters) as reader:
        live = Live(path, pipeline, folder, reader, producer, LocalJob(path, pipeline, folder))
        try:
            live.start(1, None)
            push = ["sequences", "push", str(path), str(sequences), "--reason", "since Monday"]
            assert main([*push, "--bootstrap", kafka.bootstrap]) == 0
            yield live
        finally:
            live.job.stop()


def test_what_is_due_is_told_once_over_a_restore_at_another_parallelism(live: Live) -> None:
    orders = [f"kept{number}" for number in range(20)]
    dues = {order: live.pick(order, 6_000 + 2_000 * number) for number, order in enumerate(orders)}
    for order in orders[::4]:
        live.send("delivered", dues[order] - 20 * MINUTE, order=order, store=f"store of {order}")
    assert live.wait(lambda: bool(live.alerts(orders[1])[orders[1]]), flows=True)
    live.job.stop()
    live.start(2, live.job.last_checkpoint())
    wanted = set(orders) - set(orders[::4])
    assert live.wait(lambda: all(live.alerts(*wanted).values()), flows=True), live.alerts(*wanted)
    for order, alerts in live.alerts(*orders).items():
        # What was told behind the last checkpoint may be told again, under the same id.
        assert len({alert["id"] for alert, _ in alerts}) == (order in wanted), (order, alerts)
        assert {alert["time"] for alert, _ in alerts} <= {dues[order]}
    assert all(len(alerts) <= 1 for alerts in live.alerts(*orders[5:]).values())


def test_a_transfer_behind_a_new_device_and_a_reset_is_blocked_inline_with_its_match(live: Live) -> None:
    began = now_ms()
    live.send("login", began - 20 * MINUTE, customer="c", device="d9", new=True)
    assert live.wait(lambda: live.pay(customer="c", amount=2.0)["features"]["logins"] == 1, flows=False)
    live.send("reset", began - 10 * MINUTE, customer="c")
    assert live.wait(lambda: live.pay(customer="c", amount=2.0)["features"]["resets"] == 1, flows=False)
    assert live.pay(customer="c", amount=900.0, device="d1")["outcome"] == "allow"
    decision = live.pay(customer="c", amount=900.0, device="d9")
    assert decision["outcome"] == "block"
    (fired,) = decision["rules"]
    assert (fired["id"], fired["reason"]) == ("takeover", "900 after a login on a new device and a reset")
    steps = [(one["step"], one["event"], one["time"]) for one in fired["events"]]
    assert steps[:2] == [("login", "login", began - 20 * MINUTE), ("reset", "reset", began - 10 * MINUTE)]
    assert steps[2][:2] == ("payout", "payment")


def test_what_does_not_come_is_told_when_its_time_is_up_while_traffic_flows(live: Live) -> None:
    orders = [f"awaited{number}" for number in range(12)]
    dues = {order: live.pick(order, 3_000 + 100 * number) for number, order in enumerate(orders)}
    live.send("delivered", now_ms(), order=orders[0], store="s")
    assert live.wait(lambda: all(live.alerts(*orders[1:]).values()), flows=True), live.alerts(*orders)
    behind = {order: at_ms - dues[order] for order in orders[1:] for _, at_ms in live.alerts(order)[order]}
    assert all(0 < wait <= SOON_MS for wait in behind.values()), behind
    assert live.alerts(orders[0]) == {orders[0]: []}


def test_a_live_feature_is_told_when_an_event_changes_it_and_when_one_leaves_its_window(live: Live) -> None:
    at_ms = now_ms()
    live.send("picked", at_ms, order="live", store="shop")
    assert live.wait(lambda: len(live.told("shop")) == 2, flows=True), live.told("shop")
    told = [(one["feature"], one["value"], one["as_of"]) for one, _ in live.told("shop")]
    assert told == [("picked_4s", 1, at_ms), ("picked_4s", 0, at_ms + 4_000)]
    waits = [written_ms - one["as_of"] for one, written_ms in live.told("shop")]
    assert all(0 <= wait <= SOON_MS for wait in waits), waits


def test_where_nothing_comes_the_wall_clock_goes_on(live: Live) -> None:
    due_ms = live.pick("silent", 9_000)
    live.send("picked", now_ms(), order="late", store="quiet")
    assert live.wait(lambda: bool(live.alerts("silent")["silent"]) and len(live.told("quiet")) == 2, flows=False)
    ((_, written_ms),) = live.alerts("silent")["silent"]
    assert 0 < written_ms - due_ms <= SOON_MS, written_ms - due_ms
    assert [one["value"] for one, _ in live.told("quiet")] == [1, 0]


def test_nothing_failed(live: Live) -> None:
    assert failure_causes(live.folder / "logs") == []
    assert live.reader.values[live.pipeline.topics.dead_letters] == []
