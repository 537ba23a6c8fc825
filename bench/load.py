"""The load: payments at a fixed rate, whatever becomes of them, and the decisions that come back.

    python -m bench.load SPEC          # a `Spec` as JSON; one line of JSON comes out

The load is open-loop: payment k is due at `start + k / rate`, and its latency runs from then to the moment when its decision
is in the hands of a consumer. A job or a load that falls behind thus shows in full. Without a rate all payments are sent as
fast as the broker takes them.
"""

import json
import sys
import threading
import time
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.workload import Payments

_TICK_S = 0.25
_SAMPLE = 20
"""One decision in so many is read whole, for its outcome and the job's own timings."""


class Spec(msgspec.Struct):
    """One run: `count` payments with ids `run-0` …, at `rate` a second or (None) as fast as possible.

    The first `warm_s` seconds don't count for latency. `start_ms` and `step_ms` say when the turn of each payment is, in event
    time; without them it is the wall clock. `quiet_s`: give up when no decision has come for so long. `whole`: every decision is
    read, those without a model are counted, and of each the moment when it was due and its latency come out too.
    """

    bootstrap: str
    payments_topic: str
    decisions_topic: str
    run: str
    count: int
    rate: float | None
    seed: int
    hot: bool = False
    warm_s: float = 0.0
    start_ms: float | None = None
    step_ms: float = 0.0
    quiet_s: float = 30.0
    whole: bool = False


