"""How soon changes of live features are published, and alerts of what doesn't come.

    python -m bench.orders [--per-minute 16000] [--seconds 60] [--stores 100] [--json]

The example of orders, with windows so short that they empty meanwhile, and a sequence that waits as long for what is picked to be
delivered. A real Kafka, the job and the load share this machine. An event's time is when it was sent, so a change is as of that wall clock, or
of the moment at which an event leaves a window, and an alert is due so long behind it; the broker's time stamp of the record says
when it was published.
"""

import argparse
import json
import random
import re
import time
import uuid
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from bench.changes import Pusher
from mitra.local.job import LocalJob
from mitra.local.kafka import LocalKafka
from mitra.pipeline import Pipeline, load_pipeline
from mitra.topic_plan import needed_topics
from mitra.topics import topics_client

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "orders" / "pipeline.yaml"
WINDOW, WINDOW_MS = "20s", 20_000
NEXT: dict[str, tuple[str | None, ...]] = {
    "created": ("picked", "picked", "picked", "cancelled"),
    "picked": ("delivered", "delivered", "delivered", None),
}
UNDELIVERED = {
    "id": "undelivered",
    "by": "order",
    "within": WINDOW,
    "steps": [{"step": "picked", "event": "picked"}, {"absent": "delivered", "event": "delivered"}],
    "outcome": "review",
}
_WARM_S = 25
"""Of the load: by then windows empty as fast as they fill, and nothing is compiled any more."""


class Orders:
    """Sends steps of orders at a steady rate; each order goes on a few seconds later."""

    def __init__(self, pipeline: Pipeline, stores: int) -> None:
        """Connect."""
        self._producer = Producer({"bootstrap.servers": pipeline.bootstrap, "linger.ms": 0})
        self._random = random.Random(7)
        self._stores = stores
        self._waiting: list[tuple[float, str, str, str]] = []
        self.sent: set[tuple[str, int]] = set()
        self.undelivered: dict[str, int] = {}
        """By order: when it will have waited too long, epoch ms."""
        self.count = 0

    def run(self, per_second: float, seconds: float) -> None:
        """Send for so long."""
        began = time.time()
        for number in range(int(per_second * seconds)):
            due = began + number / per_second
            while (left := due - time.time()) > 0:
                self._producer.poll(0)
                time.sleep(min(left, 0.002))
            self._step(time.time())
        self._producer.flush()

    def _step(self, now: float) -> None:
        if self._waiting and self._waiting[0][0] <= now:
            _, kind, order, store = self._waiting.pop(0)
        else:
            kind, order, store = "created", uuid.uuid4().hex, f"s{self._random.randrange(self._stores)}"
        at_ms = int(now * 1000)
        if kind in NEXT:
            following = self._random.choice(NEXT[kind])
            if following is not None:
                # Steps fall due in the order in which they were planned.
                self._waiting.append((now + 4, following, order, store))
            elif kind == "picked":
                self.undelivered[order] = at_ms + WINDOW_MS
        self.sent.add((store, at_ms))
        self.count += 1
        event = {"event_id": f"e{self.count}", "at": at_ms, "order_id": order, "store": store, "amount": 1.0}
        self._producer.produce(f"orders.{kind}", json.dumps(event).encode(), key=store.encode())


def published(pipeline: Pipeline, topic: str) -> list[tuple[dict[str, Any], int]]:
    """Return all records of a topic, each with the broker's time stamp."""
    reader = Consumer(
        {"bootstrap.servers": pipeline.bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False}
    )
    places = [TopicPartition(topic, place, 0) for place in range(pipeline.kafka_shape.partitions)]
    left = {place.partition: reader.get_watermark_offsets(place, timeout=10)[1] for place in places}
    reader.assign(places)
    found = []
    while any(left.values()):
        for message in reader.consume(10_000, timeout=5):
            found.append((json.loads(message.value()), message.timestamp()[1]))
            if message.offset() + 1 >= left[message.partition()]:
                left[message.partition()] = 0
    reader.close()
    return found


