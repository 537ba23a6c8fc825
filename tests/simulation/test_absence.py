"""What doesn't come, over partitions that race, backlogs, standstills, kills and changes of parallelism: every absence is told under
one id of its own, none wrongly, and as soon as its bucket knows that the time is up; and a live feature is told until its window is empty.

One seed makes the events, the order in which they are read, and the faults. A source brings something of every partition that has
a backlog within `IDLE_MS` of beginning with it, and then leaves none alone for a minute; all else is left to the seed.
"""

import copy
import json
import math
import random
from collections.abc import Iterable
from typing import Any

import pytest

from control_stream import LiveSet
from mitra.blueprint import Blueprint
from mitra.event_time import time_text
from mitra.held_records import HeldRecords
from mitra.history import MemoryStore
from mitra.lane import GRACE_MS, IDLE_MS, TICK_MS, Lane
from mitra.messages import Alerts, EventBatch, LaneTime, LiveValues, decode
from mitra.pipeline import load_pipeline
from mitra.stages.history import HistoryStage
from mitra.stages.intake import FIELD_SEPARATOR, Intake
from rules import read_written

PIPELINE = """
name: small
events:
  payment:
    decided: true
    topic: payments
    id: id
    time: at
    fields: {id: string, at: time, customer: string}
    out_of_order: 1s
  login: {decided: false, topic: logins, id: id, time: at, fields: {id: string, at: time, customer: string}}
  reset: {decided: false, topic: resets, id: id, time: at, fields: {id: string, at: time, customer: string}}
entities: {customer: customer}
features: {resets_5m: {expression: 'count(by=customer, over="5m", event=reset)', emit: on_change}}
job: {lanes: 2, buckets: 4}
"""
SILENT = {
    "id": "silent",
    "by": "customer",
    "within": "5m",
    "steps": [{"step": "reset", "event": "reset"}, {"absent": "login", "event": "login"}],
    "outcome": "review",
}
START, MINUTE = 1_700_000_000_000, 60_000
EDGE_MS = (-8_000, -1, 0, 1, 8_000)
TOPICS = {"payment": "payments", "login": "logins", "reset": "resets"}

Place = tuple[str, int]
"""A topic and the number of a partition, which is that of its lane."""


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory: pytest.TempPathFactory) -> Blueprint:
    path = tmp_path_factory.mktemp("absence") / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    rule, problems = read_written(SILENT, "")
    assert rule is not None, problems
    return Blueprint(load_pipeline(path), live=LiveSet(rules={rule.id: rule}))