class Load:
    """One run of the load, with a thread that sends and one that reads."""

    def __init__(self, spec: Spec) -> None:
        """Draw the payments and connect; nothing is sent yet."""
        self._spec = spec
        self._payments = Payments.draw(spec.run, spec.count, spec.seed, hot=spec.hot)
        self._received_at = np.zeros(spec.count)
        self._sent = 0
        self._received = 0
        self._duplicates = 0
        self._flagged = 0
        self._without_model = 0
        self._inside: list[tuple[float, float, float]] = []
        self._sampled = 0
        self._ticks: list[tuple[float, int, int]] = []
        self._stop = False
        fast = spec.rate is None or spec.rate > 1000
        # At low rates every payment leaves at once, as from a till; at high rates a client collects for a millisecond or so.
        self.linger_ms = (20 if spec.rate is None else 2) if fast else 0
        self._producer = Producer(
            {
                "bootstrap.servers": spec.bootstrap,
                "linger.ms": self.linger_ms,
                "acks": "1",
                "queue.buffering.max.messages": 2_000_000,
                "queue.buffering.max.kbytes": 1 << 20,
                "socket.nagle.disable": True,
            }
        )
        self._consumer = Consumer(
            {
                "bootstrap.servers": spec.bootstrap,
                "group.id": f"bench-{spec.run}",
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 100,
                "socket.nagle.disable": True,
            }
        )
        topic = self._consumer.list_topics(spec.decisions_topic, timeout=20).topics[spec.decisions_topic]
        ends = [
            TopicPartition(
                topic.topic, number, self._consumer.get_watermark_offsets(TopicPartition(topic.topic, number))[1]
            )
            for number in topic.partitions
        ]
        self._consumer.assign(ends)

    def run(self) -> dict[str, Any]:
        """Send, wait for what is still to come, and return what was seen."""
        reader = threading.Thread(target=self._read)
        reader.start()
        start = time.perf_counter() + 0.5
        self._start = start
        ticker = threading.Thread(target=self._tick)
        ticker.start()
        self._send(start)
        self._producer.flush()
        send_s = time.perf_counter() - start
        quiet_since, before = time.perf_counter(), -1
        while self._received < self._spec.count and time.perf_counter() - quiet_since < self._spec.quiet_s:
            if self._received != before:
                quiet_since, before = time.perf_counter(), self._received
            time.sleep(0.05)
        # A duplicate would come with or soon after the decision that it doubles.
        time.sleep(1.0)
        self._stop = True
        reader.join()
        ticker.join()
        self._consumer.close()
        return self._result(start, send_s)

    def _send(self, start: float) -> None:
        spec, payments = self._spec, self._payments
        produce, poll, encode, topic = self._producer.produce, self._producer.poll, payments.encode, spec.payments_topic
        for number in range(spec.count):
            if spec.rate is not None:
                ahead = start + number / spec.rate - time.perf_counter()
                if ahead > 0:
                    poll(0)
                    time.sleep(ahead)
            turn_ms = time.time() * 1000 if spec.start_ms is None else spec.start_ms + number * spec.step_ms
            key, value = encode(number, int(turn_ms))
            while True:
                try:
                    produce(topic, value, key)
                    break
                except BufferError:
                    poll(0.05)
            if not number & 1023:
                poll(0)
            self._sent = number + 1

    def _read(self) -> None:
        consumer, received_at, prefix = self._consumer, self._received_at, self._spec.run.encode() + b"-"
        cut = len(prefix)
        while not self._stop:
            message = consumer.poll(0.05)
            if message is None:
                continue
            # The first one wakes this thread at once; what came with it is taken without waiting.
            messages = [message, *consumer.consume(2000, 0)]
            now = time.perf_counter()
            for message in messages:
                key = message.key()
                if message.error() or key is None or not key.startswith(prefix):
                    continue
                number = int(key[cut:])
                if received_at[number]:
                    self._duplicates += 1
                    continue
                received_at[number] = now
                self._received += 1
                if self._spec.whole or not number % _SAMPLE:
                    self._note(message.value())

    def _note(self, value: bytes) -> None:
        decision = json.loads(value)
        self._sampled += 1
        self._without_model += decision["model"] is None or "model" in decision["degraded"]
        self._flagged += decision["outcome"] != "allow"
        timing = decision["timing_ms"]
        self._inside.append((decision["latency_ms"], timing["history"], timing["decide"]))

    def _tick(self) -> None:
        while not self._stop:
            self._ticks.append((time.perf_counter() - self._start, self._sent, self._received))
            time.sleep(_TICK_S)

    def _result(self, start: float, send_s: float) -> dict[str, Any]:
        spec, at = self._spec, self._received_at
        decided = at > 0
        found: dict[str, Any] = {
            "sent": self._sent,
            "decided": int(decided.sum()),
            "duplicates": self._duplicates,
            "send_s": round(send_s, 2),
            "flagged_share": round(self._flagged / max(1, self._sampled), 4),
            "producer_linger_ms": self.linger_ms,
        }
        if spec.rate is None:
            found |= self._drained(at[decided], start)
        else:
            due = start + np.arange(spec.count) / spec.rate
            counted = decided & (due >= start + spec.warm_s)
            found["latency_ms"] = percentiles((at - due)[counted] * 1000)
            if spec.whole:
                began = time.time() - time.perf_counter()
                taken = ((at - due)[counted] * 1000).round(2)
                found["moments"] = list(zip((due[counted] + began).round(4).tolist(), taken.tolist(), strict=True))
                found["without_model"] = self._without_model
            found |= self._backlog()
        if self._inside:
            inside = np.array(self._inside)
            for column, name in enumerate(("decode_to_decided_ms", "history_ms", "decide_ms")):
                found[name] = percentiles(inside[:, column])
        return found

    def _drained(self, at: Any, start: float) -> dict[str, Any]:
        """Return the rate at which decisions came, between the first fifth and the last twentieth of them."""
        moments = np.sort(at) - start
        if len(moments) < 100:
            return {"rate": None}
        low, high = int(len(moments) * 0.2), int(len(moments) * 0.95)
        return {
            "rate": round((high - low) / (moments[high] - moments[low])),
            "all_s": round(float(moments[-1]), 2),
            "marks_s": [round(float(moments[int(len(moments) * part / 20) - 1]), 2) for part in range(1, 21)],
        }

    def _backlog(self) -> dict[str, Any]:
        """Return how many payments were under way in the course of the run: a backlog that grows shows the rate is too high."""
        spec = self._spec
        assert spec.rate is not None
        seconds = spec.count / spec.rate
        # Payments due, not payments sent: a load that can't keep up is a backlog too.
        rows = np.array(
            [(t, min(t * spec.rate, spec.count) - got) for t, _, got in self._ticks if spec.warm_s <= t <= seconds]
        )
        if len(rows) < 8:
            return {}
        half = rows[len(rows) // 2 :]
        slope = float(np.polyfit(half[:, 0], half[:, 1], 1)[0])
        return {
            "backlog": {
                "median": round(float(np.median(rows[:, 1]))),
                "most": round(float(rows[:, 1].max())),
                "end": round(float(rows[-1, 1])),
                "growth_per_s": round(slope, 1),
            }
        }


def percentiles(values: Any) -> dict[str, float]:
    """Return the percentiles of some milliseconds."""
    if not len(values):
        return {}
    names = {"p50": 50, "p95": 95, "p99": 99, "p99.9": 99.9, "max": 100}
    return {name: round(float(np.percentile(values, at)), 2) for name, at in names.items()}


if __name__ == "__main__":
    print(json.dumps(Load(msgspec.json.decode(sys.argv[1], type=Spec)).run()))
