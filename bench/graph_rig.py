"""A job with a graph on this machine: a real Kafka, the graph service in a process of its own, and payments at a fixed rate.

Each payment names a customer, a device and an address; its features and its rule read the graph.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.graph_lookup import payer
from bench.rig import ROOT, Running
from mitra.local.job import LocalJob
from mitra.local.kafka import LocalKafka
from mitra.local.ports import LOOPBACK, free_ports
from mitra.pipeline import load_pipeline
from mitra.topic_plan import needed_topics
from mitra.topics import topics_client

PIPELINE = """
name: graphbench
kafka: {{partitions: 2}}
events:
  payment:
    topic: payments
    id: id
    time: at
    fields: {{id: string, at: time, customer: string, device: string, address: string, amount: number}}
entities: {{customer: customer, device: device}}
features:
  count_1h: count(by=customer, over="1h")
  mean_30d: mean(amount, by=customer, over="30d")
  cards: graph("degree", by=device, to=customer)
  peers: graph("peers", by=customer)
  flats: graph("degree", by=address, to=customer)
  fan_out: graph("fan_out", by=customer, over="1d")
  frauds_1: graph("frauds_1_hop", by=device)
  frauds_2: graph("frauds_2_hops", by=customer)
  distance: graph("fraud_distance", by=customer)
  community: graph("community_size", by=customer)
graph:
  address: {address}
  nodes: {{customer: customer, device: device, address: address}}
  links: [[customer, device], [customer, address]]
  cache_age: {cache_age}
job: {{buckets: {buckets}, batch: {batch}}}
"""


@dataclass
class Traffic:
    """Payments of one run, in order: when each was due and when its decision came (s, 0: never), and what it said."""

    due_s: Any
    received_s: Any
    inside_ms: Any
    degraded: Any
    doubled: int = 0

    @property
    def lost(self) -> int:
        """Payments without a decision."""
        return int((self.received_s == 0).sum())

    def between(self, start_s: float, end_s: float) -> Any:
        """Tell which payments were due within a span."""
        return (self.due_s >= start_s) & (self.due_s < end_s)

    def latency_ms(self, picked: Any) -> Any:
        """Return how long some of the payments took, from when they were due to when somebody held the decision."""
        picked = picked & (self.received_s > 0)
        return (self.received_s - self.due_s)[picked] * 1000


class Service:
    """`mitra graph serve`, or another program on its port, in a process of its own."""

    def __init__(self, command: list[str]) -> None:
        """Prepare; nothing runs yet."""
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; it may not answer yet."""
        self._process = subprocess.Popen([sys.executable, "-m", *self._command], cwd=ROOT)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it. Twice is once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None