class World:
    """Topics that fill, the stages of the job at some parallelism, and what has been told."""

    def __init__(self, blueprint: Blueprint, seed: int) -> None:
        self.chance = random.Random(seed)
        self.blueprint = blueprint
        self.topics: dict[Place, list[dict[str, Any]]] = {
            (kind, lane): [] for kind in TOPICS for lane in range(blueprint.pipeline.job.lanes)
        }
        # Some come so close together that several are due in one slot.
        self.pace_ms = self.chance.choice((2_000, 40_000))
        drawn = [self._event(number) for number in range(self.chance.randrange(5, 40))]
        self.events = sorted(drawn + self._at_the_edge(drawn), key=lambda one: one["at"])
        for event in self.events:
            self.topics[event["kind"], self.chance.randrange(2)].append(event)
        self.told: dict[tuple[str, int], set[str]] = {}
        self.values: dict[str, tuple[int, float]] = {}
        """By customer: as of when the live feature was told last, and its value."""
        # When the job starts, none of it has happened yet, or some, or all.
        self.now_ms = START + self.chance.choice((0.0, 8.0, 30.0)) * MINUTE
        self.intake = Intake(blueprint, clock=lambda: self.now_ms)
        self.kept = dict.fromkeys(self.topics, 0), [Lane(0), Lane(1)], [MemoryStore() for _ in range(4)]
        self._start()

    def _event(self, number: int) -> dict[str, Any]:
        at = START + number * self.pace_ms + self.chance.randrange(self.pace_ms - 1_000)
        kind = self.chance.choice(("payment", "login", "reset", "reset"))
        return {"kind": kind, "id": f"e{number}", "at": at, "customer": f"c{self.chance.randrange(4)}"}

    def _at_the_edge(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return logins that come when the time is nearly up, or just is, or has been for a moment."""
        return [
            {**one, "kind": "login", "id": f"l{one['id']}", "at": one["at"] + 5 * MINUTE + self.chance.choice(EDGE_MS)}
            for one in events
            if one["kind"] == "reset" and self.chance.random() < 0.2
        ]

    def _start(self) -> None:
        """Go on from what was kept last, on some number of workers; a lane may be there later than the other."""
        self.read, self.lanes, self.stores = copy.deepcopy(self.kept)
        self.asleep = self.chance.choice((None, None, 0, 1))
        self.wakes_ms = self.now_ms + self.chance.randrange(GRACE_MS // 2)
        self.settled: dict[tuple[int, int], int] = {}
        """By bucket and lane: up to when nothing more is to come, as the bucket was told since the start."""
        self.stages = [
            HistoryStage(self.blueprint, 1 << 24, clock=lambda: self.now_ms) for _ in range(self.chance.choice((1, 2)))
        ]

    def _keep(self) -> None:
        lanes = [Lane(lane.number, lane.clock_ms, lane.revision, lane.read_to) for lane in self.lanes]
        self.kept = self.read.copy(), lanes, copy.deepcopy(self.stores)

    def _unread(self) -> dict[Place, int]:
        """Return the partitions that have something to read, each with how long that has lain there, in milliseconds."""
        awake = {lane.number for lane in self._awake()}
        waiting = {place: records[self.read[place] :] for place, records in self.topics.items() if place[1] in awake}
        return {
            place: int(self.now_ms) - records[0]["at"]
            for place, records in waiting.items()
            if records and records[0]["at"] <= self.now_ms
        }

    def _awake(self) -> list[Lane]:
        return [lane for lane in self.lanes if lane.number != self.asleep]

    def _take(self, place: Place) -> None:
        """Read one or a few records of a partition."""
        kind, number = place
        at = self.read[place]
        records = [one for one in self.topics[place][at : at + self.chance.randrange(1, 4)] if one["at"] <= self.now_ms]
        self.read[place] += len(records)
        texts = []
        for offset, one in enumerate(records, at):
            value = json.dumps({name: one[name] for name in ("id", "at", "customer")})
            published = time_text(one["at"]).removesuffix("Z").replace("T", " ")
            texts.append(FIELD_SEPARATOR.join((TOPICS[kind], str(number), str(offset), published, f"V{value}")))
        self._hand(self.intake.process(self.lanes[number], texts, HeldRecords(MemoryStore())))

    def _listen(self, ms: int) -> None:
        """Let time pass, as long as the job is looking."""
        ends_ms = self.now_ms + ms
        while self.now_ms < ends_ms:
            self.now_ms = min(self.now_ms + self.chance.choice((TICK_MS, 2 * TICK_MS)), ends_ms)
            for lane in self._awake():
                self._hand(self.intake.tick(lane, HeldRecords(MemoryStore())))

    def _work_off(self) -> None:
        """Read what has lain in the topics, in any order and with pauses, all that comes meanwhile too."""
        if self.now_ms >= self.wakes_ms:
            self.asleep = None
        alone = dict.fromkeys(self.topics, 0)
        first = [place for place in self._unread() if self._unread()[place] > 2 * TICK_MS]
        self.chance.shuffle(first)
        for place in first:
            self._take(place)
            self._listen(self.chance.randrange((IDLE_MS - 500) // len(self.topics)))
        while unread := self._unread():
            if self.now_ms >= self.wakes_ms and self.asleep is not None:
                self.asleep = None
                self._work_off()
                return
            lagging = [place for place, lain_ms in unread.items() if lain_ms > 2 * TICK_MS]
            longest = max(lagging or unread, key=alone.__getitem__)
            place = longest if alone[longest] > GRACE_MS // 3 else self.chance.choice(lagging or list(unread))
            self._take(place)
            pause_ms = self.chance.choice((0, 0, 300, 2_000, GRACE_MS // 3 - 3_000)) if lagging else 0
            alone = {one: ms + pause_ms for one, ms in alone.items()} | {place: 0}
            self._listen(pause_ms)
            if self.asleep is None and self.chance.random() < 0.03:
                self.now_ms += self.chance.randrange(2 * GRACE_MS)  # the job stands still

    def _hand(self, messages: Iterable[tuple[int, bytes]]) -> None:
        for bucket, message in messages:
            heard = decode(message)
            if isinstance(heard, EventBatch | LaneTime):
                place = bucket, heard.lane
                self.settled[place] = max(heard.settled_ms, self.settled.get(place, 0))
            stage = self.stages[bucket % len(self.stages)]
            for _, blob in stage.process(bucket, self.stores[bucket], (message,)):
                told = decode(blob)
                for _, value in told.records if isinstance(told, LiveValues) else ():
                    record = json.loads(value)
                    found = record["as_of"], record["value"]
                    self.values[record["key"]] = max(
                        found, self.values.get(record["key"], found), key=lambda one: one[0]
                    )
                for name, value in told.alerts if isinstance(told, Alerts) else ():
                    alert = json.loads(value)
                    assert alert["id"] == name
                    assert alert["time"] == alert["events"][0]["time"] + 5 * MINUTE
                    self.told.setdefault((alert["key"], alert["events"][0]["time"]), set()).add(name)
        if len(self.settled) == len(self.lanes) * len(self.stores):
            read = [one for place, records in self.topics.items() for one in records[: self.read[place]]]
            silent = absences(read, min(self.settled.values()) - 1)
            assert silent <= self.told.keys(), f"{silent - self.told.keys()} not told at {self.settled}"

    def run(self) -> None:
        while self.read != {place: len(records) for place, records in self.topics.items()}:
            self._work_off()
            match self.chance.choices(("flow", "keep", "stall", "crash"), weights=(70, 12, 9, 9))[0]:
                case "flow":
                    for _ in range(self.chance.choice((1, 30, 200))):
                        self._listen(2 * TICK_MS)
                        self._work_off()
                case "keep":
                    self._keep()
                case "stall" if self.asleep is None:
                    self.now_ms += self.chance.randrange(8 * MINUTE)
                case "crash":
                    self.now_ms += self.chance.choice((0, self.chance.randrange(8 * MINUTE)))
                    self._start()
        for _ in range(2):  # nothing comes any more
            self._listen(GRACE_MS + IDLE_MS)
            self.now_ms += 60 * MINUTE


def absences(events: list[dict[str, Any]], until_ms: float) -> set[tuple[str, int]]:
    """Return each reset, by customer and time, that no login of the customer follows in time, if that is known at `until_ms`."""
    return {
        (one["customer"], one["at"])
        for one in events
        if one["kind"] == "reset"
        and one["at"] + 5 * MINUTE <= until_ms
        and not any(
            other["kind"] == "login"
            and other["customer"] == one["customer"]
            and one["at"] < other["at"] <= one["at"] + 5 * MINUTE
            for other in events
        )
    }


@pytest.mark.parametrize("start", range(0, 120, 30))
def test_every_absence_is_told_under_one_id_and_nothing_else_is_and_live_features_end_where_they_should(
    blueprint: Blueprint, start: int
) -> None:
    found = 0
    for seed in range(start, start + 30):
        world = World(blueprint, seed)
        world.run()
        assert set(world.told) == absences(world.events, math.inf), f"seed={seed}"
        assert all(len(ids) == 1 for ids in world.told.values()), f"seed={seed}"
        assert len(set().union(*world.told.values())) == len(world.told), f"seed={seed}"
        # All resets have left the window by now.
        values = {customer: value for customer, (_, value) in world.values.items()}
        assert values == dict.fromkeys((one["customer"] for one in world.events), 0), f"seed={seed}"
        found += len(world.told)
    assert found > 60
