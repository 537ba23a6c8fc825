"""Decide: the parts of one bucket in, decisions, outcomes and dead letters out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from control_stream import Load
from control_stream.acks import Status
from mitra.acks import ack_of
from mitra.blueprint import Blueprint
from mitra.dead_letter import DeadLetter
from mitra.decide import GRAPH, Decided, Decider, State
from mitra.decision import Decision, encode_json
from mitra.decode import Rejection
from mitra.graph.records import Judged
from mitra.graph.records import encode_record as encode_edge
from mitra.graph_asking import NOTHING_ASKED
from mitra.graph_figures import GraphFigures
from mitra.graph_gather import GraphGather
from mitra.graph_pace import Pace
from mitra.lineup import Lineup
from mitra.messages import (
    Alerts,
    Control,
    End,
    Letters,
    LiveValues,
    Marker,
    PartBatch,
    Probe,
    ReportBatch,
    Revise,
    RollCall,
    Told,
    decode,
)
from mitra.model_figures import ModelFigures
from mitra.model_loads import ModelLoads
from mitra.model_registry import Registry, shared_registry
from mitra.monitoring.observer import Joined, Observer
from mitra.names import Names
from mitra.remembered import decode_record, with_label
from mitra.reports import encode_outcome, outcome_of
from mitra.revision import Revisions
from mitra.rule_figures import RuleFigures
from mitra.segments import Segments
from mitra.stages import Clock, wall_clock_ms
from mitra.waiting_labels import HOUR_MS, WaitingLabel, WaitingLabels

MESSAGE_BYTES = 900_000
"""Kafka takes messages of 1 MB; the job would fail for ever on one that is larger."""

POLL_MS = 20
"""How soon it is looked again whether models are loaded."""

RESTORE_S = 5.0
"""How long a restored bucket waits for its models before it decides without. From the cache they come in a fraction of it."""


@dataclass(slots=True)
class Output:
    """What a batch of one decide bucket came to, by the topic it goes to; keys and values are texts.

    `decided` is the same as `decisions`, before it was encoded, by revision. `acks` and `changes` go to the control topics,
    `figures` to the monitor topic, `told` to the features topic, `observed` to the monitor stage: payments, and the labels that were
    `joined`. `due_ms` are wall clocks at which `expire` is to be called, `poll_ms` one for `poll`, `wait_ms` one for `expire_waits`.
    """

    decided: list[Decided] = field(default_factory=list)
    outcomes: list[tuple[str, bytes]] = field(default_factory=list)
    letters: list[bytes] = field(default_factory=list)
    alerts: list[tuple[str, bytes]] = field(default_factory=list)
    told: list[tuple[str, bytes]] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    acks: list[bytes] = field(default_factory=list)
    changes: list[bytes] = field(default_factory=list)
    figures: list[bytes] = field(default_factory=list)
    observed: list[bytes] = field(default_factory=list)
    joined: list[Joined] = field(default_factory=list)
    edges: list[tuple[str, bytes]] = field(default_factory=list)
    due_ms: set[int] = field(default_factory=set)
    poll_ms: int | None = None
    wait_ms: int | None = None

    @property
    def decisions(self) -> list[tuple[str, bytes]]:
        """The decisions under their transaction ids, as JSON."""
        return [
            (str(decision.transaction_id), _fitting(decision))
            for decided in self.decided
            for decision in decided.decisions
        ]


def _fitting(decision: Decision) -> bytes:
    """Return a decision's JSON, without its features where they would make it too large for Kafka."""
    data = encode_json(decision)
    if len(data) <= MESSAGE_BYTES or decision.features is msgspec.UNSET:
        return data
    return encode_json(msgspec.structs.replace(decision, features=msgspec.UNSET))


