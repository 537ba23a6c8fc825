"""What a run has shown so far: the naive histories beside the real ones, and every output checked as it is made.

All of it but what was published belongs to one line of incarnations and is part of a snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isclose
from typing import Any

import msgspec
import numpy as np

from mitra.decision import Decision
from mitra.lane import Lane
from mitra.messages import EventBatch, LabelBatch, PartBatch, decode
from mitra.stages.decide import Output
from mitra.stages.intake import FIELD_SEPARATOR
from tests.simulation.facts import Event, Fact, Label
from tests.simulation.oracle import CONFLICT, Entity, Past, Version, features
from tests.simulation.rulebook import Case, Rulebook
from tests.simulation.setting import BLOCK, DEADLINE_MS, REVIEW, SCORED, degree_of, is_silent, score_of
from tests.simulation.world import Place, World

LATE_AFTER_MS = 30 * 60_000
TOLERANCE = 1e-9


class BrokenError(AssertionError):
    """A promise does not hold in this run."""


@dataclass(slots=True)
class Touched:
    """What the naive histories said of one record: by entity the status, and the past (None in a conflict)."""

    statuses: dict[str, int] = field(default_factory=dict)
    arrivals: dict[str, int] = field(default_factory=dict)
    pasts: dict[str, Past | None] = field(default_factory=dict)


@dataclass(slots=True)
class Made:
    """A decision and the record that it was made for, as far as it can be told: duplicates name none."""

    decision: Decision
    place: Place | None


@dataclass(slots=True)
class Line:
    """What the surviving line of incarnations has seen and made."""

    entities: dict[tuple[str, str], Entity] = field(default_factory=dict)
    touched: dict[Place, Touched] = field(default_factory=dict)
    places: dict[str, list[Place]] = field(default_factory=dict)
    clocks: dict[int, int] = field(default_factory=dict)
    late: set[Place] = field(default_factory=set)
    stamped: dict[Place, int] = field(default_factory=dict)
    revisions: dict[int, int] = field(default_factory=dict)
    conflicting_logins: set[Place] = field(default_factory=set)
    decisions: list[Made] = field(default_factory=list)
    letters: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    probes: list[tuple[str, int]] = field(default_factory=list)

    def copy(self) -> "Line":
        """Return a copy that shares nothing that changes."""
        return Line(
            {name: entity.copy() for name, entity in self.entities.items()},
            {
                place: Touched(one.statuses.copy(), one.arrivals.copy(), one.pasts.copy())
                for place, one in self.touched.items()
            },
            {id: places.copy() for id, places in self.places.items()},
            self.clocks.copy(),
            self.late.copy(),
            self.stamped.copy(),
            self.revisions.copy(),
            self.conflicting_logins.copy(),
            self.decisions.copy(),
            self.letters.copy(),
            self.outcomes.copy(),
            self.probes.copy(),
        )


class Journal:
    """Watches a cluster. `truth` says what the records in the world's topics are."""

    def __init__(
        self,
        truth: Mapping[Place, Fact],
        world: World,
        control: str,
        topics: tuple[str, ...],
        entities: tuple[str, ...],
        *,
        graph: bool = False,
    ) -> None:
        self.graph = graph
        self.truth = truth
        self.world = world
        self.control = control
        self.book = Rulebook()
        self.topics = topics
        self.entity_names = entities
        self.line = Line()
        self.fresh_outcomes: list[tuple[str, bytes]] = []
        """Outcomes that are not yet on their topic."""

    def rules(self) -> Rulebook:
        """Return the log of changes, replayed to its end."""
        log = self.world.topics.get(self.control, [[]])[0]
        for record in log[len(self.book.lives) - 1 :]:
            text = record.split(FIELD_SEPARATOR, 4)[4]
            self.book.read(None if text == "N" else text[1:].encode("latin-1"))
        return self.book

    # Intake

    def routed(self, lane: Lane, records: list[str], now_ms: float, control_end: int) -> None:
        """Note which events are late by the clock of their lane; within a batch partitions are merged by time."""
        line, number = self.line, lane.number
        least = max(line.revisions.get(number, 0), self.rules().last(control_end))
        if lane.revision < least:
            msg = f"lane {number} stamps revision {lane.revision}, but {least} was to be live already"
            raise BrokenError(msg)
        line.revisions[number] = lane.revision
        found = []
        newest: dict[tuple[str, int], int] = {}
        for record in records:
            topic, partition, offset, _ = record.split(FIELD_SEPARATOR, 3)
            place = Place(topic, int(partition), int(offset))
            fact = self.truth.get(place)
            if isinstance(fact, Event):
                reached = newest[topic, place.partition] = max(fact.time_ms, newest.get((topic, place.partition), 0))
                found.append((reached, place, fact))
        clock = line.clocks.get(number, 0)
        for _, place, event in sorted(found, key=lambda entry: entry[0]):
            line.stamped[place] = lane.revision
            if event.kind == "payment" and event.time_ms < clock - LATE_AFTER_MS:
                line.late.add(place)
            clock = max(clock, min(event.time_ms, int(now_ms)))
        line.clocks[number] = clock

    # History

    def answered(self, bucket: int, message: bytes, answers: list[tuple[int, bytes]]) -> None:
        """Give the naive histories the same, and compare statuses and arrivals."""
        del bucket
        found = decode(message)
        if isinstance(found, LabelBatch):
            self._note(found)
        elif isinstance(found, EventBatch):
            self._touch(found)
            for _, answer in answers:
                parts = decode(answer)
                if isinstance(parts, PartBatch):
                    self._compare(parts)

    def _places(self, batch: EventBatch | PartBatch) -> list[Place]:
        partitions = np.frombuffer(batch.partitions, dtype=np.int32).tolist()
        offsets = np.frombuffer(batch.offsets, dtype=np.int64).tolist()
        topics = [self.topics[place] for place in batch.topics]
        return list(map(Place, topics, partitions, offsets))

    def _event(self, place: Place, id: str) -> Event:
        fact = self.truth.get(place)
        if not isinstance(fact, Event) or fact.id != id:
            msg = f"{place} is {fact}, but travels as event id={id!r}"
            raise BrokenError(msg)
        return fact

    def _touch(self, batch: EventBatch) -> None:
        line = self.line
        places = self._places(batch)
        touches = zip(
            batch.touch_entities, np.frombuffer(batch.touch_events, dtype=np.int32).tolist(), batch.keys, strict=True
        )
        for entity, row, key in touches:
            place = places[row]
            event = self._event(place, batch.ids[row])
            if line.stamped[place] != batch.revision:
                msg = f"{place} travels under revision {batch.revision}, its lane stamps {line.stamped[place]}"
                raise BrokenError(msg)
            name = self.entity_names[entity]
            if event.keys().get(name) != key:
                msg = f"{event} at {place} touches {name}={key!r}"
                raise BrokenError(msg)
            touched = line.touched.get(place)
            if touched is None:
                touched = line.touched[place] = Touched()
                line.places.setdefault(event.id, []).append(place)
            if name in touched.statuses:
                msg = f"{place} touches {name}={key!r} twice"
                raise BrokenError(msg)
            status, arrival, past = line.entities.setdefault((name, key), Entity()).touch(event)
            touched.statuses[name], touched.arrivals[name], touched.pasts[name] = status, arrival, past
            if status == CONFLICT and event.kind == "login" and batch.payloads[row]:
                line.conflicting_logins.add(place)
        for row, place in enumerate(places):
            event = self._event(place, batch.ids[row])
            if place not in line.touched:
                line.touched[place] = Touched()
                line.places.setdefault(event.id, []).append(place)

    def _compare(self, parts: PartBatch) -> None:
        places = self._places(parts)
        columns = zip(
            parts.touch_entities,
            np.frombuffer(parts.touch_events, dtype=np.int32).tolist(),
            parts.statuses,
            np.frombuffer(parts.arrivals, dtype=np.int64).tolist(),
            strict=True,
        )
        for entity, row, status, arrival in columns:
            name = self.entity_names[entity]
            touched = self.line.touched[places[row]]
            expected = touched.statuses[name], touched.arrivals[name]
            if expected != (status, arrival):
                msg = f"{places[row]} in {name}: (status, arrival)={(status, arrival)}, expected={expected}"
                raise BrokenError(msg)

    def _note(self, batch: LabelBatch) -> None:
        known_at = np.frombuffer(batch.known_at_ms, dtype=np.int64).tolist()
        versions = np.frombuffer(batch.versions, dtype=np.int64).tolist()
        values = np.frombuffer(batch.values, dtype=np.float64).tolist()
        hashes = np.frombuffer(batch.id_hashes, dtype=np.int64).tolist()
        for entity, key, id_hash, value, known, version in zip(
            batch.entities, batch.keys, hashes, values, known_at, versions, strict=True
        ):
            id = self.id_of(id_hash)
            name = self.entity_names[entity]
            self.line.entities.setdefault((name, key), Entity()).note(id, Version(version, value, known))

    def id_of(self, id_hash: int) -> str:
        """Return the payment id behind a hash; the run replaces this."""
        raise NotImplementedError

    # Decide

    def decided(self, bucket: int, output: Output) -> None:
        """Check each decision against the naive histories as they are now."""
        line = self.line
        made = [decision for decided in output.decided for decision in decided.decisions]
        for decision, (key, value) in zip(made, output.decisions, strict=True):
            if key != decision.transaction_id or msgspec.json.decode(value)["transaction_id"] != key:
                msg = f"a decision of {decision.transaction_id!r} lies under key={key!r}"
                raise BrokenError(msg)
            place = None if decision.duplicate else self._made_for(decision)
            line.decisions.append(Made(decision, place))
        line.letters += map(msgspec.json.decode, output.letters)
        line.outcomes += [msgspec.json.decode(value) for _, value in output.outcomes]
        self.fresh_outcomes += output.outcomes
        line.probes += [(probe.id, bucket) for probe in output.probes]

    def expired(self, letters: list[bytes]) -> None:
        """Note labels that were given up: rightly, if their payment has not come."""
        for letter in map(msgspec.json.decode, letters):
            label = self.truth.get(Place(letter["topic"], letter["partition"], letter["offset"]))
            decided = {made.decision.transaction_id for made in self.line.decisions}
            if not isinstance(label, Label) or label.id in decided:
                msg = f"{letter} gives up {label}, whose payment is decided"
                raise BrokenError(msg)
            self.line.letters.append(letter)

    def _made_for(self, decision: Decision) -> Place:
        """Return the record that a decision was made for: the one whose naive features it carries."""
        different: list[str] = []
        assert isinstance(decision.transaction_id, str)
        for place in self.line.places.get(decision.transaction_id, ()):
            event = self.truth[place]
            assert isinstance(event, Event)
            touched = self.line.touched[place]
            if event.kind != "payment" or touched.statuses.keys() != event.keys().keys():
                continue
            difference = self._difference(decision, event, place, touched)
            if difference is None:
                return place
            different.append(f"{place}: {difference}")
        msg = f"no record explains {decision}:\n  " + "\n  ".join(different)
        raise BrokenError(msg)

    def _difference(self, decision: Decision, event: Event, place: Place, touched: Touched) -> str | None:
        live = self.rules().lives[decision.revision]
        expected = features(touched.pasts)
        without = self.graph and "graph" in decision.degraded
        if self.graph:
            expected["degree"] = None if without else degree_of(event.customer_id)
            # Whatever else happens meanwhile: what is answered in time is used.
            if without and not is_silent(event.time_ms) and decision.latency_ms < DEADLINE_MS:
                return f"decided without the graph after {decision.latency_ms} ms, before its deadline"
        expected |= live.computed(Case(event, touched.pasts, expected))
        found = decision.features
        assert isinstance(found, dict)
        if found.keys() != expected.keys():
            return f"features {sorted(found)} instead of {sorted(expected)}"
        for name, value in expected.items():
            if not same(found[name], value):
                return f"{name}={found[name]!r}, expected {value!r} after {touched.pasts}"
        conflicting = sorted(name for name, status in touched.statuses.items() if status == CONFLICT)
        raw = score_of(expected[name] for name in SCORED)
        score = decision.score or 0.0
        model = "block" if score >= BLOCK else "review" if score >= REVIEW else "allow"
        wanted: dict[str, Any] = {
            "event_time": event.time_ms,
            "late": place in self.line.late,
            "degraded": sorted([*conflicting, *(["graph"] if without else [])]),
            "revision": self.line.stamped[place],
            **live.judge(Case(event, touched.pasts, expected), model),
        }
        for name, value in wanted.items():
            got = getattr(decision, name)
            if got != value:
                return f"{name}={got!r}, expected {value!r} under revision {decision.revision}: {live}"
        if decision.raw_score is None or not isclose(decision.raw_score, raw, abs_tol=1e-6):
            return f"raw_score={decision.raw_score}, expected {raw}"
        if bool(decision.reasons) != (model != "allow"):
            return f"reasons={decision.reasons}, but the model says {model}"
        return None


def same(found: Any, expected: Any) -> bool:
    """Tell whether a feature is what it should be: of the same kind, and equal up to rounding."""
    if isinstance(expected, float) and isinstance(found, int | float) and not isinstance(found, bool):
        return isclose(found, expected, rel_tol=TOLERANCE, abs_tol=1e-6 if expected == 0.0 else TOLERANCE)
    return bool(found == expected) and isinstance(found, bool) == isinstance(expected, bool)
