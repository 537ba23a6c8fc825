"""A small pipeline on a real Kafka: its messages, what must come of them, and a reader of what does come.

Payments of a customer go to one partition, so the order in which the job sees them is known, and with it every feature.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, Producer, TopicPartition

from mitra.local.kafka import LocalKafka
from mitra.pipeline import Pipeline, load_pipeline
from mitra.topic_plan import needed_topics
from mitra.topics import topics_client
from tests.oracles.history import Label, OracleHistory, PastEvent, Question

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

PIPELINE = """
name: {name}
kafka: {{partitions: 2}}
delivery: {delivery}
events:
  payment:
    id: id
    time: at
    fields:
      id: string
      at: time
      customer: string
      terminal: string
      amount: number
      note: {{type: string, required: false}}
entities: {{customer: customer, terminal: terminal}}
labels: {{name: fraud, id: id, label: fraud, known_at: known_at}}
features:
  ever: count(by=customer, over="ever")
  sum_ever: sum(amount, by=customer, over="ever")
  count_1h: count(by=customer, over="1h")
  mean_1d: mean(amount, by=customer, over="1d")
  std_last_5: std(amount, by=customer, last=5)
  terminals_1d: distinct(terminal, by=customer, over="1d")
  large_1d: count(by=customer, over="1d", where=amount > 50)
  before: previous(amount, by=customer)
  since: seconds_since(by=customer)
  frauds: sum(fraud, by=customer, over="30d")
  terminal_risk: mean(fraud, by=terminal, over="30d")
  terminal_ever: count(by=terminal, over="ever")
job: {{include_features: true, lanes: 2}}
"""

QUESTIONS = {
    "ever": Question("count", None, ("ever", 0)),
    "sum_ever": Question("sum", "amount", ("ever", 0)),
    "count_1h": Question("count", None, ("over", HOUR_MS)),
    "mean_1d": Question("mean", "amount", ("over", DAY_MS)),
    "std_last_5": Question("std", "amount", ("last", 5)),
    "terminals_1d": Question("distinct", "terminal", ("over", DAY_MS)),
    "large_1d": Question("count", None, ("over", DAY_MS), where=lambda values: values["amount"] > 50),
    "before": Question("previous", "amount", ("ever", 0)),
    "since": Question("seconds_since", None, ("ever", 0)),
    "frauds": Question("sum", "fraud", ("over", 30 * DAY_MS)),
}
"""The features of a customer; those of a terminal depend on how partitions race."""


def write_pipeline(folder: Path, name: str, delivery: str = "at-least-once", more: str = "") -> Path:
    """Write the pipeline file into a folder; `more` is appended to it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(PIPELINE.format(name=name, delivery=delivery) + more, encoding="utf-8")
    return path


def on_kafka(path: Path, kafka: LocalKafka) -> Pipeline:
    """Load a pipeline onto a broker and create its topics."""
    pipeline = load_pipeline(path, kafka.bootstrap)
    with topics_client(pipeline) as client:
        client.create(needed_topics(pipeline))
    return pipeline


@dataclass(frozen=True)
class Payment:
    """A payment; `partition` of its message follows from the customer."""

    id: str
    at: int
    customer: str
    terminal: str
    amount: float
    note: str | None = None

    @property
    def partition(self) -> int:
        return sum(self.customer.encode()) % 2

    @property
    def value(self) -> bytes:
        return json.dumps({name: getattr(self, name) for name in self.__dataclass_fields__}).encode()


@dataclass
class Customers:
    """The customers' histories as an oracle has them: events go in in the order in which they are sent."""

    histories: dict[str, OracleHistory] = field(default_factory=dict)

    def expect(self, payment: Payment) -> dict[str, Any]:
        """Take a payment in and return the customer's features as of it."""
        history = self.histories.setdefault(payment.customer, OracleHistory())
        values = {"terminal": payment.terminal, "amount": payment.amount}
        event = PastEvent("payment", payment.at, payment.id, hash(payment), values)
        _, _, answers = history.touch(event, list(QUESTIONS.values()))
        return dict(zip(QUESTIONS, answers, strict=True))

    def note(self, payment: Payment, value: float, known_at_ms: int) -> None:
        """Take a label in."""
        self.histories[payment.customer].note(Label(payment.id, payment.at, value, known_at_ms, known_at_ms))


def differences(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return (found, expected) of the features that are off by more than 1e-9."""
    return {name: (found[name], value) for name, value in expected.items() if not same(found[name], value)}


def same(one: Any, other: Any) -> bool:
    """Tell whether two values of a feature are equal: numbers up to 1e-9 of their size."""
    if one is None or other is None:
        return one is other
    return bool(abs(one - other) <= 1e-9 * max(1.0, abs(other)))


def send(kafka: LocalKafka, records: Iterable[tuple[str, int, bytes | None]]) -> None:
    """Send (topic, partition, value) records and wait until the broker has them all."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 1, "message.max.bytes": 2_000_000})
    for topic, partition, value in records:
        producer.produce(topic, value, partition=partition)
        producer.poll(0)
    assert producer.flush(30) == 0


class Reader:
    """Everything on some topics, from the beginning; only what is committed."""

    def __init__(self, kafka: LocalKafka, *topics: str) -> None:
        """Start at the beginning of every partition."""
        settings = {"bootstrap.servers": kafka.bootstrap, "group.id": "reader", "enable.auto.commit": False}
        self._consumer = Consumer({**settings, "isolation.level": "read_committed"})
        known = self._consumer.list_topics(timeout=20).topics
        self._consumer.assign([TopicPartition(topic, part, 0) for topic in topics for part in known[topic].partitions])
        self.values: dict[str, list[Any]] = {topic: [] for topic in topics}
        self.keys: dict[str, list[bytes | None]] = {topic: [] for topic in topics}
        self.times_ms: dict[str, list[int]] = {topic: [] for topic in topics}
        """When each record was written, by its time stamp."""

    def wait(self, condition: Callable[[], bool], timeout_s: float = 60.0) -> bool:
        """Read until a condition holds; tell whether it came to hold in time."""
        ends = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > ends:
                return False
            self.read(0.2)
        return True

    def read(self, timeout_s: float) -> None:
        """Read what there is, waiting at most so long for the first record."""
        for message in self._consumer.consume(1000, timeout_s):
            assert message.error() is None, message.error()
            self.values[message.topic()].append(json.loads(message.value()))
            self.keys[message.topic()].append(message.key())
            self.times_ms[message.topic()].append(message.timestamp()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
