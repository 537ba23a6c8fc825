"""The job without Flink: subtasks with stages, channels between them, windows, timers, snapshots and restores.

What Flink promises is kept: a channel keeps its order, state belongs to a key, a snapshot is consistent over sources, state
and messages in flight. What it leaves open is drawn from the seed: who works next, how much fits into a batch.
"""

from collections import deque
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from mitra.decide import State
from mitra.history import MemoryStore
from mitra.job_keys import MAX_PARALLELISM, spread_keys, stream_key_group
from mitra.route import Lane
from mitra.stages.decide import DecideStage, Output
from mitra.stages.history import HistoryStage
from tests.simulation.setting import Setting
from tests.simulation.world import World

Channel = tuple[int, int]
"""(sending subtask, receiving bucket)."""


class Watcher(Protocol):
    """Who looks on at what the stages do; its notes are part of a snapshot."""

    def routed(self, lane: int, records: list[str], now_ms: float) -> None:
        """A lane took a batch."""

    def answered(self, bucket: int, message: bytes, answers: list[tuple[int, bytes]]) -> None:
        """A history bucket took a message and sent answers."""

    def decided(self, bucket: int, output: Output) -> None:
        """A decide bucket took a batch."""

    def expired(self, letters: list[bytes]) -> None:
        """A decide bucket gave labels up."""


def subtask_of(key: int, parallelism: int) -> int:
    """Return the subtask that has a key, as Flink assigns it."""
    return stream_key_group(key) * parallelism // MAX_PARALLELISM


@dataclass(slots=True)
class Durable:
    """All that outlives a crash: offsets, the state of every stage, what is in flight."""

    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    lane_windows: dict[int, list[str]] = field(default_factory=dict)
    lane_clocks: dict[int, int] = field(default_factory=dict)
    to_history: dict[Channel, deque[bytes]] = field(default_factory=dict)
    histories: dict[int, MemoryStore] = field(default_factory=dict)
    to_decide: dict[Channel, deque[bytes]] = field(default_factory=dict)
    decide_windows: dict[int, list[bytes]] = field(default_factory=dict)
    decisions: dict[int, State] = field(default_factory=dict)
    timers: dict[int, set[int]] = field(default_factory=dict)

    def copy(self) -> "Durable":
        """Return a copy that shares nothing that changes."""
        return Durable(
            self.offsets.copy(),
            {lane: window.copy() for lane, window in self.lane_windows.items()},
            self.lane_clocks.copy(),
            {channel: queue.copy() for channel, queue in self.to_history.items()},
            {bucket: _copy(store) for bucket, store in self.histories.items()},
            {channel: queue.copy() for channel, queue in self.to_decide.items()},
            {bucket: window.copy() for bucket, window in self.decide_windows.items()},
            {
                bucket: State(_copy(state.pending), _copy(state.decisions), _copy(state.waiting))
                for bucket, state in self.decisions.items()
            },
            deepcopy(self.timers),
        )


def _copy(store: object) -> MemoryStore:
    assert isinstance(store, MemoryStore)
    return MemoryStore(store.data.copy())


