"""History: the events of one bucket in, the aggregates of their entities out, on their way to decide."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from control_stream.acks import Status
from mitra.acks import ack_of
from mitra.blueprint import Blueprint
from mitra.clock_figures import ClockFigures
from mitra.conflict import conflict_letter
from mitra.decode import decode_payload, payload_fields
from mitra.form import Form
from mitra.history import (
    CONFLICT,
    JOURNAL_EVENTS,
    NEW,
    Events,
    History,
    LabelNotes,
    Result,
    Store,
    Touches,
    no_events,
    warm_up,
)
from mitra.kept_marks import KeptMarks
from mitra.lane_clocks import LaneClocks
from mitra.messages import (
    Alerts,
    Control,
    EventBatch,
    LabelBatch,
    LaneTime,
    Letters,
    LiveValues,
    Marker,
    PartBatch,
    Probe,
    Revise,
    RollCall,
    cells,
    decode,
    encode,
)
from mitra.revision import Revisions, Selection
from mitra.stages import Clock, Emit, wall_clock_ms
from mitra.stages.live import Live
from mitra.stages.watch import Marks, Watching


class Answered(NamedTuple):
    """What parts say of what they hold: the plan that was answered, the payloads' fields, the entities' names.

    `selection` picks that plan's columns out of what histories compute for all revisions.
    """

    plan: int
    fields: list[str]
    entities: list[str]
    selection: Selection


class HistoryStage:
    """Appends events to the histories of one subtask's buckets and answers their aggregates."""

    def __init__(
        self,
        blueprint: Blueprint,
        cache_bytes: int,
        clock: Clock = wall_clock_ms,
        subtask: int = 0,
        *,
        journal_events: int = JOURNAL_EVENTS,
    ) -> None:
        """Compile the aggregates; `cache_bytes` bounds the memory for entities kept decoded, `journal_events` the log."""
        self._clock = clock
        self._job = blueprint.pipeline.job
        self._buckets = self._job.buckets
        self._subtask = subtask
        self._max_future_ms = blueprint.pipeline.limits.max_future_ms
        self._revisions = Revisions(blueprint, self._job.lanes)
        self._marks: dict[int, KeptMarks] = {}
        self._history = History(self._revisions.nearest(0).plan, cache_bytes, journal_events)
        self._answered: dict[int, Answered] = {}
        self._fields = payload_fields(blueprint.pipeline.decided)
        self._watching = Watching(frozenset(event.name for event in blueprint.pipeline.decided_events))
        self._live = Live(blueprint, clock)
        self._entities = [entity.name for entity in blueprint.pipeline.entities]
        self._kinds = blueprint.pipeline.events
        self._decided = bytes(kind for kind, event in enumerate(self._kinds) if event.decided)
        self._topics = blueprint.source_topics
        self._form = Form.of(self._kinds, blueprint.pipeline.entities, blueprint.layout)
        self._lanes: dict[int, LaneClocks] = {}
        self._figures = ClockFigures(subtask)
        self._no_events = no_events(blueprint.layout)
        self._no_touches = Touches(np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.int32), [])

    def warm_up(self) -> None:
        """Compile the kernels, so that the first payment needn't wait for it."""
        warm_up()

    def process(self, bucket: int, store: Store, blobs: Iterable[bytes]) -> Emit:
        """Take the messages of one bucket; parts go to the decide buckets of their transactions."""
        self._open(bucket, store)
        for blob in blobs:
            message = decode(blob)
            if isinstance(message, EventBatch):
                yield from self._events(bucket, store, self._form.read(message, store))
            elif isinstance(message, LabelBatch):
                lanes, notes = self._lanes[bucket], _label_notes(message, self._entities)
                lanes.labels(message.lane, message.clock_ms)
                self._history.process(bucket, store, self._no_events, self._no_touches, notes, lanes.least_ms())
            elif isinstance(message, LaneTime):
                self._lanes[bucket].told(message.lane, message.settled_ms, idle=message.idle)
                yield from self._due(bucket, store)
            elif isinstance(message, Probe):
                message.trail.append(f"history of bucket {bucket}")
                yield bucket, encode(message)
            elif isinstance(message, Revise):
                yield bucket, self._prepare(bucket, message, store)
            elif isinstance(message, Marker):
                yield from self._mark(bucket, message, store)
            elif isinstance(message, RollCall):
                yield bucket, self._ack(bucket, "running", self._revisions.running(bucket), message.attempt)
            else:
                yield bucket, blob
        yield from self._tell(bucket)

    def _tell(self, bucket: int) -> Emit:
        figures = self._figures.due(self._clock(), (lanes.lanes for lanes in self._lanes.values()))
        if figures:
            yield bucket, encode(Control([], figures=figures))

    def _open(self, bucket: int, store: Store) -> None:
        if self._revisions.open(bucket, store):
            self._form.keep(store)
            self._marks[bucket] = KeptMarks(store)
            self._lanes[bucket] = LaneClocks(self._job.lanes, self._clock)
            self._watching.open(bucket, store)
            self._live.open(bucket, store)
            self._replan()

    def _prepare(self, bucket: int, revise: Revise, store: Store) -> bytes:
        """Keep a revision and answer it from now on; return what is said of that."""
        if self._revisions.prepare(bucket, revise, store):
            self._replan()
        self._marks[bucket].take(revise.marks, self._revisions.running(bucket), store)
        dates = self._revisions.exact_from(bucket, revise.revision, self._newest_ms(bucket))
        return self._ack(bucket, "ready", revise.revision, revise.attempt, dates)

    def _mark(self, bucket: int, marker: Marker, store: Store) -> Emit:
        """Where no lane stamps an older revision any more: say so, tell decide, and answer less."""
        reached = self._revisions.mark(bucket, marker, store)
        if reached is None:
            return
        revision, attempt = reached
        self._replan()
        yield bucket, self._ack(bucket, "active", revision, attempt)
        for target in range(self._buckets):
            yield target, encode(Marker(attempt, revision, bucket))

    def _replan(self) -> None:
        """Answer what all known revisions ask for: a revision may be stamped long after the next one was prepared.

        Tiles keep only what the plan asks for, so the plan never leaves out what some bucket keeps.
        """
        revisions = self._revisions.all()
        asked = {one.key: one for revision in revisions for one in revision.aggregates}
        self._answered.clear()
        self._watching.forget()
        if list(asked) != [one.key for one in self._history.plan.aggregates]:
            self._history.replan(revisions[0].blueprint.plan_of(tuple(asked.values())))

    def _answers(self, number: int) -> Answered:
        answered = self._answered.get(number)
        if answered is None:
            revision = self._revisions.nearest(number)
            selection = Selection(self._history.plan, revision.plan)
            answered = Answered(revision.fingerprint, self._fields, self._entities, selection)
            self._answered[number] = answered
        return answered

    def _ack(
        self, bucket: int, status: Status, revision: int, attempt: int, exact_from: Mapping[str, int] | None = None
    ) -> bytes:
        ack = ack_of(
            "history", status, bucket, self._buckets, revision, attempt, self._subtask, int(self._clock()),
            exact_from=exact_from,
        )  # fmt: skip
        return encode(Control([ack]))

    def _newest_ms(self, bucket: int) -> int:
        """Return a time that no event in a bucket is behind: what its lanes have reached, else what decoding lets through."""
        newest_ms = self._lanes[bucket].newest_ms()
        return int(self._clock()) + self._max_future_ms if newest_ms is None else newest_ms

    def _events(self, bucket: int, store: Store, batch: EventBatch) -> Emit:
        touches = Touches(
            entity=np.frombuffer(batch.touch_entities, dtype=np.uint8),
            event=np.frombuffer(batch.touch_events, dtype=np.int32),
            key=batch.keys,
        )
        lanes = self._lanes[bucket]
        lanes.events(batch.lane, batch.clock_ms, batch.clock_ms if batch.settled_ms < 0 else batch.settled_ms)
        self._figures.came(len(batch.ids), len(batch.flags) - batch.flags.count(0))

        def subject(touch: int) -> tuple[str, str]:
            return self._entities[touches.entity[touch]], touches.key[touch]

        result = self._history.process(bucket, store, _events(batch), touches, None, lanes.least_ms())
        others = batch.kinds.translate(None, self._decided)
        if len(others) < len(batch.kinds):
            marks = self._marks_of(bucket, store, batch, touches) if self._marks[bucket].any else {}
            answered = self._answers(batch.revision)
            decided = self._decided if others else None
            yield from split_parts(batch, touches, result, self._buckets, answered, self._clock(), marks, decided)
        if others:
            letters = self._conflicts(batch, touches, result)
            if letters:
                yield bucket, encode(Letters(letters))
        if result.found:
            revision = self._revisions.nearest(batch.revision)
            found = self._watching.take(
                bucket, store, result.found, subject, revision, self._marks_reader(bucket, store)
            )
            yield from _alerts(bucket, found)
        if self._live.any:
            new = np.flatnonzero(result.status == NEW).tolist()
            yield from _told(bucket, self._live.touched(bucket, store, self._history, map(subject, new)))
        yield from self._due(bucket, store)

    def _due(self, bucket: int, store: Store) -> Emit:
        """Tell what time alone changes: live features, and what has been absent until now."""
        lanes = self._lanes[bucket]
        if self._live.waits(bucket):
            now_ms = lanes.now_ms()
            if now_ms is not None:
                yield from _told(bucket, self._live.due(bucket, store, self._history, now_ms))
        settled_ms = lanes.settled_ms() if self._watching.waits(bucket) else None
        if settled_ms is not None:
            revision = self._revisions.nearest(self._revisions.running(bucket))
            marks = self._marks_reader(bucket, store)
            told = list(self._watching.due(bucket, store, self._history, settled_ms, revision, marks))
            self._figures.told(len(told), lanes.lanes)
            yield from _alerts(bucket, told)

    def _marks_reader(self, bucket: int, store: Store) -> Marks:
        marks = self._marks[bucket]

        def read(entity: str, key: str, revision: int, time_ms: int) -> list[str]:
            return marks.names(entity, key, revision, time_ms, store) if marks.any else []

        return read

    def _marks_of(self, bucket: int, store: Store, batch: EventBatch, touches: Touches) -> dict[int, list[str]]:
        """Return, by touch, the lists and snoozes that hold its entity under the batch's revision."""
        marks = self._marks[bucket]
        times_ms = np.frombuffer(batch.times_ms, dtype=np.int64)[touches.event].tolist()
        found = {}
        for touch, (entity, key, time_ms) in enumerate(
            zip(touches.entity.tolist(), touches.key, times_ms, strict=True)
        ):
            names = marks.names(self._entities[entity], key, batch.revision, time_ms, store)
            if names:
                found[touch] = names
        return found

    def _conflicts(self, batch: EventBatch, touches: Touches, result: Result) -> list[bytes]:
        """Return the dead letters of events that nobody decides; the bucket that got an event's payload speaks for all."""
        rows = np.unique(touches.event[result.status == CONFLICT]).tolist()
        partitions = np.frombuffer(batch.partitions, dtype=np.int32)
        offsets = np.frombuffer(batch.offsets, dtype=np.int64)
        letters = []
        for row in rows:
            gone = batch.kinds[row] >= len(self._kinds)
            if batch.payloads[row] and not gone and batch.kinds[row] not in self._decided:
                event, values = self._kinds[batch.kinds[row]], decode_payload(batch.payloads[row])
                topic = self._topics[batch.topics[row]]
                letters.append(conflict_letter(event, values, topic, int(partitions[row]), int(offsets[row])).to_json())
        return letters