def spread(waits: list[int]) -> dict[str, int]:
    """Return count, median, 99th percentile and maximum of some milliseconds."""
    ranked = sorted(waits)
    if not ranked:
        return {"changes": 0}
    return {
        "changes": len(ranked),
        "p50_ms": ranked[len(ranked) // 2],
        "p99_ms": ranked[int(0.99 * (len(ranked) - 1))],
        "max_ms": ranked[-1],
    }


def measure(per_minute: float, seconds: float, stores: int) -> dict[str, Any]:
    """Run Kafka, the job and the load; return how long changes took."""
    with TemporaryDirectory(prefix="mitra-bench-") as name:
        path = Path(name) / "pipeline.yaml"
        text = EXAMPLE.read_text(encoding="utf-8").replace("entities:\n", "entities:\n  order: order_id\n")
        path.write_text(re.sub(r'"30m"', f'"{WINDOW}"', text), encoding="utf-8")
        with LocalKafka() as kafka:
            pipeline = load_pipeline(path, kafka.bootstrap)
            with topics_client(pipeline) as client:
                client.create(needed_topics(pipeline))
            with LocalJob(path, pipeline, Path(name) / "job") as job:
                Pusher(pipeline).push([{"change": "sequence.put", "sequence": UNDELIVERED}])
                orders = Orders(pipeline, stores)
                orders.run(per_minute / 60, _WARM_S + seconds)
                ended_ms = time.time() * 1000
                time.sleep(3)
                job.check()
                records = published(pipeline, pipeline.topics.features)
                alerts = published(pipeline, pipeline.topics.alerts)
    since_ms = ended_ms - seconds * 1000
    by_event, by_time = [], []
    for record, at_ms in records:
        if since_ms <= record["as_of"] <= ended_ms:
            waits = by_event if (record["key"], record["as_of"]) in orders.sent else by_time
            waits.append(at_ms - record["as_of"])
    return {
        "events": orders.count,
        "per_minute": per_minute,
        "changed by an event": spread(by_event),
        "changed by time alone": spread(by_time),
        "all": spread(by_event + by_time),
        "told of what is absent": spread(
            [at_ms - one["time"] for one, at_ms in alerts if since_ms <= one["time"] <= ended_ms]
        ),
        "alerts": told_once(alerts, orders.undelivered, ended_ms),
    }


def told_once(alerts: list[tuple[dict[str, Any], int]], undelivered: dict[str, int], until_ms: float) -> dict[str, int]:
    """Return how many alerts are missing of those due by a time, told twice, or told of what was delivered or not yet due."""
    told = Counter(one["key"] for one, _ in alerts)
    due = {order for order, due_ms in undelivered.items() if due_ms <= until_ms}
    wrong = sum(undelivered.get(one["key"]) != one["time"] for one, _ in alerts)
    return {"due": len(due), "missing": len(due - told.keys()), "twice": len(alerts) - len(told), "wrong": wrong}


def main() -> int:
    """Measure, and print a table or JSON; 1 if a bar is missed: changes within 1 s at p99, every alert within 1 s and once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-minute", type=float, default=16_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--stores", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    found = measure(args.per_minute, args.seconds, args.stores)
    if args.json:
        print(json.dumps(found))
    else:
        print(f"{found['events']:,} events, {args.per_minute:,.0f} a minute, {args.stores} stores, windows of {WINDOW}")
        for name in ("changed by an event", "changed by time alone", "all", "told of what is absent", "alerts"):
            print(f"{name:22} " + ", ".join(f"{key} {value:,}" for key, value in found[name].items()))
    soon = found["all"].get("p99_ms", 1_001) <= 1_000 and found["told of what is absent"].get("max_ms", 1_001) <= 1_000
    return 0 if soon and not any(found["alerts"][name] for name in ("missing", "twice", "wrong")) else 1


if __name__ == "__main__":
    raise SystemExit(main())
