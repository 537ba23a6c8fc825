"""Changes while payments flow: sets of rules with windows of their own, and how long a push takes to the last ack."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.workload import COUNTRIES, ENTITIES, WINDOWS
from mitra.pipeline import Pipeline

NEW_WINDOWS = tuple(f"{minutes}m" for minutes in range(7, 7 + 3 * 10, 3))
"""Windows that no feature of the bench has: a third of the rules ask for one."""
CHANGING = "changing"
"""The rule that is put anew again and again."""


def rules(count: int) -> list[dict[str, Any]]:
    """Return rules over 30 distinct (entity, window) pairs, a third of them never used before.

    Each is about a band of amounts of its own, so it fires on one payment in some hundred, as an analyst's rule may.
    """
    used = [(entity, window) for entity in ENTITIES for window in WINDOWS] + [
        ("customer", w) for w in ("2h", "3h", "12h", "2d", "14d")
    ]
    pairs = [*used, *(("customer", window) for window in NEW_WINDOWS)]
    made = []
    for number in range(count):
        entity, window = pairs[number % len(pairs)]
        low = round(5 + number % 200 * 0.4, 1)
        made.append(
            {
                "id": f"rule-{number}",
                "when": f'amount >= {low} and amount < {low + 0.4:.1f} and count(by={entity}, over="{window}") >= {1 + number % 3}',
                "outcome": "review",
                "reason": f'{{count(by={entity}, over="{window}")}} in {window}',
                "mode": "shadow",
            }
        )
    return made


def sequences(count: int) -> list[dict[str, Any]]:
    """Return sequences of three payments of a customer, a terminal or a device; each is complete now and then."""
    made = []
    for number in range(count):
        entity = ENTITIES[number % len(ENTITIES)]
        steps = [
            {"step": "small", "when": f"amount < {5 + number % 20}", "times": 2},
            {"step": "abroad", "when": f'country == "{COUNTRIES[number % len(COUNTRIES)]}"'},
            {"absent": "usual", "when": f"amount > {300 + number}"},
            {"step": "large", "when": f"amount > {100 + number % 50} and amount > 10 * small.amount"},
        ]
        sequence = {"id": f"sequence-{number}", "by": entity, "within": "1h", "steps": steps, "outcome": "review"}
        made.append({**sequence, "mode": "shadow"})
    return made


class Pusher:
    """Sends changes and waits until every lane and bucket runs them, over open connections."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Connect, and read the acks from now on."""
        self._topic, self._acks = pipeline.topics.control, pipeline.topics.control_acks
        self._parts = pipeline.job.lanes + 2 * pipeline.job.buckets
        servers = {"bootstrap.servers": pipeline.bootstrap}
        self._producer = Producer({**servers, "linger.ms": 0, "acks": "all"})
        self._consumer = Consumer(
            {**servers, "group.id": uuid.uuid4().hex, "enable.auto.commit": False, "fetch.wait.max.ms": 5}
        )
        _, end = self._consumer.get_watermark_offsets(TopicPartition(self._acks, 0), timeout=10)
        self._consumer.assign([TopicPartition(self._acks, 0, end)])
        self.steps: dict[str, list[float]] = {"prepared": [], "ready": [], "active": []}
        """Of each push the milliseconds until the last ack of each kind."""

    def push(self, changes: list[dict[str, Any]], timeout_s: float = 120.0) -> float:
        """Send changes at once; return the milliseconds until the last part has acked the last of them."""
        offsets: list[int] = []
        began = time.perf_counter()
        for change in changes:
            record = {"id": uuid.uuid4().hex, "author": "bench", "reason": "bench", **change}
            self._producer.produce(
                self._topic,
                json.dumps(record).encode(),
                partition=0,
                on_delivery=lambda _, m: offsets.append(m.offset()),
            )
        self._producer.flush(30)
        revision = max(offsets) + 1
        reached: set[tuple[str, int]] = set()
        step: dict[str, float] = {}
        while len(reached) < self._parts:
            if time.perf_counter() - began > timeout_s:
                raise SystemExit(f"revision {revision} is not active after {timeout_s:g} s; acked: {sorted(reached)}")
            for message in self._consumer.consume(100, 0.01):
                ack = json.loads(message.value())
                if ack["status"] == "refused":
                    raise SystemExit(f"a change was refused: {ack}")
                if ack["revision"] >= revision:
                    step[ack["status"]] = (time.perf_counter() - began) * 1000
                    if ack["status"] == "active":
                        reached.add((ack["stage"], ack["part"]))
        for status, taken in self.steps.items():
            taken.append(step[status])
        return step["active"]

    @contextmanager
    def every(self, seconds: float, *, after_s: float = 0.0, most: int | None = None) -> Iterator[list[float]]:
        """Push one change every so often in the background, the first after `after_s`; at most so many.

        Yields the list that their milliseconds go to.
        """
        taken: list[float] = []
        ended = threading.Event()
        began = time.monotonic() + after_s
        failed: list[BaseException] = []

        def run() -> None:
            try:
                while len(taken) != most:
                    number = len(taken) + 1
                    if ended.wait(max(0.0, began + number * seconds - time.monotonic())):
                        return
                    rule = rules(1)[0] | {"id": CHANGING, "when": f"amount > {100_000 + number}"}
                    taken.append(self.push([{"change": "rule.put", "rule": rule}]))
            except BaseException as error:  # noqa: BLE001 - raised by who waits: a thread's SystemExit is nobody's
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield taken
        finally:
            ended.set()
            thread.join()
        if failed:
            raise failed[0]


def spread(taken: list[float]) -> dict[str, float]:
    """Return percentiles of milliseconds."""
    return {name: round(float(np.percentile(taken, q)), 1) for name, q in (("p50", 50), ("p99", 99), ("max", 100))}
