"""Payments at a fixed rate and changes of the rules between them, whatever becomes of the job; and what was sent.

The payments are those of tests/simulation, on its pipeline. What a customer, terminal or device sees comes through one
partition, so the order in which its history is told is known, and with it every feature.
"""

import threading
import time
from pathlib import Path
from random import Random

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from mitra.local.kafka import LocalKafka
from mitra.pipeline import Pipeline
from tests.simulation.changes import draw_change
from tests.simulation.facts import Event
from tests.simulation.rulebook import Rulebook
from tests.simulation.workload import event_send
from tests.simulation.world import START_MS

PARTITIONS, BUCKETS = 2, 4
CUSTOMERS, TERMINALS, DEVICES = 120, 40, 60
"""Of each partition half of them; few enough for rules to meet them again and again, while all events are kept exactly."""
MINUTE_MS = 60_000
FIRST_MS = START_MS - 900 * MINUTE_MS
"""Entries and rules end at up to 15 hours before START_MS: some while payments flow."""
STEP_MS = 10_000
DISORDER_MS = 20 * MINUTE_MS
TWICE = 0.02
_encode = msgspec.json.Encoder().encode


def write_simulated(folder: Path, name: str) -> Path:
    """Write the simulation's pipeline with topics of its own, and return its path."""
    source = Path(__file__).parent.parent / "simulation" / "pipeline.yaml"
    text = source.read_text(encoding="utf-8").replace("name: simulated", f"name: {name}")
    text = text.replace("topic: ", f"topic: {name}.")
    text += f"  lanes: {PARTITIONS}\n  buckets: {BUCKETS}\n\nkafka:\n  partitions: {PARTITIONS}\n"
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


class ControlLog:
    """The control topic as it stands, with what others wrote there, read into a rulebook."""

    def __init__(self, kafka: LocalKafka, pipeline: Pipeline) -> None:
        """Begin at the topic's beginning."""
        self.book = Rulebook()
        self._place = TopicPartition(pipeline.topics.control, 0, 0)
        settings = {"bootstrap.servers": kafka.bootstrap, "group.id": "control-log", "enable.auto.commit": False}
        self._consumer = Consumer(settings)
        self._consumer.assign([self._place])

    def read(self) -> int:
        """Read to the topic's end; return the last accepted revision."""
        _, end = self._consumer.get_watermark_offsets(self._place, timeout=20)
        while (count := len(self.book.lives) - 1) < end:
            for message in self._consumer.consume(end - count, 0.5):
                assert message.error() is None, message.error()
                self.book.read(message.value())
        return self.book.last(end)

    def close(self) -> None:
        self._consumer.close()


class Traffic:
    """Sends payments from a thread of its own between `start` and `stop`, and changes when it is told to."""

    def __init__(self, kafka: LocalKafka, pipeline: Pipeline, rate: float, seed: int) -> None:
        """Prepare `rate` payments a second; nothing is sent yet."""
        self.sent: list[list[Event]] = [[] for _ in range(PARTITIONS)]
        """By partition, in order; those sent twice stand there twice."""
        self.changes: list[bytes | None] = []
        self._topic, self._control = pipeline.decided.topic, pipeline.topics.control
        self._rate = rate
        self._chance, self._change_chance = Random(f"payments {seed}"), Random(f"changes {seed}")
        # An order that retries can't change is what the naive histories rely on.
        settings = {"bootstrap.servers": kafka.bootstrap, "linger.ms": 1, "max.in.flight": 1}
        self._producer = Producer(settings)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._number = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop sending; all that was sent is on the broker. Twice is once."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        assert self._producer.flush(30) == 0

    def change(self) -> None:
        """Send one more change, which may well be refused."""
        rng = self._change_chance
        keys = sorted(self._event(rng, rng.randrange(PARTITIONS)).keys().items())
        self._send_change(draw_change(rng, keys, self.changes, len(self.changes), int(time.time() * 1000)))

    def sure_change(self) -> str:
        """Send a change that is accepted, and that many payments show from then on; return its id."""
        number = len(self.changes)
        # Its reason differs each time, so a decision tells which of its versions made it.
        rule = {"id": "sure", "when": "amount > 60", "outcome": "review", "reason": f"the {number}th"}
        change = {"change": "rule.put", "id": f"sure-{number}", "author": "bob", "rule": rule}
        self._send_change(_encode(change))
        return str(change["id"])

    def last_of_all(self) -> list[Event]:
        """Send a small and a large payment more of every customer, at every terminal and with every device."""
        return [
            self._send(self._event(self._chance, number % PARTITIONS, number, amount))
            for number in range(max(CUSTOMERS, TERMINALS, DEVICES))
            for amount in (10.0, 200.0)
        ]

    def _send_change(self, record: bytes | None) -> None:
        self.changes.append(record)
        self._producer.produce(self._control, record, partition=0)
        assert self._producer.flush(30) == 0

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stopped.is_set():
            due = int((time.monotonic() - began) * self._rate)
            while self._number < due:
                self._send(self._event(self._chance, self._chance.randrange(PARTITIONS)))
            self._producer.poll(0)
            self._stopped.wait(0.005)

    def _event(self, rng: Random, partition: int, place: int | None = None, amount: float | None = None) -> Event:
        """Return a payment of the partition's own entities: at `place` among them, or at any."""

        def one(letter: str, count: int) -> str:
            chosen = rng.randrange(count) if place is None else place % count
            return f"{letter}{chosen - chosen % PARTITIONS + partition}"

        behind = rng.randrange(DISORDER_MS) if rng.random() < 0.15 else 0
        return Event(
            "payment",
            f"p{self._number}",
            FIRST_MS + self._number * STEP_MS - behind,
            one("c", CUSTOMERS),
            one("d", DEVICES) if rng.random() < 0.8 else None,
            terminal_id=one("t", TERMINALS) if rng.random() < 0.9 else None,
            country=rng.choice(("DE", "FR", "Ł", None)),
            amount=rng.choice((0.0, 10.0, 60.0, round(rng.uniform(0, 500), 2))) if amount is None else amount,
        )

    def _send(self, event: Event) -> Event:
        partition = int(event.customer_id[1:]) % PARTITIONS
        self._number += 1
        for _ in range(2 if self._chance.random() < TWICE else 1):
            self.sent[partition].append(event)
            self._producer.produce(self._topic, event_send(event, partition).value, partition=partition)
        return event
