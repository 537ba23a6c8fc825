"""The live stages in this process, fed with Kafka records of JSON in order: one lane, no Flink, outcomes read back at once."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from control_stream import LiveSet
from mitra.blueprint import Blueprint
from mitra.decide import State
from mitra.decision import Decision
from mitra.event_time import time_text
from mitra.held_records import HeldRecords
from mitra.history import MemoryStore
from mitra.lane import GRACE_MS, IDLE_MS, TICK_MS, Lane
from mitra.log.columns import SEPARATOR, LogColumns
from mitra.pipeline import Pipeline
from mitra.stages.decide import DecideStage
from mitra.stages.history import HistoryStage
from mitra.stages.intake import FIELD_SEPARATOR, Intake

_ARROW: dict[str, Any] = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "texts": pa.list_(pa.string()),
}
_RECORDS = pa.schema([
    ("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()), ("published", pa.timestamp("ms")),
    ("value", pa.binary()), ("day", pa.string()),
])  # fmt: skip


class WiredJob:
    """Intake, history and decide of a pipeline without labels in flight: what one record causes is done before the next."""

    def __init__(self, pipeline: Pipeline, live: LiveSet | None = None, *, listens: bool = False) -> None:
        """Compile the stages with what is live from the start; state is in dicts.

        `listens`: the time between two records passes as it does live, tick by tick.
        """
        self.listens = listens
        self.blueprint = Blueprint(pipeline, live=live)
        self._clock_ms = 0
        self._offsets: Counter[str] = Counter()
        buckets = pipeline.job.buckets
        self._pipeline = pipeline
        self._lane, self._held = Lane(0), HeldRecords(MemoryStore())
        self._intake = Intake(self.blueprint, clock=lambda: self._clock_ms)
        self._history = HistoryStage(self.blueprint, 1 << 26, clock=lambda: self._clock_ms)
        self._decide = DecideStage(self.blueprint, clock=lambda: self._clock_ms)
        self._stores = [MemoryStore() for _ in range(buckets)]
        self._states = [State(*(MemoryStore() for _ in range(4))) for _ in range(buckets)]
        self.records: list[tuple[str, int, int, bytes]] = []
        """What was read: topic, offset, wall clock in epoch milliseconds, value."""
        self.columns = LogColumns(self.blueprint.compiled.types)
        self.logged: list[dict[str, Any]] = []
        """The rows of the log's decisions."""
        self.letters: list[bytes] = []
        self.decisions: list[Decision] = []
        self.alerts: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        """The records of the features topic."""

    def read(self, now_ms: int, records: Iterable[tuple[str, bytes]]) -> None:
        """Take records of (topic, value) at a time of the wall clock, and the outcomes that they cause."""
        if self.listens:
            self.tick(now_ms)
        self._take(now_ms, self._answered(self._routed(now_ms, records)))

    def _routed(self, now_ms: int, records: Iterable[tuple[str, bytes]]) -> Iterable[tuple[int, bytes]]:
        self._clock_ms = now_ms
        texts = []
        for topic, value in records:
            offset = self._offsets[topic]
            self._offsets[topic] += 1
            self.records.append((topic, offset, now_ms, value))
            published = time_text(now_ms).removesuffix("Z").replace("T", " ")
            texts.append(FIELD_SEPARATOR.join((topic, "0", str(offset), published, "V" + value.decode("latin-1"))))
        return self._intake.process(self._lane, texts, self._held)

    def upgraded(self, pipeline: Pipeline, now_ms: int, under_way: Iterable[tuple[str, bytes]] = ()) -> "WiredJob":
        """Return the job of another pipeline over this one's state; `under_way` are records that were on their way to history."""
        records = list(under_way)
        messages = list(self._routed(now_ms, records)) if records else []
        job = WiredJob(pipeline, listens=self.listens)
        job._stores, job._states, job._offsets = self._stores, self._states, self._offsets
        lane = self._lane
        job._lane = Lane(lane.number, lane.clock_ms, lane.revision, lane.read_to)
        job._clock_ms = now_ms
        job._take(now_ms, job._answered(messages))
        return job

    def tick(self, now_ms: int) -> None:
        """Let the wall clock go on to a time while nothing comes."""
        listened_ms = max(self._clock_ms, now_ms - GRACE_MS - IDLE_MS)
        for at_ms in (*range(listened_ms, now_ms, 2 * TICK_MS), now_ms):
            self._clock_ms = at_ms
            self._take(at_ms, self._answered(self._intake.tick(self._lane, self._held)))

    def _answered(self, messages: Iterable[tuple[int, bytes]]) -> dict[int, list[bytes]]:
        """Let histories answer messages; return what they send to decide."""
        parts: dict[int, list[bytes]] = {}
        for bucket, message in messages:
            for target, part in self._history.process(bucket, self._stores[bucket], (message,)):
                parts.setdefault(target, []).append(part)
        return parts

    def restart(self, now_ms: int = 0) -> None:
        """Forget all that isn't state, and go on, not before a time."""
        self._clock_ms = max(self._clock_ms, now_ms)
        lane = self._lane
        self._lane = Lane(lane.number, lane.clock_ms, lane.revision, lane.read_to)
        self._history = HistoryStage(self.blueprint, 1 << 26, clock=lambda: self._clock_ms)
        self._decide = DecideStage(self.blueprint, clock=lambda: self._clock_ms)

    def _take(self, now_ms: int, parts: dict[int, list[bytes]]) -> None:
        for bucket, blobs in parts.items():
            out = self._decide.process(bucket, self._states[bucket], blobs)
            self.letters += out.letters
            ids = [str(decision.transaction_id) for decided in out.decided for decision in decided.decisions]
            rows = _rows(self.columns, *self.columns.rows(out.decided))
            self.decisions += [decision for decided in out.decided for decision in decided.decisions]
            self.told += [json.loads(value) for _, value in out.told]
            self.alerts += [json.loads(value) for _, value in out.alerts]
            self.logged += [{"transaction_id": id, **row} for id, row in zip(ids, rows, strict=True)]
            if out.outcomes:
                self.read(now_ms, [(self._pipeline.topics.outcomes, value) for _, value in out.outcomes])

    def write_log(self, folder: Path) -> None:
        """Write what Flink's sinks would."""
        assert self.letters == []
        kinds = {column.name: _ARROW[column.kind] for column in self.columns.columns}
        schema = pa.schema([("transaction_id", pa.string()), *kinds.items()])
        _by_day(pa.Table.from_pylist(self.logged, schema=schema), folder / "decisions")
        records = [
            {
                "topic": topic,
                "partition": 0,
                "offset": offset,
                "published": at,
                "value": value,
                "day": time_text(at)[:10],
            }
            for topic, offset, at, value in self.records
        ]
        _by_day(pa.Table.from_pylist(records, schema=_RECORDS), folder / "records")


def _by_day(table: pa.Table, folder: Path) -> None:
    for day in set(table.column("day").to_pylist()):
        (folder / f"day={day}").mkdir(parents=True, exist_ok=True)
        rows = table.filter(pc.equal(table.column("day"), day)).drop_columns("day")
        pq.write_table(rows, folder / f"day={day}" / "part-0-0")


def _rows(columns: LogColumns, numbers: list[float | None], texts: list[str | None]) -> list[dict[str, Any]]:
    """Take rows apart as SQL does."""
    casts: dict[str, Any] = {"integer": int, "boolean": bool, "number": float}
    rows = []
    for row in range(len(texts) // len(columns.texts)):
        values: dict[str, Any] = {}
        for place, column in enumerate(columns.numbers):
            number = numbers[row * len(columns.numbers) + place]
            values[column.name] = None if number is None else casts[column.kind](number)
        for place, column in enumerate(columns.texts):
            text = texts[row * len(columns.texts) + place]
            values[column.name] = text.split(SEPARATOR) if text is not None and column.kind == "texts" else text
        rows.append(values)
    return rows


def json_records(table: pa.Table) -> list[bytes]:
    """Return a table's rows as the messages that a producer sends."""
    return [json.dumps(row).encode() for row in table.to_pylist()]