def _told(bucket: int, records: Iterable[tuple[str, bytes]]) -> Emit:
    told = list(records)
    if told:
        yield bucket, encode(LiveValues(told))


def _alerts(bucket: int, found: Iterable[tuple[str, bytes]]) -> Emit:
    alerts = list(found)
    if alerts:
        yield bucket, encode(Alerts(alerts))


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


def _label_notes(batch: LabelBatch, entities: list[str]) -> LabelNotes:
    return LabelNotes(
        entity=np.frombuffer(batch.entities, dtype=np.uint8),
        key=batch.keys,
        id_hash=np.frombuffer(batch.id_hashes, dtype=np.int64),
        event_time_ms=np.frombuffer(batch.times_ms, dtype=np.int64),
        value=np.frombuffer(batch.values, dtype=np.float64),
        known_at_ms=np.frombuffer(batch.known_at_ms, dtype=np.int64),
        version=np.frombuffer(batch.versions, dtype=np.int64),
    ).by_name(batch.names, entities)


def split_parts(
    batch: EventBatch,
    touches: Touches,
    result: Result,
    buckets: int,
    answered: Answered,
    now_ms: float,
    marks: dict[int, list[str]],
    decided: bytes | None = None,
) -> Iterator[tuple[int, bytes]]:
    """Return what history answered about a batch, under its revision, as one message to each decide bucket.

    `decided` are the types that get a decision; None where all of the batch do.
    """
    targets = [id_hash % buckets for id_hash in memoryview(batch.id_hashes).cast("q")]
    if decided is not None:
        targets = [bucket if kind in decided else -1 for bucket, kind in zip(targets, batch.kinds, strict=True)]
    rows: dict[int, list[int]] = {}
    for row, bucket in enumerate(targets):
        if bucket >= 0:
            rows.setdefault(bucket, []).append(row)
    events = touches.event.tolist()
    touched: dict[int, list[int]] = {bucket: [] for bucket in rows}
    for touch, row in enumerate(events):
        if targets[row] >= 0:
            touched[targets[row]].append(touch)
    selection = answered.selection
    width = selection.width
    values = selection.cells(result.values, touches.entity, np.nan).tobytes()
    arrivals = result.arrival.tobytes()
    statuses = result.status.tobytes()
    approximate = b""
    if result.approximate is not None:
        approximate = selection.cells(result.approximate, touches.entity, False).tobytes()
    texts = result.texts
    if texts is not None and not selection.same:
        texts = [selection.row(row, entity) for row, entity in zip(texts, touches.entity.tolist(), strict=True)]
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
            texts=[] if texts is None else [texts[touch] for touch in held],
            approximate=cells(approximate, width, held) if approximate else b"",
            keys=[batch.keys[touch] for touch in held],
            marks={place: marks[touch] for place, touch in enumerate(held) if touch in marks} if marks else {},
        )
        yield bucket, encode(part)