@dataclass
class GraphRig(Running):
    """What runs, for a `with` block. `data` is the service's folder, with a graph or without one.

    `batch`: where the graph is asked too, batches of one payment would take both cores at 500 a second.
    """

    customers: int
    cache_age: str = "0ms"
    buckets: int = 1
    batch: str = "10ms"
    data: Path | None = None
    paid: int = 0
    _stack: ExitStack = field(default_factory=ExitStack)

    def _start(self) -> None:
        folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="mitra-graph-")))
        self.kafka = self._stack.enter_context(LocalKafka())
        self.address = f"{LOOPBACK}:{free_ports(1)[0]}"
        path = folder / "pipeline.yaml"
        path.write_text(
            PIPELINE.format(address=self.address, cache_age=self.cache_age, buckets=self.buckets, batch=self.batch)
        )
        self.pipeline = load_pipeline(path, self.kafka.bootstrap)
        with topics_client(self.pipeline) as client:
            client.create(needed_topics(self.pipeline))
        self.service = Service(
            [
                "mitra.cli",
                "graph",
                "serve",
                str(path),
                "--bootstrap",
                self.kafka.bootstrap,
                "--address",
                self.address,
                "--data",
                str(self.data or folder / "graph"),
            ]
        )
        self._stack.callback(self.service.stop)
        self.service.start()
        self.job = LocalJob(path, self.pipeline, folder / "job")
        self._stack.callback(self.job.stop)
        self.job.start()
        self._numbers = np.random.default_rng(7)

    def begin(self, rate: int, seconds: float) -> "Run":
        """Begin to pay; `finish` of what this returns waits for the end."""
        return Run(self, rate, seconds)

    def payments(self, count: int, rate: int) -> list[tuple[str, bytes]]:
        """Draw payments at a rate from now on: who pays, and the message."""
        found = []
        now_ms = time.time() * 1000
        for number in range(count):
            self.paid += 1
            customer, device, address = payer(self._numbers, self.customers)
            at = int(now_ms + number * 1000 / rate)
            value = {"id": f"p{self.paid}", "at": at, "customer": customer, "device": device, "address": address}
            found.append((customer, json.dumps({**value, "amount": 10.0 + self.paid % 90}).encode()))
        return found

    def monitored(self, metric: str) -> list[dict[str, Any]]:
        """Return the records of one metric on the monitor topic."""
        consumer = Consumer(
            {"bootstrap.servers": self.kafka.bootstrap, "group.id": "graph-monitor", "enable.partition.eof": True}
        )
        topic = consumer.list_topics(self.pipeline.topics.monitor, timeout=20).topics[self.pipeline.topics.monitor]
        consumer.assign([TopicPartition(topic.topic, partition, 0) for partition in topic.partitions])
        found, ended = [], 0
        while ended < len(topic.partitions):
            for message in consumer.consume(500, 1.0):
                if message.error():
                    ended += 1
                else:
                    found.append(json.loads(message.value()))
        consumer.close()
        return [one for one in found if one["metric"] == metric]


class Run:
    """Payments under way, with a thread that sends and one that reads."""

    def __init__(self, rig: GraphRig, rate: int, seconds: float) -> None:
        """Start both."""
        self._first = rig.paid + 1
        self._payments = rig.payments(int(rate * seconds), rate)
        self._rate = rate
        count = len(self._payments)
        self._received, self._inside = np.zeros(count), np.zeros(count)
        self._degraded = np.zeros(count, dtype=np.bool_)
        self._doubled = 0
        self._stop = False
        self._topic = rig.pipeline.decided.topic
        self._producer = Producer({"bootstrap.servers": rig.kafka.bootstrap, "linger.ms": 0, "acks": "1"})
        self._consumer = _at_end(rig.kafka.bootstrap, rig.pipeline.topics.decisions)
        self.start_s = time.perf_counter() + 0.2
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._read)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        for number, (key, value) in enumerate(self._payments):
            ahead = self.start_s + number / self._rate - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)
            self._producer.produce(self._topic, value, key)
            self._producer.poll(0)
        self._producer.flush()

    def _read(self) -> None:
        while not self._stop:
            for message in self._consumer.consume(500, 0.02):
                now = time.perf_counter()
                decision = json.loads(message.value())
                number = int(decision["transaction_id"][1:]) - self._first
                if not 0 <= number < len(self._received):
                    continue
                if self._received[number]:
                    self._doubled += 1
                    continue
                self._received[number] = now
                self._inside[number] = decision["latency_ms"]
                self._degraded[number] = "graph" in decision["degraded"]

    def finish(self, patience_s: float = 20.0) -> Traffic:
        """Wait until all is decided, or for so long behind the last payment; return what was seen."""
        sender, reader = self._threads
        sender.join()
        ends = time.monotonic() + patience_s
        while not self._received.all() and time.monotonic() < ends:
            time.sleep(0.05)
        self._stop = True
        reader.join()
        self._consumer.close()
        due = self.start_s + np.arange(len(self._received)) / self._rate
        return Traffic(due, self._received, self._inside, self._degraded, self._doubled)


def _at_end(bootstrap: str, name: str) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "graph-bench",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 20,
        }
    )
    topic = consumer.list_topics(name, timeout=20).topics[name]
    places = [TopicPartition(name, partition) for partition in topic.partitions]
    ends = [consumer.get_watermark_offsets(place)[1] for place in places]
    consumer.assign([TopicPartition(name, place.partition, end) for place, end in zip(places, ends, strict=True)])
    return consumer
