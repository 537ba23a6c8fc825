"""Decide: gathered parts in, one decision for every transaction out.

Pure: what it remembers lies in stores that are handed in, and all of it is written after everything was computed.
A batch goes through in whole columns: features, then the model, then one pass that writes the decisions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mitra.conflict import conflict_letter
from mitra.dead_letter import DeadLetter
from mitra.decision import (
    OUTCOMES,
    Decision,
    Record,
    content_hash,
    fields_hash,
    models_of,
    same_content,
)
from mitra.decode import decode_payload, payload_fields
from mitra.feature_plan import FeaturePlan, Features
from mitra.gather import Gathered, assemble, gather
from mitra.graph.settings import GraphSettings
from mitra.graph_asking import NodeReader
from mitra.graph_gather import PendingStore, Ready
from mitra.history import CONFLICT, Store
from mitra.lineup import Lineup, Scored
from mitra.messages import PartBatch
from mitra.micro import Micro
from mitra.names import Names
from mitra.remembered import decode_record, encode_record
from mitra.route import LATE
from mitra.schema import Entity, EventType
from mitra.stages import Clock
from rules import Judgement, RuleSet

Array = np.ndarray[Any, Any]

_UNJUDGED = Judgement([], [], {}, None, ())

GRAPH = "graph"
"""What `degraded` calls a graph that had no answer in time, to all that was asked about the payment."""

MODEL = "model"
"""What `degraded` calls a model that isn't there, or failed on a transaction."""


@dataclass(slots=True)
class State:
    """The stores of one decide bucket: parts that wait, decisions made, labels that wait for theirs, revisions.

    `names` are those of the bucket's records; they lie beside the revisions.
    """

    pending: PendingStore
    decisions: Store
    waiting: Store
    revisions: Store
    names: Names = field(default_factory=Names)


class Read(NamedTuple):
    """Where a transaction was read, and what it touched: each entity's name, key and counter of arrivals."""

    partition: int
    offset: int
    touched: list[tuple[str, str, int]]


@dataclass(slots=True)
class Decided:
    """What a batch came to. `rows[i]` is decision i's row of `features`, -1 for a duplicate; `read[i]` where it was read."""

    decisions: list[Decision] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    read: list[Read] = field(default_factory=list)
    features: Features | None = None
    letters: list[DeadLetter] = field(default_factory=list)
    pending_puts: dict[str, bytes] = field(default_factory=dict)
    pending_removes: list[str] = field(default_factory=list)
    edges: list[tuple[str, bytes]] = field(default_factory=list)
    """The links that payments decided for the first time make, under their ids."""
    judging_ms: float = 0.0
    first: dict[str, Record] = field(default_factory=dict)
    """The records of transactions decided for the first time, by id."""


