"""One run from one seed: a workload, a cluster, faults between them, and the promises at the end."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from mitra.hashing import text_hash
from tests.simulation.changes import draw_changes
from tests.simulation.checks import check_all
from tests.simulation.cluster import Cluster
from tests.simulation.control_checks import check_control
from tests.simulation.durable import Durable
from tests.simulation.facts import Changed, Event, Fact
from tests.simulation.journal import BrokenError, Journal, Line
from tests.simulation.setting import setting
from tests.simulation.workload import Send, Shape, draw_workload, event_send, hash_free_partition
from tests.simulation.world import START_MS, Place, World

HOUR_MS = 3_600_000
HORIZON_MS = 48 * HOUR_MS
PARALLELISMS = (1, 2, 4, 8)
KINDS = (
    "send", "read", "route", "answer", "collect", "decide", "expire", "listen", "govern", "tell", "publish", "tick",
)  # fmt: skip
GRAPH_KINDS = ("consult", "overdue")
QUIET_TICKS = 7
"""Govern asks again for an answer after 5 s: where nothing comes of so many ticks, nothing will."""
TICKS_MOST = 300


@dataclass(slots=True)
class Simulation:
    """A run. After `run` its numbers say what happened."""

    seed: int
    sent: int = 0
    steps: int = 0
    snapshots: int = 0
    crashes: int = 0
    truth: dict[Place, Fact] = field(default_factory=dict)
    last: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw everything that is fixed for the run."""
        rng = self.rng = Random(self.seed)
        self.buckets = rng.choice((1, 2, 4, 8))
        partitions = rng.choice((1, 2, 3))
        self.graph = self.seed % 4 == 3
        self.setting = setting(self.buckets, rng.choice((1, 2)), graph=self.graph)
        self.clock = self.setting.clock
        self.clock.now_ms = float(START_MS)
        self.world = World(self.clock, partitions)
        pipeline = self.setting.pipeline
        topics = self.setting.blueprint.source_topics
        entities = tuple(entity.name for entity in pipeline.entities)
        self.journal = Journal(self.truth, self.world, pipeline.topics.control, topics, entities, graph=self.graph)
        self.workload: list[Send] = draw_workload(rng, Shape.draw(rng, partitions))[::-1]
        self._draw_changes(pipeline.topics.control)
        ids = {text_hash(send.fact.id): send.fact.id for send in self.workload if isinstance(send.fact, Event)}
        self.journal.id_of = ids.__getitem__  # type: ignore[method-assign]
        self.exactly_once = rng.random() < 0.5
        self.weights = {kind: rng.choice((1, 1, 5, 20)) for kind in KINDS}
        self.crash_chance = rng.choice((0.0, 0.005, 0.03))
        self.snapshot_chance = rng.choice((0.005, 0.03))
        self.jump_chance = rng.choice((0.0, 0.0, 0.01))
        self.pause_chance = rng.choice((0.0, 0.02, 0.1))
        self.cluster = Cluster(self.setting, self.world, rng, self.journal, topics, instantly=not self.exactly_once)
        if self.graph:  # the graph may take long, and rules change meanwhile
            self.weights |= {kind: rng.choice((0.02, 0.2, 5)) for kind in GRAPH_KINDS}
        self._rescale()
        self.saved: tuple[Durable, Line] = (self.cluster.snapshot(), self.journal.line.copy())

    journal: Journal = field(init=False)
    rng: Random = field(init=False)
    buckets: int = field(init=False)
    graph: bool = field(init=False)
    setting: Any = field(init=False)
    clock: Any = field(init=False)
    world: World = field(init=False)
    workload: list[Send] = field(init=False)
    exactly_once: bool = field(init=False)
    weights: dict[str, float] = field(init=False)
    crash_chance: float = field(init=False)
    snapshot_chance: float = field(init=False)
    jump_chance: float = field(init=False)
    pause_chance: float = field(init=False)
    cluster: Cluster = field(init=False)
    saved: tuple[Durable, Line] = field(init=False)

    def _draw_changes(self, control: str) -> None:
        """Put some changes onto the control topic before the job starts, and the others in between all else."""
        rng = self.rng
        keys = {key for send in self.workload if isinstance(send.fact, Event) for key in send.fact.keys().items()}
        sends = [Send(control, 0, value, Changed()) for value in draw_changes(rng, sorted(keys))][::-1]
        for _ in range(rng.choice((0, 0, 1, len(sends)))):
            if sends:
                self._send(sends.pop())
        places = sorted(rng.randint(0, len(self.workload)) for _ in sends)
        for place, send in reversed(list(zip(places, sends, strict=True))):
            self.workload.insert(place, send)

    def _send(self, send: Send) -> None:
        self.truth[self.world.append(send.topic, send.partition, send.value)] = send.fact
        self.sent += 1

    def run(self) -> "Simulation":
        """Run to the end and check. Raises BrokenError, or whatever a stage raises."""
        rng = self.rng
        while self._step():
            if rng.random() < self.snapshot_chance:
                self.snapshot()
            if rng.random() < self.crash_chance and self.crashes < 4:
                self.crash()
        self._settle()
        self._pay_at_last()
        self._settle()
        self.clock.now_ms += HORIZON_MS + 2 * HOUR_MS
        self._settle()
        check_all(self.journal, self.cluster.durable, self.world, self.buckets)
        check_control(self.journal, self.setting.pipeline, self.last)
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
            self._send(self.workload.pop())
        else:
            self.cluster.act(kind, what)
            if not self.exactly_once:
                self._publish()
        self.steps += 1
        self.clock.now_ms += self.rng.random() * 5
        if self.rng.random() < self.jump_chance:
            self.clock.now_ms += self.rng.choice((HOUR_MS, 60 * HOUR_MS))
        if self.workload and self.rng.random() < self.pause_chance:
            self.clock.now_ms += self.rng.random() * 6_000
        return True

    def _settle(self) -> None:
        """Go on until nothing happens any more; an exactly-once sink shows the rest with a snapshot."""
        quiet = ticks = 0
        while quiet < QUIET_TICKS:
            if ticks > TICKS_MOST:
                msg = "govern asks on and on"
                raise BrokenError(msg)
            while self._step():
                quiet = 0
            if self.journal.fresh_outcomes or self.cluster.unpublished:
                self.snapshot()
                continue
            timers = self.cluster.durable.govern_timers
            if not timers:
                return
            self.clock.now_ms = float(max(self.clock.now_ms, *timers))
            self.cluster.tick(None)
            quiet += 1
            ticks += 1

    def _pay_at_last(self) -> None:
        """Send two more payments when all changes are active: they are to be judged by the last of them."""
        customer = self.rng.randrange(3)
        for number in range(2):
            event = Event("payment", f"last{number}", START_MS, f"c{customer}", "d0", "t0", "DE", 61.0)
            self.last.append(event.id)
            self._send(event_send(event, 0))

    def snapshot(self) -> None:
        """Complete a checkpoint."""
        self.snapshots += 1
        self._publish()
        self.saved = (self.cluster.snapshot(), self.journal.line.copy())

    def crash(self) -> None:
        """Lose all since the last snapshot; come back with as many subtasks, or more, or fewer."""
        self.crashes += 1
        self.clock.now_ms += 1.0 + self.rng.random() * self.rng.choice((10, 3_000))
        durable, line = self.saved
        self.journal.line = line.copy()
        self.journal.fresh_outcomes.clear()
        if self.rng.random() < 0.3:
            self.cluster.submit()
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
