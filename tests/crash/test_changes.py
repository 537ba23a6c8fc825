"""SIGKILL to the job while rules change and payments flow: afterwards what is live is what the control log says.

`MITRA_CRASH_MOMENTS=20 make test ARGS="-s tests/crash/test_changes.py"` is the bar. MITRA_CRASH_SEED chooses other moments and
other changes, MITRA_CRASH_RATE the payments a second.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from mitra.local.job import LocalJob, failure_causes
from mitra.local.kafka import LocalKafka
from mitra.pipeline import Pipeline
from tests.crash.test_kill import SETTINGS, START_S, kill
from tests.crash.traffic import ControlLog, Traffic, write_simulated
from tests.crash.verdicts import wrong
from tests.factories.live import Reader, on_kafka

pytestmark = pytest.mark.crash

MOMENTS = int(os.environ.get("MITRA_CRASH_MOMENTS", "5"))
RATE = float(os.environ.get("MITRA_CRASH_RATE", "50"))
SEED = int(os.environ.get("MITRA_CRASH_SEED", "1"))
KINDS = ("any", "sent", "prepared", "ready", "active")
"""At any moment, or soon after a change was sent, or when the first ack of this kind about it is seen."""
QUICKLY_S = 0.005
BEFORE = 10
"""So many changes stand on the log before the job first starts."""


class Moment(NamedTuple):
    """When to kill: so long after a start, then at a moment of this kind; how many changes come while all is down; and how to go on."""

    after_s: float
    kind: str
    soon_s: float
    while_down: int
    parallelism: int

    def __str__(self) -> str:
        """Say it in a line."""
        soon = f" +{self.soon_s * 1000:.0f} ms" if self.kind == "sent" else ""
        return (
            f"{self.after_s:.2f} s, then {self.kind}{soon}; {self.while_down} changes while down, then parallelism "
            f"{self.parallelism}"
        )


def moments(count: int, seed: int) -> list[Moment]:
    """Return so many moments, all kinds among each five of them."""
    chance = Random(seed)
    drawn = []
    for number in range(count):
        if number % len(KINDS) == 0:
            kinds = chance.sample(KINDS, len(KINDS))
        kind = kinds[number % len(KINDS)]
        soon_s, while_down = chance.uniform(0.0, 0.15), chance.randrange(4)
        drawn.append(Moment(chance.uniform(0.2, 4.0), kind, soon_s, while_down, chance.choice((1, 2))))
    return drawn


@dataclass
class Run:
    """The job under test, one incarnation after another, with all that goes in and comes out."""

    path: Path
    pipeline: Pipeline
    folder: Path
    traffic: Traffic
    log: ControlLog
    reader: Reader
    jobs: list[LocalJob] = field(default_factory=list)
    starts: list[tuple[float, int]] = field(default_factory=list)
    """Of each incarnation, the wall clock in milliseconds before it began, and the last accepted revision by then."""

    @property
    def decisions(self) -> list[dict[str, Any]]:
        return self.reader.values[self.pipeline.topics.decisions]

    @property
    def acks(self) -> list[dict[str, Any]]:
        return self.reader.values[self.pipeline.topics.control_acks]

    @property
    def parts(self) -> set[tuple[str, int]]:
        job = self.pipeline.job
        return {("intake", lane) for lane in range(job.lanes)} | {
            (stage, bucket) for stage in ("history", "decide") for bucket in range(job.buckets)
        }

    def start(self, parallelism: int, restore: str | None) -> None:
        """Start the job from a checkpoint, and return when it scores."""
        self.starts.append((time.time() * 1000, self.log.read()))
        job = LocalJob(
            self.path, self.pipeline, self.folder, parallelism=parallelism, restore=restore, settings=SETTINGS
        )
        self.jobs.append(job)
        job.start(wait_s=START_S)

    def stop(self) -> None:
        """End everything that was started."""
        self.traffic.stop()
        for job in self.jobs:
            job.stop()
        self.log.close()

    def live_through(self, moment: Moment, chance: Random) -> str:
        """Let changes and payments flow, kill the job, and start it again; return how far the last change had come."""
        ends, due = time.monotonic() + moment.after_s, 0.0
        while time.monotonic() < ends:
            if time.monotonic() >= due:
                self.traffic.change()
                due = time.monotonic() + chance.uniform(0.02, 0.4)
            self.reader.read(0.01)
        change = "" if moment.kind == "any" else self.traffic.sure_change()
        ends = time.monotonic() + moment.soon_s
        if moment.kind == "sent":
            self.quickly(lambda: time.monotonic() > ends)
        elif change:
            assert self.quickly(lambda: self.has(moment.kind, change)), f"no part says {moment.kind} of {change}"
        job = self.jobs[-1]
        kill(job)
        for _ in range(moment.while_down):
            self.traffic.change()
        self.reader.read(0.5)
        reached = self.reached(change)
        self.start(moment.parallelism, job.last_checkpoint())
        return reached

    def quickly(self, condition: Callable[[], bool]) -> bool:
        ends = time.monotonic() + 60
        while not condition() and time.monotonic() < ends:
            self.reader.read(QUICKLY_S)
        return condition()

    def revision(self, change: str) -> int | None:
        """Return the revision that govern gave a change."""
        return next((ack["revision"] for ack in self.acks if ack["id"] == change), None)

    def has(self, status: str, change: str) -> bool:
        revision = self.revision(change)
        return revision is not None and (status == "prepared" or bool(self.saying(status, revision)))

    def saying(self, status: str, revision: int) -> set[tuple[str, int]]:
        """Return the parts that have said so of a revision or a later one, since the last start."""
        began_ms, _ = self.starts[-1]
        return {
            (ack["stage"], ack["part"])
            for ack in reversed(self.acks)
            if ack["status"] == status and ack["revision"] >= revision and ack["at"] >= began_ms
        }

    def reached(self, change: str) -> str:
        if not change:
            return "any moment"
        revision = self.revision(change)
        if revision is None:
            return "a change not read"
        ready, active = self.saying("ready", revision), self.saying("active", revision)
        return f"revision {revision}, {len(ready)} parts ready, {len(active)} of {len(self.parts)} active"

    def settled(self) -> bool:
        """Tell whether all that stands on the log is active everywhere, and nothing is due to come."""
        head = self.log.read()
        return not self.log.book.scheduled and self.parts <= self.saying("active", head)


@pytest.fixture
def run(kafka: LocalKafka, tmp_path: Path) -> Any:
    path = write_simulated(tmp_path, "changed")
    pipeline = on_kafka(path, kafka)
    traffic, log = Traffic(kafka, pipeline, RATE, SEED), ControlLog(kafka, pipeline)
    topics = pipeline.topics
    with Reader(kafka, topics.decisions, topics.dead_letters, topics.control_acks) as reader:
        run = Run(path, pipeline, tmp_path / "job", traffic, log, reader)
        try:
            yield run
        finally:
            run.stop()


def test_what_is_live_after_each_crash_is_what_the_control_log_says(run: Run) -> None:
    chance = Random(SEED)
    told = [f"seed={SEED}, {MOMENTS} moments, {RATE:g} payments a second"]
    for _ in range(BEFORE):
        run.traffic.change()
    run.traffic.start()
    run.start(1, None)
    for number, moment in enumerate(moments(MOMENTS, SEED), 1):
        reached = run.live_through(moment, chance)
        told.append(f"  {number}: {moment}; killed at {reached}")
    assert run.reader.wait(run.settled, 120.0), "\n".join([*told, f"not settled; acks: {run.acks[-5:]}"])
    run.traffic.stop()
    last = run.traffic.last_of_all()
    run.traffic.stop()
    expected = {event.id for events in run.traffic.sent for event in events}

    def decided() -> set[str]:
        return {decision["transaction_id"] for decision in run.decisions}

    assert run.reader.wait(lambda: len(decided()) >= len(expected), 120.0), "\n".join(told)
    head, book = run.log.read(), run.log.book
    live = book.lives[head]
    told.append(
        f"  {len(expected)} payments, {len(run.decisions)} decisions, {len(run.traffic.changes)} changes sent, "
        f"{len(book.accepted)} accepted; live: {len(live.rules)} rules, {len(live.entries)} entries, {len(live.features)} features"
    )
    sys.stdout.write("\n".join(told) + "\n")
    assert wrong(run.traffic.sent, run.decisions, book) == [], told
    said = {(ack["id"], ack["status"], ack["revision"]) for ack in run.acks if ack["stage"] == "govern"}
    assert said == book.said, told
    assert {one["revision"] for one in run.decisions if one["transaction_id"] in {e.id for e in last}} == {head}, told
    for began, ended in zip(run.starts, [*run.starts[1:], (float("inf"), 0)], strict=True):
        by_it = [one for one in run.decisions if not one["duplicate"] and began[0] <= one["decided_at"] < ended[0]]
        assert by_it, f"nothing was decided between two crashes: {told}"
        # What was stamped before the crash keeps its stamp, and may have waited in the checkpoint for its other parts.
        stamped = [one for one in by_it if one["decided_at"] - one["latency_ms"] >= began[0]]
        early = [one for one in stamped if one["revision"] < began[1]]
        assert not early, f"decided before the log up to {began[1]} was active: {early[:3]}; {told}"
    assert run.reader.values[run.pipeline.topics.dead_letters] == []
    assert failure_causes(run.folder / "logs") == []