class Decider:
    """Decides batches under one revision: compiled once, used for every batch."""

    def __init__(
        self,
        events: Sequence[EventType],
        entities: Sequence[Entity],
        plan: FeaturePlan,
        lineup: Lineup,
        rules: RuleSet | None,
        *,
        fingerprint: int,
        include_features: bool,
        scored: Sequence[str] = (),
        amount: str | None = None,
        graph: GraphSettings | None = None,
        micro: Micro | None = None,
    ) -> None:
        """Compile deciding; `events` are the pipeline's types, in order, and `fingerprint` names the plan in the parts that answer it.

        `scored` are the types that models are asked of; all, if none is named. `amount` is the feature that says what a payment is
        worth, if records are to remember it; `micro` models fill their features before the others read them.
        """
        self._rules = rules
        self._templates = {} if rules is None else rules.templates
        self._kinds = events
        self._scored = frozenset(kind for kind, one in enumerate(events) if not scored or one.name in scored)
        event = next(one for one in events if one.decided)
        self._id_place = event.index[event.id]
        self._fields = payload_fields(event)
        self._fields_hash = fields_hash(self._fields)
        self._names = [entity.name for entity in entities]
        self._plan = plan
        self.lineup = lineup
        self._fingerprint = fingerprint
        self._include_features = include_features
        self._amount = None if amount is None else plan.numeric.get(amount)
        self._graph = None if graph is None else NodeReader(graph, event)
        self._micro = micro

    def decide(self, state: State, batches: Sequence[PartBatch], clock: Clock) -> Decided:
        """Decide what is complete. Nothing is written: `commit` does that with what this returns."""
        started_ms = clock()
        gathered, puts, removes = gather(state.pending, batches, self._fingerprint, self._plan.touch_width, self._names)
        out = Decided(pending_puts=puts, pending_removes=removes)
        return self._decided(state, gathered, out, started_ms, clock) if gathered.identities else out

    def decide_ready(self, state: State, ready: Sequence[Ready], clock: Clock) -> Decided:
        """Decide what was gathered with a graph. Nothing is written: `commit` does that with what this returns."""
        started_ms = clock()
        views = list({id(view): view for one in ready for view, _ in one.parts}.values())
        complete = [(one.identity, one.parts) for one in ready]
        gathered = assemble(complete, views, self._fingerprint, self._plan.touch_width, self._names)
        gathered.graph = [one.said for one in ready]
        return self._decided(state, gathered, Decided(), started_ms, clock)

    def _decided(self, state: State, gathered: Gathered, out: Decided, started_ms: float, clock: Clock) -> Decided:
        events = self._values(gathered)
        out.features = features = self._plan.features(gathered, events)
        if self._micro is not None:
            self._micro.fill(features)
        count = len(events)
        entities, keys, arrivals = self._touched(gathered)
        scored = self._score(gathered, features, entities, keys)
        approximate = self._plan.approximate(gathered)
        unanswered = self._unanswered(gathered)
        for row in scored.failed:
            unanswered.setdefault(row, []).append(MODEL)
        silent = [row for row, said in enumerate(gathered.graph or ()) if said is None or not said.complete]
        degraded = {row: unanswered.get(row, []) + [GRAPH] * (row in silent) for row in {*unanswered, *silent}}
        judging_ms = clock()
        judged = self._judged(gathered, events, features, entities, keys)
        amounts = self._amounts(features, count)
        out.judging_ms = clock() - judging_ms
        now_ms = clock()
        known: dict[str, Record] = {}
        # Who is decided first is right, and nobody else says so: where two contents of one id race, each may come first in
        # some history. Those that no history disputes go first; one that is disputed is decided only if nobody else was.
        for row in sorted(range(count), key=unanswered.__contains__) if unanswered else range(count):
            identity = gathered.identities[row]
            foreign = gathered.foreign_payloads.get(row)
            fields = self._fields_hash if foreign is None else fields_hash(foreign)
            content = content_hash(gathered.payloads[row], fields)
            record = known.get(identity[0]) or self._remembered(state, identity[0])
            if record is not None and not same_content(record.content_hash, content):
                kind = self._kinds[identity[1]]
                out.letters.append(conflict_letter(kind, events[row], kind.topic, identity[2], identity[3]))
                continue
            if record is None:
                judgement = judged[row] if judged is not None else _UNJUDGED
                record = Record(
                    content_hash=content,
                    event_time=gathered.times_ms[row],
                    decided_at=int(now_ms),
                    outcome=scored.outcomes[row] if judged is None else judgement.combined(scored.outcomes[row])[0],
                    score=scored.scores[row],
                    raw_score=scored.raw[row],
                    model=scored.deciding[row],
                    revision=gathered.revisions[row],
                    late=bool(gathered.flags[row] & LATE),
                    approximate=approximate.get(row, []),
                    reasons=scored.reasons.get(row, []),
                    degraded=sorted(degraded[row]) if row in degraded else [],
                    entities=entities[row],
                    keys=keys[row],
                    rules=judgement.fired,
                    not_evaluated=judgement.not_evaluated,
                    shadow=judgement.shadow,
                    models=scored.models[row],
                    amount=amounts[row],
                )
                out.first[identity[0]] = record
                self._note_links(identity[0], gathered.times_ms[row], events[row], out)
                feature_row, duplicate = row, False
            else:
                feature_row, duplicate = -1, True
            known[identity[0]] = record
            timing = self._timing(gathered, row, started_ms, now_ms)
            out.decisions.append(self._decision(events[row], record, timing, duplicate=duplicate))
            out.rows.append(feature_row)
            out.records.append(record)
            touched = list(zip(entities[row], keys[row], arrivals[row], strict=True))
            out.read.append(Read(identity[2], identity[3], touched))
        if self._include_features:
            for decision, row in zip(out.decisions, out.rows, strict=True):
                if row >= 0:
                    decision.features = features.row(row, self._plan.types)
        return out

    def _amounts(self, features: Features, count: int) -> list[float | None]:
        """Return what each transaction is worth; None where that isn't known, or not asked for."""
        if self._amount is None:
            return [None] * count
        return [None if value != value else value for value in features.numbers[:, self._amount].tolist()]

    @property
    def has_rules(self) -> bool:
        """Whether there are rules or lists."""
        return self._rules is not None

    def _note_links(self, identity: str, time_ms: int, values: Sequence[Any], out: Decided) -> None:
        if self._graph is not None:
            record = self._graph.record(identity, time_ms, values)
            if record is not None:
                out.edges.append((identity, record))

    def commit(self, state: State, decided: Decided) -> None:
        """Write what a batch changes."""
        if decided.first:
            names = state.names
            state.decisions.put_all(
                {key: encode_record(record, names, self._templates) for key, record in decided.first.items()}
            )
            names.keep(state.revisions)
        if decided.pending_puts:
            state.pending.put_all(decided.pending_puts)
        for key in decided.pending_removes:
            state.pending.remove(key)

    @staticmethod
    def _remembered(state: State, key: str) -> Record | None:
        data = state.decisions.get(key)
        return None if data is None else decode_record(data, state.names)

    def _score(
        self,
        gathered: Gathered,
        features: Features,
        entities: Sequence[Sequence[str]],
        keys: Sequence[Sequence[str]],
    ) -> Scored:
        """Return what the models say of the transactions that they are asked of."""
        count = len(gathered.identities)
        rows = [row for row, identity in enumerate(gathered.identities) if identity[1] in self._scored]
        if len(rows) == count:
            return self.lineup.score(features, entities, keys)
        some = self.lineup.score(features.some(rows), [entities[row] for row in rows], [keys[row] for row in rows])
        return some.spread(rows, count)

    def _judged(
        self,
        gathered: Gathered,
        events: Sequence[Sequence[Any]],
        features: Features,
        entities: Sequence[Sequence[str]],
        keys: Sequence[Sequence[str]],
    ) -> list[Judgement] | None:
        """Return what the rules say of each transaction; None where there are no rules."""
        rules = self._rules
        if rules is None:
            return None
        values = self._plan.signals(rules.signals, gathered, events, features)
        marks = gathered.marks
        return [
            rules.judge(values[row], time_ms, dict(zip(entities[row], keys[row], strict=True)), marks.get(row, ()))
            for row, time_ms in enumerate(gathered.times_ms)
        ]

    def _values(self, gathered: Gathered) -> list[tuple[Any, ...]]:
        """Return the events' values; of an event of another plan those that are still fields of that name and type."""
        events = [decode_payload(payload) for payload in gathered.payloads]
        for row, fields in gathered.foreign_payloads.items():
            known = dict(zip(fields, events[row], strict=False))
            values = [known.get(field) for field in self._fields]
            if values[self._id_place] is None:
                values[self._id_place] = gathered.identities[row][0]
            events[row] = tuple(values)
        return events

    def _touched(self, gathered: Gathered) -> tuple[list[list[str]], list[list[str]], list[list[int]]]:
        """Return, by row, the names of the entities that the event touched, their keys and their counters of arrivals."""
        names = self._names
        entities: list[list[str]] = [[] for _ in gathered.identities]
        keys: list[list[str]] = [[] for _ in gathered.identities]
        arrivals: list[list[int]] = [[] for _ in gathered.identities]
        touches = zip(
            gathered.rows.tolist(), gathered.entities.tolist(), gathered.keys, gathered.arrivals.tolist(), strict=True
        )
        for row, entity, key, arrival in touches:
            if row >= 0:
                entities[row].append(names[entity])
                keys[row].append(key)
                arrivals[row].append(arrival)
        return entities, keys, arrivals

    def _unanswered(self, gathered: Gathered) -> dict[int, list[str]]:
        """Return, by row, the entities without an answer: they know other content under the id, or answered another plan."""
        missing = gathered.statuses == CONFLICT
        if gathered.foreign is not None:
            missing = missing | gathered.foreign
        found: dict[int, list[str]] = {}
        for touch in np.flatnonzero(missing & (gathered.rows >= 0)).tolist():
            found.setdefault(int(gathered.rows[touch]), []).append(self._names[gathered.entities[touch]])
        return found

    @staticmethod
    def _timing(gathered: Gathered, row: int, started_ms: float, now_ms: float) -> dict[str, float]:
        """Return what the stages took: history with decode and route, the wait for all parts, and deciding itself."""
        decoded, answered = gathered.decoded_ms[row], gathered.history_ms[row]
        return {
            "history": _to_us(answered - decoded),
            "gather": _to_us(started_ms - answered),
            "decide": _to_us(now_ms - started_ms),
        }

    def _decision(
        self, event: tuple[Any, ...], record: Record, timing_ms: dict[str, float], *, duplicate: bool
    ) -> Decision:
        return Decision(
            transaction_id=event[self._id_place],
            event_time=record.event_time,
            decided_at=record.decided_at,
            latency_ms=_to_us(sum(timing_ms.values())),
            timing_ms=timing_ms,
            outcome=OUTCOMES[record.outcome],
            score=record.score,
            raw_score=record.raw_score,
            model=record.model,
            models=models_of(record.models),
            rules=record.rules,
            not_evaluated=record.not_evaluated,
            shadow=record.shadow,
            reasons=record.reasons,
            revision=record.revision,
            degraded=record.degraded,
            approximate=record.approximate,
            late=record.late,
            duplicate=duplicate,
        )


def _to_us(span_ms: float) -> float:
    """Return milliseconds rounded to microseconds; ten times faster than `round(span_ms, 3)`."""
    return round(span_ms * 1000.0) / 1000.0
