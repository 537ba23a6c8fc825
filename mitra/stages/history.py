"""History: the events of one bucket in, the aggregates of their entities out, on their way to decide."""

from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from mitra.blueprint import Blueprint
from mitra.conflict import conflict_letter
from mitra.decode import decode_payload, payload_fields
from mitra.event_time import EARLIEST_MS
from mitra.history import CONFLICT, Events, History, LabelNotes, Result, Store, Touches, warm_up
from mitra.messages import EventBatch, LabelBatch, Letters, PartBatch, Probe, cells, decode, encode
from mitra.stages import Clock, Emit, wall_clock_ms

_SILENT_MS = 600_000
"""A lane that a bucket has not heard of for so long, on the wall clock, no longer holds back the bucket's event-time clock."""


class HistoryStage:
    """Appends events to the histories of one subtask's buckets and answers their aggregates."""

    def __init__(self, blueprint: Blueprint, cache_bytes: int, clock: Clock = wall_clock_ms) -> None:
        """Compile the aggregates; `cache_bytes` bounds the memory for entities kept decoded."""
        self._clock = clock
        self._buckets = blueprint.pipeline.job.buckets
        self._history = History(blueprint.history_plan, cache_bytes)
        self._answered = Answered(
            blueprint.fingerprint,
            payload_fields(blueprint.pipeline.decided),
            [entity.name for entity in blueprint.pipeline.entities],
        )
        self._kinds = blueprint.pipeline.events
        self._topics = blueprint.source_topics
        self._clocks: dict[int, dict[int, tuple[int, float]]] = {}
        layout = blueprint.layout
        self._no_events = _no_events(len(layout.numeric), len(layout.text))
        self._no_touches = Touches(np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.int32), [])

    def warm_up(self) -> None:
        """Compile the kernels, so that the first payment needn't wait for it."""
        warm_up()

    def process(self, bucket: int, store: Store, blobs: Iterable[bytes]) -> Emit:
        """Take the messages of one bucket; parts go to the decide buckets of their transactions."""
        for blob in blobs:
            message = decode(blob)
            if isinstance(message, EventBatch):
                yield from self._events(bucket, store, message)
            elif isinstance(message, LabelBatch):
                clock_ms = self._bucket_clock(bucket, message.lane, message.clock_ms)
                self._history.process(bucket, store, self._no_events, self._no_touches, _label_notes(message), clock_ms)
            elif isinstance(message, Probe):
                message.trail.append(f"history of bucket {bucket}")
                yield bucket, encode(message)
            else:
                yield bucket, blob

    def _bucket_clock(self, bucket: int, lane: int, clock_ms: int) -> int:
        """Return the least event-time clock over the lanes that this bucket has heard of lately.

        A lane that has read labels only has no clock yet, and one that is silent holds nobody up.
        """
        clocks = self._clocks.setdefault(bucket, {})
        now_ms = self._clock()
        if clock_ms >= EARLIEST_MS:
            before_ms, _ = clocks.get(lane, (clock_ms, now_ms))
            clocks[lane] = max(clock_ms, before_ms), now_ms
        return min((clock for clock, heard_ms in clocks.values() if heard_ms >= now_ms - _SILENT_MS), default=clock_ms)

    def _events(self, bucket: int, store: Store, batch: EventBatch) -> Emit:
        touches = Touches(
            entity=np.frombuffer(batch.touch_entities, dtype=np.uint8),
            event=np.frombuffer(batch.touch_events, dtype=np.int32),
            key=batch.keys,
        )
        clock_ms = self._bucket_clock(bucket, batch.lane, batch.clock_ms)
        result = self._history.process(bucket, store, _events(batch), touches, None, clock_ms)
        if self._kinds[batch.kinds[0]].decided:
            return split_parts(batch, touches, result, self._buckets, self._answered, self._clock())
        letters = self._conflicts(batch, touches, result)
        return [(bucket, encode(Letters(letters)))] if letters else ()

    def _conflicts(self, batch: EventBatch, touches: Touches, result: Result) -> list[bytes]:
        """Return the dead letters of events that nobody decides; the bucket that got an event's payload speaks for all."""
        rows = np.unique(touches.event[result.status == CONFLICT]).tolist()
        partitions = np.frombuffer(batch.partitions, dtype=np.int32)
        offsets = np.frombuffer(batch.offsets, dtype=np.int64)
        letters = []
        for row in rows:
            if batch.payloads[row]:
                event, values = self._kinds[batch.kinds[row]], decode_payload(batch.payloads[row])
                topic = self._topics[batch.topics[row]]
                letters.append(conflict_letter(event, values, topic, int(partitions[row]), int(offsets[row])).to_json())
        return letters


