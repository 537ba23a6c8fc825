"""The live stages with a graph, in this process: a real graph service over gRPC, a clock that a test turns."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from control_stream import Ack, Delta, LiveSet, read_ack
from mitra.blueprint import Blueprint
from mitra.decide import State
from mitra.decision import encode_json
from mitra.graph.embedded import EmbeddedStore
from mitra.graph.lookup import Lookup
from mitra.graph.records import decode_record
from mitra.graph.server import GraphServer
from mitra.graph.service import GraphService
from mitra.graph_pace import Pace
from mitra.held_records import HeldRecords
from mitra.history import MemoryStore
from mitra.lane import Lane
from mitra.messages import Marker, Revise, encode
from mitra.pipeline import Pipeline, load_pipeline
from mitra.stages.decide import DecideStage, Output
from mitra.stages.history import HistoryStage
from mitra.stages.intake import FIELD_SEPARATOR, Intake
from rules import Rule

PIPELINE = """
name: shop
events:
  payment:
    id: id
    time: at
    fields: {id: string, at: time, customer: string, device: {type: string, required: false}, amount: number}
entities: {customer: customer}
labels: {id: id}
features:
  cards_on_device: graph("degree", by=device, to=customer)
  ring: graph("frauds_1_hop", by=device) > 0
graph:
  address: ADDRESS
  nodes: {customer: customer, device: device}
  links: [[customer, device]]
  timeout: 5s
  deadline: 10s
  cache_age: 0ms
job: {buckets: 2, include_features: true}
"""


def rule(id: str, when: str) -> Rule:
    """A live rule that blocks."""
    return msgspec.convert({"id": id, "when": when, "outcome": "block", "reason": id, "version": 1}, Rule)


class Job:
    """Intake, lookup, history and decide; edges go straight to the service."""

    def __init__(
        self, pipeline: Pipeline, rules: list[Rule], service: GraphService, loop: asyncio.AbstractEventLoop
    ) -> None:
        assert pipeline.graph is not None
        self.blueprint = Blueprint(pipeline, live=LiveSet(rules={one.id: one for one in rules}))
        self.clock_ms = 1_000_000.0
        buckets = pipeline.job.buckets
        self._buckets = buckets
        self._offset = 0
        self._topics = {"payment": pipeline.decided.topic, "label": pipeline.labels.topic if pipeline.labels else ""}
        self._lane, self._held = Lane(0), HeldRecords(MemoryStore())
        pace = Pace()
        self._intake = Intake(self.blueprint, clock=lambda: self.clock_ms, pace=pace)
        self._history = HistoryStage(self.blueprint, 1 << 26, clock=lambda: self.clock_ms)
        self.decide = DecideStage(self.blueprint, clock=lambda: self.clock_ms, pace=pace)
        self._stores = [MemoryStore() for _ in range(buckets)]
        self._states = [State(*(MemoryStore() for _ in range(4))) for _ in range(buckets)]
        self._lookup = Lookup(pipeline.graph, buckets)
        self._service, self._loop = service, loop
        self.edges: list[Any] = []
        self.figures: list[dict[str, Any]] = []
        self.acks: list[Ack] = []
        self.deaf = False
        """Whether answers are held back."""
        self._held_back: list[tuple[int, bytes]] = []

    def payment(self, id: str, at: int, customer: str, device: str | None = None) -> list[dict[str, Any]]:
        """Take a payment; return the decisions that it brings."""
        value = {"id": id, "at": at, "customer": customer, "device": device, "amount": 10.0}
        return self.read("payment", json.dumps(value).encode())

    def label(self, id: str, known_at: int, *, fraud: bool = True) -> None:
        """Take a label."""
        self.read("label", json.dumps({"id": id, "label": int(fraud), "known_at": known_at}).encode())

    def read(self, kind: str, value: bytes) -> list[dict[str, Any]]:
        record = FIELD_SEPARATOR.join(
            (self._topics[kind], "0", str(self._offset), "1970-01-01 00:00:01", "V" + value.decode())
        )
        self._offset += 1
        parts: dict[int, list[bytes]] = {}
        for bucket, message in self._intake.process(self._lane, [record], self._held):
            if bucket == self._buckets:
                told = self._loop.run_until_complete(self._lookup.look_up(message))
                if self.deaf:
                    self._held_back += told
                    continue
                for target, blob in told:
                    parts.setdefault(target, []).append(blob)
                continue
            for target, blob in self._history.process(bucket, self._stores[bucket], (message,)):
                parts.setdefault(target, []).append(blob)
        return [
            one
            for bucket, blobs in parts.items()
            for one in self._taken(self.decide.process(bucket, self._states[bucket], blobs))
        ]

    def change(self, revision: int, base: int, *rules: Rule) -> list[dict[str, Any]]:
        """Let decide keep a revision, and all histories say that they come to it; return the decisions that it brings."""
        delta = Delta({one.id: one for one in rules}, {}, {}, {one.id: one.version for one in rules})
        return [
            one
            for bucket, state in enumerate(self._states)
            for one in self._taken(
                self.decide.process(
                    bucket,
                    state,
                    [
                        encode(Revise(1, revision, base, [delta.encode()], [])),
                        *(encode(Marker(1, revision, sender)) for sender in range(self._buckets)),
                    ],
                )
            )
        ]

    def deliver(self) -> list[dict[str, Any]]:
        """Let the answers through that were held back; return the decisions that they bring."""
        answers, self._held_back = self._held_back, []
        return [
            one
            for bucket, blob in answers
            for one in self._taken(self.decide.process(bucket, self._states[bucket], [blob]))
        ]

    def wait(self, ms: float) -> list[dict[str, Any]]:
        """Let time pass; return the decisions that it brings."""
        self.clock_ms += ms
        return [
            one
            for bucket in range(self._buckets)
            for one in self._taken(self.decide.expire_waits(bucket, self._states[bucket]))
        ]

    def _taken(self, out: Output) -> list[dict[str, Any]]:
        assert out.letters == []
        self.acks += [ack for data in out.acks if (ack := read_ack(data)) is not None]
        self.figures += [json.loads(one) for one in out.figures]
        records = [decode_record(value) for _, value in out.edges]
        self.edges += records
        self._loop.run_until_complete(self._service.ingest(records))
        return [json.loads(encode_json(one)) for decided in out.decided for one in decided.decisions]


@contextmanager
def graph_job(folder: Path, *rules: Rule, text: str = PIPELINE) -> Iterator[Job]:
    """A job beside its graph service."""
    loop = asyncio.new_event_loop()
    service = GraphService(EmbeddedStore())
    server = GraphServer(service)
    port = loop.run_until_complete(server.start("127.0.0.1:0"))
    path = folder / "pipeline.yaml"
    path.write_text(text.replace("ADDRESS", f"127.0.0.1:{port}"), encoding="utf-8")
    job = Job(load_pipeline(path), list(rules), service, loop)
    try:
        yield job
    finally:
        loop.run_until_complete(job._lookup.client.close())
        loop.run_until_complete(server.stop(0))
        loop.close()
