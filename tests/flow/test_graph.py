"""The graph beside a running job, on a real Kafka: a ring is blocked, the service killed and returned, nothing lost."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from mitra.local.job import LocalJob
from mitra.local.kafka import LocalKafka
from mitra.local.ports import free_ports
from tests.factories.graph import Behaviour, Double, failing, garbage, hung, slow
from tests.factories.live import Reader, on_kafka, send
from tests.flow.test_rules import SETTINGS, START_MS, Live, rule

pytestmark = pytest.mark.flow

DEADLINE_MS = 600
SLOW_MS = 1_000
"""What a machine that is busy with other tests may take for the rest of a decision."""
RECOVERED_S = 5.0
PIPELINE = """
name: graphed
kafka: {{partitions: 2}}
events:
  payment:
    id: id
    time: at
    fields: {{id: string, at: time, customer: string, device: string, amount: number}}
entities: {{customer: customer}}
labels: {{name: fraud, id: id, label: fraud, known_at: known_at}}
features:
  cards: graph("degree", by=device, to=customer)
graph:
  address: 127.0.0.1:{port}
  nodes: {{customer: customer, device: device}}
  links: [[customer, device]]
  timeout: 250ms
  deadline: {deadline}ms
  cache_age: 0ms
job: {{include_features: true, buckets: 2}}
"""


class Service:
    """`mitra graph serve` in a process of its own."""

    def __init__(self, path: Path, bootstrap: str, port: int, folder: Path) -> None:
        self._command = [
            sys.executable, "-m", "mitra.cli", "graph", "serve", str(path), "--bootstrap", bootstrap,
            "--address", f"127.0.0.1:{port}", "--data", str(folder), "--communities-every", "1",
        ]  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)

    def end(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)
            self._process.wait(30)
            self._process = None


@contextmanager
def double(port: int, behaviour: Behaviour) -> Iterator[Double]:
    """A service that misbehaves, on a port, in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = Double(behaviour)
    server.port = port
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Graphed:
    """What runs."""

    def __init__(self, live: Live, service: Service, port: int) -> None:
        self.live, self.service, self.port = live, service, port
        self.paid = 0

    def pay(self, customer: str, device: str) -> dict[str, Any]:
        self.paid += 1
        id = f"p{self.paid}"
        value = {"id": id, "at": START_MS + self.paid * 60_000, "customer": customer, "device": device, "amount": 10.0}
        send(self.live.kafka, [(self.live.pipeline.decided.topic, 0, json.dumps(value).encode())])
        return self.live.decision(id)

    def until(self, wanted: Any, device: str) -> dict[str, Any]:
        """Pay until a decision is as wanted."""
        end = time.monotonic() + 60
        while True:
            decision = self.pay("asker", device)
            if wanted(decision):
                return decision
            assert time.monotonic() < end, decision


@pytest.fixture(scope="module")
def graphed(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graphed]:
    folder = tmp_path_factory.mktemp("graphed")
    (port,) = free_ports(1)
    path = folder / "graphed.yaml"
    path.write_text(PIPELINE.format(port=port, deadline=DEADLINE_MS), encoding="utf-8")
    pipeline = on_kafka(path, kafka)
    topics = pipeline.topics
    service = Service(path, kafka.bootstrap, port, folder / "graph")
    service.start()
    with Reader(
        kafka, topics.decisions, topics.dead_letters, topics.control_acks, topics.monitor, topics.edges
    ) as reader:
        live = Live(kafka, path, pipeline, folder, LocalJob(path, pipeline, folder, settings=SETTINGS), reader)
        try:
            live.push(rule("ring", 'graph("frauds_1_hop", by=device) > 0 and cards >= 2', "block"))
            live.start(1, None)
            yield Graphed(live, service, port)
        finally:
            live.job.stop()
            service.end(signal.SIGTERM)


def test_a_ring_is_blocked_and_a_dead_service_degrades_until_it_returns(graphed: Graphed) -> None:
    live = graphed.live
    # The lookup's worker starts with the first payment: until then decisions are degraded, and made.
    graphed.until(lambda decision: decision["degraded"] == [], "other")
    for member in ("a", "b", "c"):
        first = graphed.pay(member, "D1")
        assert first["outcome"] == "allow"
    label = {"id": first["transaction_id"], "fraud": 1, "known_at": START_MS}
    send(live.kafka, [(live.pipeline.labels.topic, 0, json.dumps(label).encode())])  # type: ignore[union-attr]
    decision = graphed.until(lambda decision: decision["outcome"] == "block", "D1")
    assert decision["degraded"] == []
    assert graphed.pay("newcomer", "D1")["outcome"] == "block"

    graphed.service.end(signal.SIGKILL)
    decision = graphed.until(lambda decision: decision["degraded"] == ["graph"], "D1")
    assert decision["outcome"] == "allow"
    assert list(decision["not_evaluated"]) == ["ring"]
    assert decision["features"] == {"cards": None}

    graphed.service.start()
    decision = graphed.until(lambda decision: decision["degraded"] == [], "D1")
    # Rebuilt from the topic: what it knew, and what was paid while it was away.
    assert decision["outcome"] == "block"

    edges = [one["id"] for one in live.reader.values[live.pipeline.topics.edges] if one["kind"] == "edges"]
    assert len(edges) == len(set(edges))
    assert len(live.reader.values[live.pipeline.topics.decisions]) == graphed.paid
    assert live.reader.values[live.pipeline.topics.dead_letters] == []


def test_a_service_that_misbehaves_degrades_every_payment_and_delays_none_for_long(graphed: Graphed) -> None:
    live = graphed.live
    graphed.until(lambda decision: decision["degraded"] == [], "D2")
    graphed.service.end(signal.SIGTERM)
    for behaviour in (hung, slow, failing, garbage):
        made: list[dict[str, Any]] = []
        ends = time.monotonic() + 60
        with double(graphed.port, behaviour) as server:
            # A connection that was lost degrades too: until it has been asked twice, a call of a payment or of the breaker.
            while server.calls < 2:
                made.append(graphed.pay("asker", "D2"))
                assert time.monotonic() < ends, behaviour
        assert [one["degraded"] for one in made] == [["graph"]] * len(made), behaviour
        assert max(one["latency_ms"] for one in made) < DEADLINE_MS + SLOW_MS, behaviour
    graphed.service.start()
    with grpc.insecure_channel(f"127.0.0.1:{graphed.port}") as channel:
        grpc.channel_ready_future(channel).result(60)
    returned = time.monotonic()
    graphed.until(lambda decision: decision["degraded"] == [], "D2")
    assert time.monotonic() - returned < RECOVERED_S
    ids = [one["transaction_id"] for one in live.reader.values[live.pipeline.topics.decisions]]
    assert len(ids) == len(set(ids)) == graphed.paid
