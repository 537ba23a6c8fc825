"""The demo's traffic: payments and stories go out at their time, decisions and alerts come back, and all are counted."""

import json
import threading
import time
from collections import deque
from typing import Any

from mitra.demo.stories import Stories
from mitra.demo.tally import Tally
from mitra.kafka_clients import producer, tail
from mitra.pipeline import Pipeline
from mitra.sample.live import Payment, live_payments

LABEL_DELAY_S = 20.0
"""After this a fraud is reported, as a chargeback would be after weeks: within a minute terminals show what they did."""


class Traffic:
    """Sends payments from one thread and reads decisions in another, until it is stopped."""

    def __init__(self, pipeline: Pipeline, rate: float, seed: int) -> None:
        """Prepare `rate` payments a second; nothing is sent yet."""
        self.tally = Tally()
        self.error: BaseException | None = None
        self._pipeline = pipeline
        self._rate = rate
        self._seed = seed
        self._sent_at: dict[str, tuple[float, Payment]] = {}
        self._stop_sending = threading.Event()
        self._stop_reading = threading.Event()
        self._ready = threading.Event()
        self._threads = [threading.Thread(target=self._guarded, args=(work,)) for work in (self._read, self._send)]

    def start(self) -> None:
        """Start reading, then sending."""
        for thread in self._threads:
            thread.start()

    def drain(self, timeout_s: float) -> None:
        """Stop sending and wait until all that was sent is answered, or `timeout_s` is over."""
        self._stop_sending.set()
        self._threads[1].join()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.error is None:
            with self.tally.lock:
                if self.tally.decided + self.tally.dead_letters >= self.tally.sent:
                    break
            time.sleep(0.05)

    def stop(self) -> None:
        """End both threads."""
        self._stop_sending.set()
        self._stop_reading.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - shown by the command, which looks at `error`
            self.error = error
            # Who waits for the reader would wait for ever.
            self._stop_sending.set()
            self._ready.set()

    def _send(self) -> None:
        topic = self._pipeline.decided.topic
        transfers = next(event.topic for event in self._pipeline.events if event.name == "transfer")
        labels = self._pipeline.labels
        due_labels: deque[tuple[float, Payment]] = deque()
        self._ready.wait()
        start_ms = int(time.time() * 1000)
        stories = Stories(self._pipeline, start_ms)
        with producer(self._pipeline) as sender:
            for payment in live_payments(self._seed, self._rate, start_ms):
                while (ahead_s := payment.event_time_ms / 1000 - time.time()) > 0:
                    if self._stop_sending.wait(min(ahead_s, 0.2)):
                        break
                if self._stop_sending.is_set():
                    break
                now = time.monotonic()
                self._sent(payment, now)
                sender.send(topic, key=payment.key, value=payment.value)
                moment_s = time.time() - start_ms / 1000
                for other, key, value in stories.events(moment_s):
                    sender.send(other, key=key, value=value)
                transfer = stories.transfer(moment_s)
                if transfer is not None:
                    self._sent(transfer, now)
                    sender.send(transfers, key=transfer.key, value=transfer.value)
                if payment.is_fraud and labels is not None:
                    due_labels.append((now + LABEL_DELAY_S, payment))
                while labels is not None and due_labels and due_labels[0][0] <= now:
                    reported = due_labels.popleft()[1]
                    sender.send(labels.topic, value=reported.label(int(time.time() * 1000)))
            sender.flush()

    def _sent(self, payment: Payment, now: float) -> None:
        with self.tally.lock:
            self._sent_at[payment.transaction_id] = (now, payment)
            self.tally.sent += 1
            self.tally.frauds_sent += payment.is_fraud

    def _read(self) -> None:
        topics = self._pipeline.topics
        with tail(self._pipeline, topics.decisions, topics.dead_letters, topics.alerts) as reader:
            self._ready.set()
            while not self._stop_reading.is_set():
                for messages in reader.poll(timeout_ms=100).values():
                    now = time.monotonic()
                    with self.tally.lock:
                        for message in messages:
                            if message.topic == topics.dead_letters:
                                self.tally.dead_letters += 1
                            elif message.topic == topics.alerts:
                                self.tally.alerts += 1
                                self.tally.last_alert = json.loads(message.value)
                            else:
                                self._note(message.value, now)

    def _note(self, value: bytes, now: float) -> None:
        """Count one decision; the caller holds the lock."""
        decision = json.loads(value)
        # A second decision of a payment finds nothing here any more.
        sent = self._sent_at.pop(decision["transaction_id"], None)
        if sent is None:
            return
        moment, payment = sent
        tally = self.tally
        tally.answered(now, (now - moment) * 1000)
        outcome = decision["outcome"]
        tally.outcomes[outcome] = tally.outcomes.get(outcome, 0) + 1
        if outcome != "allow":
            tally.frauds_flagged += payment.is_fraud
            tally.flagged.appendleft(decision | {"scenario": payment.scenario, "payment": json.loads(payment.value)})
