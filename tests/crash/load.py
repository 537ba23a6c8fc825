"""Payments at a fixed rate, whatever becomes of the job, and the truth about every customer and terminal.

Times grow, so that a customer's numbers are plain: the n-th payment counts n, and the sum is that of all so far.
"""

import random
import threading
import time
from dataclasses import dataclass, field

from confluent_kafka import Producer

from mitra.local.kafka import LocalKafka
from mitra.pipeline import Pipeline
from tests.factories.live import HOUR_MS, Payment

START_MS = 1_700_000_000_000
CUSTOMERS, TERMINALS = 200, 20
LABELLED = 10
"""One payment in so many is reported as a fraud, at once."""


@dataclass
class Truth:
    """How many payments there were, their sum and how many were reported, by customer; how many by terminal."""

    count: dict[str, int] = field(default_factory=dict)
    sum: dict[str, float] = field(default_factory=dict)
    frauds: dict[str, int] = field(default_factory=dict)
    terminal_count: dict[str, int] = field(default_factory=dict)
    features: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, payment: Payment) -> None:
        """Count a payment, and keep what its decision must say of its customer."""
        customer = payment.customer
        self.count[customer] = self.count.get(customer, 0) + 1
        self.sum[customer] = self.sum.get(customer, 0.0) + payment.amount
        self.terminal_count[payment.terminal] = self.terminal_count.get(payment.terminal, 0) + 1
        self.features[payment.id] = {"ever": self.count[customer], "sum_ever": self.sum[customer]}


class Load:
    """Sends from a thread of its own between `start` and `stop`."""

    def __init__(self, kafka: LocalKafka, pipeline: Pipeline, rate: float, seed: int) -> None:
        """Prepare `rate` payments a second; nothing is sent yet."""
        assert pipeline.labels is not None
        self.truth = Truth()
        self._topic, self._labels = pipeline.decided.topic, pipeline.labels.topic
        self._rate = rate
        self._chance = random.Random(seed)
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 1})
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._number = 0

    @property
    def end_ms(self) -> int:
        """A time behind all payments."""
        return START_MS + self._number * 1000 + HOUR_MS

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop sending; all that was sent is on the broker. Twice is once."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        assert self._producer.flush(30) == 0

    def last_of_all(self, wave: int) -> list[Payment]:
        """Send one more payment of every customer and every terminal; these are its own and do not race."""
        pairs = [(customer, "last") for customer in list(self.truth.count)]
        pairs += [
            (f"last-at-{terminal}", terminal) for terminal in list(self.truth.terminal_count) if terminal != "last"
        ]
        sent = [
            Payment(f"last{wave}-{number}", self.end_ms + wave * HOUR_MS, customer, terminal, 1.0)
            for number, (customer, terminal) in enumerate(pairs)
            if not (customer.startswith("last") and terminal == "last")
        ]
        for payment in sent:
            self._send(payment)
        assert self._producer.flush(30) == 0
        return sent

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stopped.is_set():
            due = int((time.monotonic() - began) * self._rate)
            while self._number < due:
                self._send(self._payment())
            self._producer.poll(0)
            self._stopped.wait(0.005)

    def _payment(self) -> Payment:
        self._number += 1
        at = START_MS + self._number * 1000
        customer, terminal = f"c{self._chance.randrange(CUSTOMERS)}", f"t{self._chance.randrange(TERMINALS)}"
        payment = Payment(f"p{self._number}", at, customer, terminal, float(self._chance.randrange(1, 100)))
        if self._number % LABELLED == 0:
            # Half of them come before the payment: such a label waits.
            label = b'{"id": "%s", "fraud": 1, "known_at": %d}' % (payment.id.encode(), at + 1)
            self._producer.produce(self._labels, label, partition=self._number // LABELLED % 2)
            self.truth.frauds[customer] = self.truth.frauds.get(customer, 0) + 1
        return payment

    def _send(self, payment: Payment) -> None:
        self.truth.add(payment)
        self._producer.produce(self._topic, payment.value, partition=payment.partition)
