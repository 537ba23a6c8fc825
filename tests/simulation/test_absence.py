"""What doesn't come, over lanes that race, kills, restores and changes of parallelism: every absence is told, none twice, none wrongly.

One seed makes the events, the order in which lanes are read, and the faults. While there is input no lane is quiet, so that event time
alone says what is due; behind the last event the wall clock goes on alone.
"""

import copy
import json
import random
from typing import Any

import pytest

from control_stream import LiveSet
from mitra.blueprint import Blueprint
from mitra.held_records import HeldRecords
from mitra.history import MemoryStore
from mitra.messages import Alerts, decode
from mitra.pipeline import load_pipeline
from mitra.route import Lane
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
  login: {decided: false, topic: logins, id: id, time: at, fields: {id: string, at: time, customer: string}}
  reset: {decided: false, topic: resets, id: id, time: at, fields: {id: string, at: time, customer: string}}
entities: {customer: customer}
features: {seen: 'count(by=customer, over="1h")'}
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
TOPICS = {"payment": "payments", "login": "logins", "reset": "resets"}


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory: pytest.TempPathFactory) -> Blueprint:
    path = tmp_path_factory.mktemp("absence") / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    rule, problems = read_written(SILENT, "")
    assert rule is not None, problems
    return Blueprint(load_pipeline(path), live=LiveSet(rules={rule.id: rule}))


class World:
    """Two lanes of records, the stages of the job at some parallelism, and what has been told."""

    def __init__(self, blueprint: Blueprint, seed: int) -> None:
        self.chance = random.Random(seed)
        self.blueprint = blueprint
        self.now_ms = START + 120.0 * MINUTE  # ahead of all events: a clock goes no further than the wall
        self.passed_over = [0, 0]
        self.told: dict[tuple[str, int], set[str]] = {}
        self.events = [self._event(number) for number in range(self.chance.randrange(5, 40))]
        self.lanes: list[list[dict[str, Any]]] = [[], []]
        for event in self.events:
            self.chance.choice(self.lanes).append(event)
        self.state: dict[str, Any] = {
            "read": [0, 0],
            "lanes": [Lane(0), Lane(1)],
            "stores": [MemoryStore() for _ in range(4)],
        }
        self.intake = Intake(blueprint, clock=lambda: self.now_ms)
        self._start(1)
        self._keep()

    def _event(self, number: int) -> dict[str, Any]:
        at = START + number * 40_000 + self.chance.randrange(39_000)
        kind = self.chance.choice(("payment", "login", "reset", "reset"))
        return {"kind": kind, "id": f"e{number}", "at": at, "customer": f"c{self.chance.randrange(4)}"}

    def _start(self, parallelism: int) -> None:
        self.parallelism = parallelism
        self.stages = [HistoryStage(self.blueprint, 1 << 24, clock=lambda: self.now_ms) for _ in range(parallelism)]

    def _keep(self) -> None:
        self.kept = copy.deepcopy(self.state)

    def _crash(self) -> None:
        """Go on from what was kept last, maybe on another number of workers."""
        self.state = copy.deepcopy(self.kept)
        self._start(self.chance.choice((1, 2)))

    def _read(self) -> None:
        number = self._lane()
        # So long that what the lane's other topics brought counts as all there was, and a lane as far from quiet.
        self.now_ms += 501
        at = self.state["read"][number]
        taken = self.lanes[number][at : at + self.chance.randrange(1, 4)]
        if not taken:
            return
        self.state["read"][number] += len(taken)
        texts = []
        for place, one in enumerate(taken):
            value = json.dumps({name: one[name] for name in ("id", "at", "customer")})
            fields = (TOPICS[one["kind"]], str(number), str(at + place), "2023-11-14 22:13:20.000", f"V{value}")
            texts.append(FIELD_SEPARATOR.join(fields))
        for bucket, message in self.intake.process(self.state["lanes"][number], texts, HeldRecords(MemoryStore())):
            self._note(self._stage(bucket).process(bucket, self.state["stores"][bucket], (message,)))

    def _lane(self) -> int:
        """Return a lane to read; one that has more isn't left alone for so long that it would count as quiet."""
        waiting = [
            number
            for number, records in enumerate(self.lanes)
            if self.passed_over[number] >= 4 and self.state["read"][number] < len(records)
        ]
        number = waiting[0] if waiting else self.chance.randrange(2)
        self.passed_over[number] = 0
        self.passed_over[1 - number] += 1
        return number

    def _stage(self, bucket: int) -> HistoryStage:
        return self.stages[bucket % self.parallelism]

    def _tick(self) -> None:
        for bucket, store in enumerate(self.state["stores"]):
            self._note(self._stage(bucket).tick(bucket, store))

    def _note(self, messages: Any) -> None:
        for _, blob in messages:
            message = decode(blob)
            if isinstance(message, Alerts):
                for name, value in message.alerts:
                    alert = json.loads(value)
                    assert alert["id"] == name
                    assert alert["time"] == alert["events"][0]["time"] + 5 * MINUTE
                    self.told.setdefault((alert["key"], alert["events"][0]["time"]), set()).add(name)

    def run(self) -> None:
        while self.state["read"] != [len(one) for one in self.lanes]:
            act = self.chance.choices((self._read, self._tick, self._keep, self._crash), weights=(60, 20, 12, 8))[0]
            act()
        for _ in range(
            3
        ):  # nothing comes any more: a restored bucket waits for input a minute, then the wall clock counts
            self.now_ms += 61 * MINUTE
            self._tick()

    def wanted(self) -> set[tuple[str, int]]:
        """Return the absences that there are: of each reset that no login of the customer follows in time."""
        return {
            (one["customer"], one["at"])
            for one in self.events
            if one["kind"] == "reset"
            and not any(
                other["kind"] == "login"
                and other["customer"] == one["customer"]
                and one["at"] < other["at"] <= one["at"] + 5 * MINUTE
                for other in self.events
            )
        }


@pytest.mark.parametrize("start", range(0, 400, 100))
def test_every_absence_is_told_under_one_id_and_nothing_else_is(blueprint: Blueprint, start: int) -> None:
    found = 0
    for seed in range(start, start + 100):
        world = World(blueprint, seed)
        world.run()
        assert set(world.told) == world.wanted(), f"seed={seed}"
        assert all(len(ids) == 1 for ids in world.told.values()), f"seed={seed}"
        found += len(world.told)
    assert found > 100
