"""The intake of a replay: prepared batches instead of Kafka records, with the labels of their events.

Replay runs far faster than the clock, so labels are handed over at once: the known-at time hides them until they count.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mitra.blueprint import Blueprint
from mitra.decode import Event
from mitra.graph.records import Judged
from mitra.hashing import text_hash
from mitra.lane import Lane, Source
from mitra.messages import End, Told, encode
from mitra.pipeline import Pipeline, load_pipeline
from mitra.replay.graph import ReplayGraph
from mitra.replay.prepared import PreparedBatch, PreparedInput
from mitra.reports import LabelNote, Report, note_batches, report_batches
from mitra.route import Router, readers_of
from mitra.stages import Clock, wall_clock_ms

NO_DEADLINE_MS = 1 << 52


def replay_pipeline(path: str | Path, parallelism: int) -> Pipeline:
    """Return a pipeline cut for a replay: as many buckets as subtasks, so that the parts of a transaction meet at once.

    A replay keeps no state, so unlike the live job it is free to choose.
    """
    pipeline = patient(load_pipeline(path))
    return replace(pipeline, job=replace(pipeline.job, buckets=parallelism, lanes=1))


def patient(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline without deadlines: in a replay every answer comes, and is waited for."""
    graph = pipeline.graph
    return pipeline if graph is None else replace(pipeline, graph=replace(graph, deadline_ms=NO_DEADLINE_MS))


class ReplayIntake:
    """Routes the batches of a prepared input, in their order."""

    def __init__(self, blueprint: Blueprint, folder: Path, clock: Clock = wall_clock_ms) -> None:
        """Open the prepared input in `folder`."""
        pipeline = blueprint.pipeline
        self._clock = clock
        self._input = PreparedInput.open(folder)
        self._buckets = pipeline.job.buckets
        self._entities = pipeline.entities
        self._router = Router(pipeline.events, pipeline.entities, blueprint.layout, self._buckets)
        self._readers = [readers_of(event, pipeline.entities) for event in pipeline.events]
        self._labels = pipeline.labels
        self._monitored = pipeline.monitoring is not None
        self._lane = Lane(0, opening_ms=0)
        self._offset = 0
        self._decided = [event.decided for event in pipeline.events]
        graph = pipeline.graph
        self._graph = None if graph is None else ReplayGraph(graph, pipeline.decided, self._buckets)

    def process(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Route batch `number`; the number behind the last one sends the end to every bucket."""
        if number == self._input.batches:
            for bucket in range(self._buckets):
                yield bucket, encode(End(bucket, number))
            return
        batch = self._input.batch(number)
        # A batch of a quiet input spans weeks, so labels go first: a later event of the same batch may already count them.
        for bucket, labels in note_batches(self._notes(batch), self._entities, self._buckets, self._lane):
            yield bucket, encode(labels)
        # Where the monitor is to know them, they wait in decide: its windows end with payments, and labels count till then.
        for bucket, reports in report_batches(self._reports(batch), self._buckets) if self._monitored else ():
            yield bucket, encode(reports)
        sources = [Source(kind, 0, self._offset + place) for place, kind in enumerate(batch.kinds)]
        self._offset += len(sources)
        for bucket, told in self._told(batch, sources):
            yield bucket, encode(told)
        for bucket, routed in self._router.route(self._lane, batch.events, sources, self._clock(), 0):
            yield bucket, encode(routed)

    def _reports(self, batch: PreparedBatch) -> list[tuple[Report, Source, bytes]]:
        """Return the labels of decided events, for the monitor; what says no more than silence is left out here too."""
        source = Source(0, 0, 0)
        return [
            (Report(batch.events[row].id, label, known_at, version, ""), source, b"")
            for row, label, known_at, version in self._telling(batch)
        ]

    def _told(self, batch: PreparedBatch, sources: list[Source]) -> Iterator[tuple[int, Told]]:
        """Return what the graph says of the batch's payments: it comes before their parts, and passes history."""
        if self._graph is None:
            return
        rows = [row for row, kind in enumerate(batch.kinds) if self._decided[kind]]
        labels = [Judged(batch.events[row].id, label == 1.0, *known) for row, label, *known in _labels(batch)]
        yield from self._graph.tell([batch.events[row] for row in rows], [sources[row] for row in rows], labels)

    def _notes(self, batch: PreparedBatch) -> Iterator[LabelNote]:
        """Return a note for every entity of each labelled event, and one more for each other version of its label."""
        for row, label, known_at, version in self._telling(batch):
            event = batch.events[row]
            id_hash = text_hash(event.id)
            for place, reader in self._readers[batch.kinds[row]]:
                key = reader(event.values)
                if key is not None:
                    yield LabelNote(place, key, id_hash, event.time_ms, label, known_at, version)

    def _telling(self, batch: PreparedBatch) -> Iterator[tuple[int, float, int, int]]:
        """Yield the labels, with their rows, that say more than silence does, or that others supersede."""
        corrected = {row for row, *_ in batch.corrections}
        for row, label, known_at, version in _labels(batch):
            if row in corrected or not self._says_nothing(batch.events[row], label, known_at):
                yield row, label, known_at, version

    def _says_nothing(self, event: Event, label: float, known_at_ms: int) -> bool:
        """Tell whether silence would have said the same, no later: histories don't store such a label either."""
        labels = self._labels
        return (
            labels is not None
            and labels.absent_is == "legit"
            and label == 0.0
            and known_at_ms >= event.time_ms + labels.after_ms
        )


def _labels(batch: PreparedBatch) -> Iterator[tuple[int, float, int, int]]:
    """Yield row, value, known-at time and version of each label, the corrections behind all others."""
    columns = zip(batch.labels, batch.known_at_ms, batch.versions, strict=True)
    for row, (label, known_at, version) in enumerate(columns):
        if label is not None:
            yield row, label, known_at, version
    yield from batch.corrections
