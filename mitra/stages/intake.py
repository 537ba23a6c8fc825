"""Intake: the records of one lane in, messages to the buckets out.

It reads every topic of the job. Events are decoded and routed to the buckets of their entities; labels go to the bucket that
remembers their transaction; outcomes come back as labels for the histories; a probe goes to every bucket.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from control_stream import Activate
from control_stream.acks import Status
from mitra.acks import ack_of
from mitra.blueprint import Blueprint
from mitra.dead_letter import DeadLetter
from mitra.decode import Decoder, Event, Rejection
from mitra.graph_asking import NodeReader, ask, silence
from mitra.graph_pace import Pace
from mitra.held_records import HeldRecords
from mitra.lane import LAGS_MS, Lane, Source
from mitra.messages import Control, LaneTime, Letters, Marker, Message, Probe, RollCall, decode, encode
from mitra.probe import is_for
from mitra.reports import (
    Outcome,
    Report,
    ReportDecoder,
    decode_outcome,
    note_batches,
    outcome_notes,
    published_ms,
    report_batches,
)
from mitra.route import Router
from mitra.stages import Clock, Emit, wall_clock_ms

FIELD_SEPARATOR = "\x1f"
"""Between topic, partition, offset, timestamp and value of a source record."""


PROBE_BYTES = 128
"""More of a probe's name isn't passed on: it goes to every bucket."""


@dataclass(slots=True)
class _Sorted:
    """A batch of records, sorted by what they are."""

    events: list[Event] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    reports: list[tuple[Report, Source, bytes]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    probes: list[bytes] = field(default_factory=list)
    published: dict[tuple[int, int], str] = field(default_factory=dict)
    """By the topic and the number of a partition: the Kafka timestamp of its last event."""

    def lagging(self, now_ms: int) -> set[tuple[int, int]]:
        """Return the partitions of which more lies in their topic: what was read last had lain there."""
        times_ms = {place: published_ms(text) for place, text in self.published.items()}
        return {place for place, at_ms in times_ms.items() if at_ms is not None and at_ms < now_ms - LAGS_MS}


def merged(events: list[Event], sources: list[Source]) -> tuple[list[Event], list[Source]]:
    """Return the events of several topics or partitions in the order of time: a login goes before the payment that it led to.

    A batch that was read to catch up holds minutes of each, one behind the other. Within a partition the order stays what
    it is: an event goes where the newest before it there does.
    """
    if len({(source.topic, source.partition) for source in sources}) < 2:
        return events, sources
    newest: dict[tuple[int, int], int] = {}
    reached = []
    for event, source in zip(events, sources, strict=True):
        place = source.topic, source.partition
        newest[place] = max(event.time_ms, newest.get(place, event.time_ms))
        reached.append(newest[place])
    order = sorted(range(len(events)), key=reached.__getitem__)
    return [events[row] for row in order], [sources[row] for row in order]


class Intake:
    """Decodes and routes batches of source records."""

    def __init__(
        self,
        blueprint: Blueprint,
        clock: Clock = wall_clock_ms,
        subtask: int = 0,
        job: str = "",
        pace: Pace | None = None,
    ) -> None:
        """Compile decoding and routing from the pipeline; `job` is Flink's id of the job that this is part of.

        `pace` is shared with decide; without one all is asked of the graph.
        """
        pipeline = blueprint.pipeline
        self._control_end = blueprint.control_end
        self._lanes = pipeline.job.lanes
        self._subtask = subtask
        self._job = job
        self._clock = clock
        self._buckets = pipeline.job.buckets
        self._topics = blueprint.source_topics
        self._places = {topic: place for place, topic in enumerate(self._topics)}
        self._entities = pipeline.entities
        self._decoders = [Decoder(event, pipeline.limits) for event in pipeline.events]
        self._router = Router(pipeline.events, pipeline.entities, blueprint.layout, self._buckets)
        self._probes = self._places[pipeline.topics.probes]
        labels = pipeline.labels
        self._reports = None if labels is None else ReportDecoder(labels, pipeline.limits)
        self._labels = None if labels is None else self._places[labels.topic]
        self._graph = pipeline.graph
        self._nodes = None if pipeline.graph is None else NodeReader(pipeline.graph, pipeline.decided)
        self._decided = [event.decided for event in pipeline.events]
        self._pace = pace

    def process(self, lane: Lane, records: Sequence[str], held: HeldRecords) -> Emit:
        """Take one batch: source records, each `topic, partition, offset, timestamp, N or V+value`, or one of govern's messages.

        Until the control log is active up to where it ended when the job was submitted, source records are held.
        """
        if records[0].startswith(FIELD_SEPARATOR):
            yield from self._told(lane, decode(records[0][1:].encode("latin-1")))
            if held.batches and lane.read_to >= self._control_end:
                for batch in held.release():
                    yield from self._route(lane, batch)
        elif lane.read_to < self._control_end:
            held.hold(records)
        else:
            yield from self._route(lane, records)

    def tick(self, lane: Lane, held: HeldRecords) -> Emit:
        """Tell the buckets that have heard nothing of a lane since the last tick how far it has come: every `TICK_MS`."""
        if held.batches or lane.read_to < self._control_end:
            return
        now_ms = self._clock()
        lane.listen(now_ms)
        told = encode(LaneTime(lane.number, self._router.settled_ms(lane, now_ms), lane.idle))
        for bucket in range(self._buckets):
            if bucket not in lane.told:
                yield bucket, told
        lane.told.clear()

    def _told(self, lane: Lane, message: Message) -> Emit:
        """Stamp another revision from now on, or say which one is stamped."""
        if isinstance(message, Activate):
            if self._graph is not None and self._nodes is not None:
                # The lookup's worker starts with the first that it is asked: rather this than a payment.
                yield self._buckets, encode(ask(self._graph, self._nodes, (), ()))
            lane.revision = max(lane.revision, message.revision)
            lane.read_to = max(lane.read_to, message.read_to)
            for bucket in range(self._buckets):
                yield bucket, encode(Marker(message.attempt, lane.revision, lane.number))
            yield self._ack(lane, "active", message.attempt)
        elif isinstance(message, RollCall):
            yield self._ack(lane, "running", message.attempt)

    def _ack(self, lane: Lane, status: Status, attempt: int) -> tuple[int, bytes]:
        at = int(self._clock())
        ack = ack_of("intake", status, lane.number, self._lanes, lane.revision, attempt, self._subtask, at)
        return lane.number % self._buckets, encode(Control([ack]))

    def _route(self, lane: Lane, records: Sequence[str]) -> Emit:
        now_ms = self._clock()
        batch = self._sort(records, int(now_ms))
        events, sources = merged(batch.events, batch.sources)
        yield from self._asked(events, sources)
        lagging = batch.lagging(int(now_ms))
        for bucket, routed in self._router.route(lane, events, sources, now_ms, lane.revision, lagging):
            yield bucket, encode(routed)
        notes = outcome_notes(batch.outcomes, self._entities)
        for bucket, labels in note_batches(notes, self._entities, self._buckets, lane):
            yield bucket, encode(labels)
        for bucket, reports in report_batches(batch.reports, self._buckets):
            yield bucket, encode(reports)
        if batch.letters:
            yield lane.number % self._buckets, encode(Letters([letter.to_json() for letter in batch.letters]))
        for probe in batch.probes:
            name = probe.decode("utf-8", "replace")
            for bucket in range(self._buckets if is_for(name, self._job) else 0):
                yield bucket, encode(Probe(name, bucket, now_ms, [f"intake of lane {lane.number}"]))

    def _asked(self, events: Sequence[Event], sources: Sequence[Source]) -> Emit:
        """Ask the graph about the nodes of the payments: behind the last history bucket lies the lookup."""
        if self._graph is None or self._nodes is None:
            return
        rows = [row for row, source in enumerate(sources) if self._decided[source.topic]]
        if rows:
            asked = ask(self._graph, self._nodes, [events[row] for row in rows], [sources[row] for row in rows])
            blob = encode(asked)
            if self._pace is None or self._pace.may_ask(len(blob)):
                yield self._buckets, blob
            else:
                yield from silence(asked, self._buckets)

    def _sort(self, records: Sequence[str], now_ms: int) -> _Sorted:
        kinds = len(self._decoders)
        batch = _Sorted()
        for record in records:
            topic, partition, offset, published, rest = record.split(FIELD_SEPARATOR, 4)
            value = rest[1:].encode("latin-1") if rest[0] == "V" else None
            place = self._places.get(topic)
            if place is None:
                # State keeps the source's partitions: a restored job reads those that its pipeline has dropped as well.
                refused = Rejection("unknown_topic", None, f"the pipeline names no topic {topic}")
                batch.letters.append(DeadLetter.of(refused, topic, int(partition), int(offset), value))
                continue
            source = Source(place, int(partition), int(offset))
            if place < kinds:
                found = self._decoders[place].decode(value, now_ms)
                if isinstance(found, Event):
                    batch.events.append(found)
                    batch.sources.append(source)
                    batch.published[place, source.partition] = published
                else:
                    batch.letters.append(self._letter(found, source, value))
            else:
                self._sort_other(batch, place, source, published, value)
        return batch

    def _sort_other(self, batch: _Sorted, place: int, source: Source, published: str, value: bytes | None) -> None:
        if place == self._probes:
            batch.probes.append((value or b"")[:PROBE_BYTES])
            return
        if place == self._labels and self._reports is not None:
            report = self._reports.decode(value, published)
            if isinstance(report, Report):
                batch.reports.append((report, source, value or b""))
            else:
                batch.letters.append(self._letter(report, source, value))
            return
        outcome = decode_outcome(value)
        if isinstance(outcome, Outcome):
            batch.outcomes.append(outcome)
        else:
            batch.letters.append(self._letter(outcome, source, value))

    def _letter(self, rejection: Rejection, source: Source, value: bytes | None) -> DeadLetter:
        return DeadLetter.of(rejection, self._topics[source.topic], source.partition, source.offset, value)