class Cluster:
    """One incarnation after another of the job's subtasks."""

    def __init__(self, setting: Setting, world: World, rng: Random, watcher: Watcher, topics: tuple[str, ...]) -> None:
        """Start with nothing read."""
        job = setting.pipeline.job
        self.setting = setting
        self.world = world
        self.rng = rng
        self.watcher = watcher
        self.topics = topics
        self.lanes = job.lanes
        self.bucket_keys = spread_keys(job.buckets)
        self.lane_keys = spread_keys(job.lanes)
        self.most_records = rng.choice((1, 3, 10, 100))
        self.most_messages = rng.choice((1, 3, 10, 100))
        self.durable = Durable()
        self.parallelism = 1
        self.start(1)

    def start(self, parallelism: int) -> None:
        """Make new stages, which know nothing, over the durable state."""
        self.parallelism = parallelism
        cache_bytes = self.rng.choice((0, 4_000, 1 << 20))
        self._history_stages: list[HistoryStage] = [self.setting.history(cache_bytes) for _ in range(parallelism)]
        self._decide_stages: list[DecideStage] = [self.setting.decide() for _ in range(parallelism)]
        self._lane_state = {lane: Lane(lane, clock) for lane, clock in self.durable.lane_clocks.items()}

    # Crashes

    def snapshot(self) -> Durable:
        """Return a consistent copy of all that must outlive a crash."""
        return self.durable.copy()

    def restore(self, snapshot: Durable, parallelism: int) -> None:
        """Lose everything since `snapshot` and go on with `parallelism` subtasks."""
        self.durable = snapshot.copy()
        if parallelism != self.parallelism:
            for name in ("to_history", "to_decide"):
                setattr(self.durable, name, self._rescaled(getattr(self.durable, name), parallelism))
        self.start(parallelism)

    def _rescaled(self, channels: dict[Channel, deque[bytes]], parallelism: int) -> dict[Channel, deque[bytes]]:
        """Return what was in flight on the channels of another parallelism: each old channel's order is kept."""
        rescaled: dict[Channel, deque[bytes]] = {}
        left = [(sender % parallelism, bucket, deque(queue)) for (sender, bucket), queue in channels.items() if queue]
        while left:
            sender, bucket, queue = self.rng.choice(left)
            rescaled.setdefault((sender, bucket), deque()).append(queue.popleft())
            left = [entry for entry in left if entry[2]]
        return rescaled

    # Work

    def actions(self) -> Iterator[tuple[str, Any]]:
        """Yield everything that could happen next in the job, by kind and with what to."""
        durable = self.durable
        for topic in self.topics:
            for partition, log in enumerate(self.world.topics.get(topic, ())):
                if durable.offsets.get((topic, partition), 0) < len(log):
                    yield "read", (topic, partition)
        for lane, records in durable.lane_windows.items():
            if records:
                yield "route", lane
        for channel, queue in durable.to_history.items():
            if queue:
                yield "answer", channel
        for channel, queue in durable.to_decide.items():
            if queue:
                yield "collect", channel
        for bucket, window in durable.decide_windows.items():
            if window:
                yield "decide", bucket
        for bucket, dues in durable.timers.items():
            if dues and min(dues) <= self.setting.clock.now_ms:
                yield "expire", bucket

    def act(self, kind: str, what: Any) -> None:
        """Do one of `actions`."""
        getattr(self, kind)(what)

    def read(self, source: tuple[str, int]) -> None:
        """Let the source read from a partition into the window of its lane."""
        topic, partition = source
        first = self.durable.offsets.get(source, 0)
        records = self.world.topics[topic][partition][first : first + self.rng.randint(1, self.most_records)]
        self.durable.offsets[source] = first + len(records)
        self.durable.lane_windows.setdefault(partition % self.lanes, []).extend(records)

    def route(self, number: int) -> None:
        """Hand a lane what was read."""
        records = self.durable.lane_windows.pop(number)
        lane = self._lane_state.setdefault(number, Lane(number))
        self.watcher.routed(number, records, self.setting.clock.now_ms)
        sender = subtask_of(self.lane_keys[number], self.parallelism)
        for bucket, message in self.setting.intake.process(lane, records):
            self.durable.to_history.setdefault((sender, bucket), deque()).append(message)
        self.durable.lane_clocks[number] = lane.clock_ms

    def _history_store(self, bucket: int) -> MemoryStore:
        return self.durable.histories.setdefault(bucket, MemoryStore())

    def answer(self, channel: Channel) -> None:
        """Hand a history bucket one message."""
        bucket = channel[1]
        message = self.durable.to_history[channel].popleft()
        subtask = subtask_of(self.bucket_keys[bucket], self.parallelism)
        answers = list(self._history_stages[subtask].process(bucket, self._history_store(bucket), (message,)))
        self.watcher.answered(bucket, message, answers)
        for target, answer in answers:
            self.durable.to_decide.setdefault((subtask, target), deque()).append(answer)

    def collect(self, channel: Channel) -> None:
        """Let some messages arrive in the window of a decide bucket."""
        queue = self.durable.to_decide[channel]
        window = self.durable.decide_windows.setdefault(channel[1], [])
        for _ in range(min(len(queue), self.rng.randint(1, self.most_messages))):
            window.append(queue.popleft())

    def _state(self, bucket: int) -> State:
        fresh = State(MemoryStore(), MemoryStore(), MemoryStore())
        return self.durable.decisions.setdefault(bucket, fresh)

    def _decide_stage(self, bucket: int) -> DecideStage:
        return self._decide_stages[subtask_of(self.bucket_keys[bucket], self.parallelism)]

    def decide(self, bucket: int) -> None:
        """Hand a decide bucket what has arrived."""
        messages = self.durable.decide_windows.pop(bucket)
        output = self._decide_stage(bucket).process(bucket, self._state(bucket), messages)
        self.durable.timers.setdefault(bucket, set()).update(output.due_ms)
        self.watcher.decided(bucket, output)

    def expire(self, bucket: int) -> None:
        """Fire the due timers of a decide bucket."""
        now_ms = self.setting.clock.now_ms
        self.durable.timers[bucket] = {due for due in self.durable.timers[bucket] if due > now_ms}
        self.watcher.expired(self._decide_stage(bucket).expire(bucket, self._state(bucket)))