class DecideStage:
    """Decides the transactions of one subtask's buckets and joins labels with what was decided."""

    def __init__(
        self,
        blueprint: Blueprint,
        clock: Clock = wall_clock_ms,
        subtask: int = 0,
        registry: Registry | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Compile features and load the pipeline's own model. Raises MitraError for one that can't be used.

        `registry` loads models put at run time; by default the process's. `pace` is told when the graph is heard.
        """
        pipeline = blueprint.pipeline
        self._registry = registry or shared_registry(pipeline.limits.model_bytes)
        self._loads = ModelLoads(self._registry, pipeline.limits)
        self._clock = clock
        self._pipeline = pipeline
        self._subtask = subtask
        self._horizon_ms = 0 if pipeline.labels is None else pipeline.labels.horizon_ms
        self._labels = pipeline.labels
        self._waiting = WaitingLabels()
        self._model = blueprint.load_model()
        self._micro = blueprint.load_micro()
        choice = pipeline.model
        self._segments = Segments(choice.segment_by, choice.segments) if choice and choice.segments else None
        self._figures = RuleFigures(subtask)
        self._model_figures = ModelFigures(subtask)
        self._observer = None if pipeline.monitoring is None else Observer(pipeline.monitoring)
        self._revisions = Revisions(blueprint, pipeline.job.buckets)
        self._names: dict[int, Names] = {}
        self._deciders: dict[int, Decider] = {}
        self._graph = pipeline.graph
        self._gathers: dict[int, GraphGather] = {}
        self._graph_figures = GraphFigures(subtask)
        self._pace = pace or Pace()
        self._decider(0)

    def _decider(self, number: int) -> Decider:
        """Return what decides under a revision; it is compiled once for all buckets."""
        revision = self._revisions.nearest(number)
        decider = self._deciders.get(revision.number)
        if decider is None:
            pipeline = self._pipeline
            decider = self._deciders[revision.number] = Decider(
                pipeline.events,
                pipeline.entities,
                revision.feature_plan,
                Lineup(
                    self._model, revision.live.models, revision.feature_plan.numeric, self._registry, self._segments
                ),
                revision.rules,
                fingerprint=revision.fingerprint,
                include_features=pipeline.job.include_features,
                scored=() if pipeline.model is None else pipeline.model.events,
                amount=None if pipeline.monitoring is None else pipeline.monitoring.amount,
                graph=pipeline.graph,
                micro=self._micro,
            )
        return decider

    def process(self, bucket: int, state: State, blobs: Iterable[bytes]) -> Output:
        """Take the messages of one bucket; its state is written when all of them have been computed."""
        parts: dict[int, list[PartBatch]] = {}
        reports: list[ReportBatch] = []
        control: list[Marker | RollCall] = []
        told: list[bytes] = []
        answers: list[Told] = []
        out = Output()
        state.names = self._names_of(bucket, state)
        if self._revisions.open(bucket, state.revisions):
            self._keep_models()
            self._loads.restore([one for each in self._revisions.all() for one in each.artefacts], RESTORE_S)
        for blob in blobs:
            message = decode(blob)
            if isinstance(message, PartBatch):
                parts.setdefault(message.revision, []).append(message)
            elif isinstance(message, ReportBatch):
                reports.append(message)
            elif isinstance(message, Letters):
                out.letters += message.letters
            elif isinstance(message, Alerts):
                out.alerts += message.alerts
            elif isinstance(message, LiveValues):
                out.told += message.records
            elif isinstance(message, Probe):
                message.trail.append(f"decide of bucket {bucket}")
                out.probes.append(message)
            elif isinstance(message, End):
                out.ends.append(message)
            elif isinstance(message, Control):
                out.acks += message.acks
                out.changes += message.changes
                told += message.figures
            elif isinstance(message, Revise):
                self._prepare(bucket, message, state)
            elif isinstance(message, Load):
                self._loads.try_out(bucket, message, self._revisions.all()[-1].compiled.types)
            elif isinstance(message, Marker | RollCall):
                control.append(message)
            elif isinstance(message, Told):
                answers.append(message)
                if message.plan != NOTHING_ASKED:
                    self._pace.heard()
                out.figures += message.figures
        if self._graph is not None:
            self._gather(bucket, state, [one for revision in sorted(parts) for one in parts[revision]], answers, out)
        else:
            for revision in sorted(parts):
                decided = self._decider(revision).decide(state, parts[revision], self._clock)
                self._take(bucket, state, revision, parts[revision], decided, out)
        for batch in reports:
            self._report(bucket, state, batch, out)
        self._observe_labels(out)
        contenders = (one for decider in self._deciders.values() for one in decider.lineup.contenders)
        out.figures += told + self._figures.due(self._clock()) + self._model_figures.due(self._clock(), contenders)
        if self._graph is not None:
            out.figures += self._graph_figures.due(self._clock())
        # Behind the parts of its batch: a marker says that none of an earlier revision comes after it.
        for message in control:
            self._told(bucket, message, state, out)
        self._poll(bucket, out)
        if self._graph is not None:
            self._wait(bucket, state, out)
        return out

    def poll(self, bucket: int) -> Output:
        """Say what has been loaded meanwhile."""
        out = Output()
        self._poll(bucket, out)
        return out

    def expire_waits(self, bucket: int, state: State) -> Output:
        """Decide what has waited for the graph long enough."""
        out = Output()
        if self._graph is not None:
            self._revisions.open(bucket, state.revisions)
            state.names = self._names_of(bucket, state)
            if self._gather_of(bucket, state).overdue(self._clock()):
                self._gather(bucket, state, (), (), out)
            self._wait(bucket, state, out)
        return out

    def _names_of(self, bucket: int, state: State) -> Names:
        """Return the names in a bucket's records; they are read once."""
        names = self._names.get(bucket)
        if names is None:
            names = self._names[bucket] = Names(state.revisions)
        return names

    def _wait(self, bucket: int, state: State, out: Output) -> None:
        """Ask to be called when the next deadline is due, and let revisions go that nothing waits under any more."""
        gather = self._gather_of(bucket, state)
        due_ms = gather.next_due_ms()
        out.wait_ms = None if due_ms is None else int(due_ms) + 1
        self._reached(bucket, self._revisions.reach(bucket, state.revisions, gather.oldest()), out)

    def _poll(self, bucket: int, out: Output) -> None:
        if not self._loads.is_open(bucket):
            return
        for one in self._loads.answers(bucket):
            out.acks.append(self._ack(bucket, one.status, one.revision, one.attempt, one.id, one.reason))
        if self._loads.is_open(bucket):
            out.poll_ms = int(self._clock()) + POLL_MS

    def _gather_of(self, bucket: int, state: State) -> GraphGather:
        """Return what gathers for a bucket; the first time is after a restore, from when deadlines count."""
        assert self._graph is not None
        gather = self._gathers.get(bucket)
        if gather is None:
            settings = self._graph
            gather = GraphGather(state.pending, settings.fingerprint, settings.deadline_ms, self._clock())
            self._gathers[bucket] = gather
        return gather

    def _gather(
        self,
        bucket: int,
        state: State,
        parts: Sequence[PartBatch],
        answers: Sequence[Told],
        out: Output,
    ) -> None:
        """Decide what has its parts and the graph's answer, or has waited for that long enough."""
        gather = self._gather_of(bucket, state)
        overdue = gather.overdue(self._clock())
        collected = gather.collect(parts, answers, overdue, lambda key: state.decisions.get(key) is not None)
        self._graph_figures.late_answers += collected.late
        for revision, ready in sorted(collected.ready.items()):
            batches = list({id(view): view.batch for one in ready for view, _ in one.parts}.values())
            decided = self._decider(revision).decide_ready(state, ready, self._clock)
            self._take(bucket, state, revision, batches, decided, out)
        if collected.puts:
            state.pending.put_all(collected.puts)
        for key in collected.removes:
            state.pending.remove(key)

    def close(self) -> None:
        """Let the models go."""
        self._loads.close()

    def _keep_models(self) -> None:
        self._loads.live({one.sha256 for revision in self._revisions.all() for one in revision.artefacts})

    def _take(
        self, bucket: int, state: State, revision: int, parts: Sequence[PartBatch], decided: Decided, out: Output
    ) -> None:
        """Write what was decided, and join the labels that waited for it."""
        decider = self._decider(revision)
        out.edges += decided.edges
        out.letters += [letter.to_json() for letter in decided.letters]
        decider.commit(state, decided)
        if decider.has_rules:
            self._figures.decided(decided.first.values(), decided.judging_ms)
        if self._graph is not None:
            self._graph_figures.decided(decided.first.values(), GRAPH)
        for key in decided.first:
            for label in self._waiting.take(bucket, state.waiting, key):
                self._join(out, state, key, label)
        out.decided.append(decided)
        if self._observer is not None:
            out.observed += self._observer.payments(bucket, parts, decided, decider.lineup)
        self._observe_labels(out)

    def _observe_labels(self, out: Output) -> None:
        """Tell the monitor of the labels that have been joined since."""
        if self._observer is not None and out.joined:
            out.observed += self._observer.labelled(out.joined)
            out.joined.clear()

    def _prepare(self, bucket: int, revise: Revise, state: State) -> None:
        """Keep a revision, compile it and load its models now, before anything is stamped with it."""
        if self._revisions.prepare(bucket, revise, state.revisions):
            self._keep_models()
        self._decider(revise.revision)
        revision = self._revisions.get(revise.revision)
        self._loads.prepare(bucket, [] if revision is None else revision.artefacts, revise.revision, revise.attempt)

    def _told(self, bucket: int, message: Marker | RollCall, state: State, out: Output) -> None:
        if isinstance(message, RollCall):
            out.acks.append(self._ack(bucket, "running", self._revisions.running(bucket), message.attempt))
            return
        oldest = None if self._graph is None else self._gather_of(bucket, state).oldest()
        self._reached(bucket, self._revisions.mark(bucket, message, state.revisions, oldest), out)

    def _reached(self, bucket: int, reached: tuple[int, int] | None, out: Output) -> None:
        """Say how far a bucket has come, where that is further than before, and let go of what it came from."""
        if reached is None:
            return
        self._deciders = {number: one for number, one in self._deciders.items() if self._revisions.get(number)}
        self._keep_models()
        out.acks.append(self._ack(bucket, "active", *reached))

    def _ack(self, bucket: int, status: Status, revision: int, attempt: int, id: str = "", reason: str = "") -> bytes:
        buckets, at = self._pipeline.job.buckets, int(self._clock())
        return ack_of("decide", status, bucket, buckets, revision, attempt, self._subtask, at, id=id, reason=reason)

    def _report(self, bucket: int, state: State, batch: ReportBatch, out: Output) -> None:
        due_hour = int(self._clock() + self._horizon_ms) // HOUR_MS
        columns = zip(
            batch.ids,
            np.frombuffer(batch.values, dtype=np.float64).tolist(),
            np.frombuffer(batch.known_at_ms, dtype=np.int64).tolist(),
            np.frombuffer(batch.versions, dtype=np.int64).tolist(),
            batch.sources,
            batch.topics,
            np.frombuffer(batch.partitions, dtype=np.int32).tolist(),
            np.frombuffer(batch.offsets, dtype=np.int64).tolist(),
            batch.raw,
            strict=True,
        )
        for key, value, known_at_ms, version, source, topic, partition, offset, raw in columns:
            label = WaitingLabel(value, known_at_ms, version, source, due_hour, topic, partition, offset, raw)
            if not self._join(out, state, key, label):
                out.due_ms.add(self._waiting.hold(bucket, state.waiting, key, label))

    def _join(self, out: Output, state: State, key: str, label: WaitingLabel) -> bool:
        """Join a label with its decision; return False if there is none yet."""
        data = state.decisions.get(key)
        if data is None:
            return False
        record = decode_record(data, state.names)
        if self._revisions.has_rules:
            self._figures.labelled(record, fraud=label.value == 1.0)
        if self._observer is not None and (record.label is None or label.version > record.label[2]):
            fraud = label.value == 1.0
            out.joined.append(Joined(record, fraud, label.known_at_ms))
            judged = with_label(data, (fraud, label.known_at_ms, label.version), state.names)
            state.names.keep(state.revisions)
            state.decisions.put_all({key: judged})
        if self._graph is not None:
            told = Judged(key, label.value == 1.0, label.known_at_ms, label.version)
            out.edges.append((key, encode_edge(told)))
        outcome = outcome_of(key, label.value, label.known_at_ms, label.version, label.source, record)
        data = encode_outcome(outcome)
        if len(data) <= MESSAGE_BYTES:
            out.outcomes.append((key, data))
            return True
        rejection = Rejection("too_large", None, f"the outcome takes {len(data)} bytes; allowed: {MESSAGE_BYTES}")
        topic = "" if self._labels is None else self._labels.topic
        out.letters.append(DeadLetter.of(rejection, topic, label.partition, label.offset, label.raw).to_json())
        return True

    def expire(self, bucket: int, state: State) -> list[bytes]:
        """Return the dead letters of labels that have fallen due without their transaction having come."""
        letters = []
        for key, label in self._waiting.expire(bucket, state.waiting, self._clock()):
            message = f"no transaction with id={key!r} came within {self._horizon_ms // 86_400_000} days of its label"
            # Not by its place among the topics: another pipeline may have left the label behind.
            field, topic = (None, "") if self._labels is None else (self._labels.id, self._labels.topic)
            rejection = Rejection("unknown_transaction", field, message)
            letter = DeadLetter.of(rejection, topic, label.partition, label.offset, label.raw)
            letters.append(letter.to_json())
        return letters