def _events(batch: EventBatch) -> Events:
    count = len(batch.ids)
    return Events(
        kind=np.frombuffer(batch.kinds, dtype=np.uint8),
        time_ms=np.frombuffer(batch.times_ms, dtype=np.int64),
        id_hash=np.frombuffer(batch.id_hashes, dtype=np.int64),
        content_hash=np.frombuffer(batch.content_hashes, dtype=np.int64),
        numbers=np.frombuffer(batch.numbers, dtype=np.float64).reshape(count, -1),
        text_hashes=np.frombuffer(batch.text_hashes, dtype=np.int64).reshape(count, -1),
        texts=batch.texts,
    )


def _no_events(numbers: int, texts: int) -> Events:
    return Events(
        kind=np.empty(0, dtype=np.uint8),
        time_ms=np.empty(0, dtype=np.int64),
        id_hash=np.empty(0, dtype=np.int64),
        content_hash=np.empty(0, dtype=np.int64),
        numbers=np.empty((0, numbers)),
        text_hashes=np.empty((0, texts), dtype=np.int64),
        texts=[],
    )


def _label_notes(batch: LabelBatch) -> LabelNotes:
    return LabelNotes(
        entity=np.frombuffer(batch.entities, dtype=np.uint8),
        key=batch.keys,
        id_hash=np.frombuffer(batch.id_hashes, dtype=np.int64),
        event_time_ms=np.frombuffer(batch.times_ms, dtype=np.int64),
        value=np.frombuffer(batch.values, dtype=np.float64),
        known_at_ms=np.frombuffer(batch.known_at_ms, dtype=np.int64),
        version=np.frombuffer(batch.versions, dtype=np.int64),
    )


class Answered(NamedTuple):
    """What parts say of what they hold: the plan that was answered, the payloads' fields, the entities' names."""

    plan: int
    fields: list[str]
    entities: list[str]


def split_parts(
    batch: EventBatch, touches: Touches, result: Result, buckets: int, answered: Answered, now_ms: float
) -> Iterator[tuple[int, bytes]]:
    """Return what history answered about a batch as one message to each decide bucket."""
    targets = [id_hash % buckets for id_hash in memoryview(batch.id_hashes).cast("q")]
    rows: dict[int, list[int]] = {}
    for row, bucket in enumerate(targets):
        rows.setdefault(bucket, []).append(row)
    events = touches.event.tolist()
    touched: dict[int, list[int]] = {bucket: [] for bucket in rows}
    for touch, row in enumerate(events):
        touched[targets[row]].append(touch)
    width = result.values.shape[1]
    values = result.values.tobytes()
    arrivals = result.arrival.tobytes()
    statuses = result.status.tobytes()
    approximate = b"" if result.approximate is None else result.approximate.tobytes()
    for bucket, mine in rows.items():
        held = touched[bucket]
        place = {row: place for place, row in enumerate(mine)}
        part = PartBatch(
            lane=batch.lane,
            clock_ms=batch.clock_ms,
            revision=batch.revision,
            plan=answered.plan,
            fields=answered.fields,
            entities=answered.entities,
            ids=[batch.ids[row] for row in mine],
            topics=cells(batch.topics, 1, mine),
            partitions=cells(batch.partitions, 4, mine),
            offsets=cells(batch.offsets, 8, mine),
            flags=cells(batch.flags, 1, mine),
            expected=cells(batch.expected, 1, mine),
            decoded_ms=cells(batch.decoded_ms, 8, mine),
            history_ms=array("d", [now_ms]).tobytes() * len(mine),
            times_ms=cells(batch.times_ms, 8, mine),
            payloads=[batch.payloads[row] for row in mine],
            touch_events=array("i", [place[events[touch]] for touch in held]).tobytes(),
            touch_entities=cells(batch.touch_entities, 1, held),
            statuses=cells(statuses, 1, held),
            arrivals=cells(arrivals, 8, held),
            width=width,
            values=cells(values, 8 * width, held),
            texts=[] if result.texts is None else [result.texts[touch] for touch in held],
            approximate=cells(approximate, width, held) if approximate else b"",
            keys=[batch.keys[touch] for touch in held],
        )
        yield bucket, encode(part)
