"""One run from one seed: a workload, a cluster, faults between them, and the promises at the end."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from mitra.hashing import text_hash
from tests.simulation.checks import check_all
from tests.simulation.cluster import Cluster, Durable
from tests.simulation.facts import Event, Fact
from tests.simulation.journal import Journal, Line
from tests.simulation.setting import setting
from tests.simulation.workload import Send, Shape, draw_workload, hash_free_partition
from tests.simulation.world import START_MS, Place, World

HOUR_MS = 3_600_000
HORIZON_MS = 48 * HOUR_MS
PARALLELISMS = (1, 2, 4, 8)
KINDS = ("send", "read", "route", "answer", "collect", "decide", "expire")


@dataclass(slots=True)
class Simulation:
    """A run. After `run` its numbers say what happened."""

    seed: int
    sent: int = 0
    steps: int = 0
    snapshots: int = 0
    crashes: int = 0
    truth: dict[Place, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Draw everything that is fixed for the run."""
        rng = self.rng = Random(self.seed)
        self.buckets = rng.choice((1, 2, 4, 8))
        partitions = rng.choice((1, 2, 3))
        self.setting = setting(self.buckets, rng.choice((1, 2)))
        self.clock = self.setting.clock
        self.clock.now_ms = float(START_MS)
        self.world = World(self.clock, partitions)
        pipeline = self.setting.pipeline
        topics = self.setting.blueprint.source_topics
        self.journal = Journal(self.truth, topics, tuple(entity.name for entity in pipeline.entities))
        self.workload: list[Send] = draw_workload(rng, Shape.draw(rng, partitions))[::-1]
        ids = {text_hash(send.fact.id): send.fact.id for send in self.workload if isinstance(send.fact, Event)}
        self.journal.id_of = ids.__getitem__  # type: ignore[method-assign]
        self.exactly_once = rng.random() < 0.5
        self.weights = {kind: rng.choice((1, 1, 5, 20)) for kind in KINDS}
        self.crash_chance = rng.choice((0.0, 0.005, 0.03))
        self.snapshot_chance = rng.choice((0.005, 0.03))
        self.jump_chance = rng.choice((0.0, 0.0, 0.01))
        self.cluster = Cluster(self.setting, self.world, rng, self.journal, topics)
        self._rescale()
        self.saved: tuple[Durable, Line] = (self.cluster.snapshot(), self.journal.line.copy())

    journal: Journal = field(init=False)
    rng: Random = field(init=False)
    buckets: int = field(init=False)
    setting: Any = field(init=False)
    clock: Any = field(init=False)
    world: World = field(init=False)
    workload: list[Send] = field(init=False)
    exactly_once: bool = field(init=False)
    weights: dict[str, int] = field(init=False)
    crash_chance: float = field(init=False)
    snapshot_chance: float = field(init=False)
    jump_chance: float = field(init=False)
    cluster: Cluster = field(init=False)
    saved: tuple[Durable, Line] = field(init=False)

    def run(self) -> "Simulation":
        """Run to the end and check. Raises BrokenError, or whatever a stage raises."""
        rng = self.rng
        while self._step():
            if rng.random() < self.snapshot_chance:
                self.snapshot()
            if rng.random() < self.crash_chance and self.crashes < 4:
                self.crash()
        self._settle()
        self.clock.now_ms += HORIZON_MS + 2 * HOUR_MS
        self._settle()
        check_all(self.journal, self.cluster.durable, self.world, self.buckets)
        return self

    def _step(self) -> bool:
        """Let one thing happen; return whether there was one."""
        actions = list(self.cluster.actions())
        if self.workload:
            actions.append(("send", None))
        if not actions:
            return False
        weights = self.weights
        kind, what = self.rng.choices(actions, [weights[kind] for kind, _ in actions])[0]
        if kind == "send":
            send = self.workload.pop()
            self.truth[self.world.append(send.topic, send.partition, send.value)] = send.fact
            self.sent += 1
        else:
            self.cluster.act(kind, what)
            if not self.exactly_once:
                self._publish()
        self.steps += 1
        self.clock.now_ms += self.rng.random() * 5
        if self.rng.random() < self.jump_chance:
            self.clock.now_ms += self.rng.choice((HOUR_MS, 60 * HOUR_MS))
        return True

    def _settle(self) -> None:
        """Go on until nothing happens any more; an exactly-once sink shows the rest with a snapshot."""
        while self._step() or self.journal.fresh_outcomes:
            if self.journal.fresh_outcomes and not list(self.cluster.actions()):
                self.snapshot()

    def snapshot(self) -> None:
        """Complete a checkpoint."""
        self.snapshots += 1
        self._publish()
        self.saved = (self.cluster.snapshot(), self.journal.line.copy())

    def crash(self) -> None:
        """Lose all since the last snapshot; come back with as many subtasks, or more, or fewer."""
        self.crashes += 1
        durable, line = self.saved
        self.journal.line = line.copy()
        self.journal.fresh_outcomes.clear()
        self.cluster.restore(durable, self.cluster.parallelism)
        if self.rng.random() < 0.5:
            self._rescale()

    def _rescale(self) -> None:
        parallelism = self.rng.choice([p for p in PARALLELISMS if p <= self.buckets])
        self.cluster.restore(self.cluster.snapshot(), parallelism)

    def _publish(self) -> None:
        """Put outcomes onto their topic, where the job reads them back."""
        for key, value in self.journal.fresh_outcomes:
            partition = hash_free_partition(key, self.world.partitions)
            self.world.append(self.setting.pipeline.topics.outcomes, partition, value)
        self.journal.fresh_outcomes.clear()
