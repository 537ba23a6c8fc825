"""The job without Flink: subtasks with stages, channels between them, windows, timers, snapshots and restores.

What Flink promises is kept: a channel keeps its order, state belongs to a key, a snapshot is consistent over sources, state
and messages in flight. What it leaves open is drawn from the seed: who works next, how much fits into a batch.
"""

from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any, Protocol

from mitra.decide import State
from mitra.held_records import HeldRecords
from mitra.history import MemoryStore
from mitra.job_keys import MAX_PARALLELISM, spread_keys, stream_key_group
from mitra.lane import Lane
from mitra.stages.decide import DecideStage, Output
from mitra.stages.govern import TICK_MS, GovernStage, Sent
from mitra.stages.history import HistoryStage
from mitra.stages.intake import FIELD_SEPARATOR
from tests.simulation.durable import Channel, Durable, Part
from tests.simulation.setting import Setting
from tests.simulation.world import World

GENERATION = 100
"""So much lower are the senders of the channels of one parallelism before."""

SKEWS_MS: tuple[int, ...] = (0, 400, -400)
"""By how much the clock of the machine that govern comes to may be ahead."""


class Watcher(Protocol):
    """Who looks on at what the stages do; its notes are part of a snapshot."""

    def routed(self, lane: Lane, records: list[str], now_ms: float, control_end: int) -> None:
        """A lane has routed a batch."""

    def answered(self, bucket: int, message: bytes, answers: list[tuple[int, bytes]]) -> None:
        """A history bucket took a message and sent answers."""

    def decided(self, bucket: int, output: Output) -> None:
        """A decide bucket took a batch."""

    def expired(self, letters: list[bytes]) -> None:
        """A decide bucket gave labels up."""


def subtask_of(key: int, parallelism: int) -> int:
    """Return the subtask that has a key, as Flink assigns it."""
    return stream_key_group(key) * parallelism // MAX_PARALLELISM


class Cluster:
    """One incarnation after another of the job's subtasks."""

    def __init__(
        self, setting: Setting, world: World, rng: Random, watcher: Watcher, topics: tuple[str, ...], *, instantly: bool
    ) -> None:
        """Start with nothing read. What goes to the control topics is there `instantly`, or soon, or with the next snapshot."""
        job = setting.pipeline.job
        self.setting = setting
        self.world = world
        self.rng = rng
        self.watcher = watcher
        self.topics = topics
        self.instantly = instantly
        names = setting.pipeline.topics
        self.control, self.acks = names.control, names.control_acks
        self.lanes = job.lanes
        self.bucket_keys = spread_keys(job.buckets)
        self.lane_keys = spread_keys(job.lanes)
        self.most_records = rng.choice((1, 3, 10, 100))
        self.most_messages = rng.choice((1, 3, 10, 100))
        self.durable = Durable()
        self.parallelism = 1
        self.submit()
        self.start(1)

    def submit(self) -> None:
        """Take the job for a new one: its lanes wait until all that the control topic holds by now is active."""
        log = self.world.topics.get(self.control, [[]])[0]
        self.control_end = len(log)

    def start(self, parallelism: int) -> None:
        """Make new stages, which know nothing, over the durable state."""
        self.parallelism = parallelism
        cache_bytes = self.rng.choice((0, 4_000, 1 << 20))
        journal_events = self.rng.choice((0, 1, 10, 100, 1000))
        self._intake = self.setting.intake(self.control_end)
        self._history_stages: list[HistoryStage] = [
            self.setting.history(cache_bytes, journal_events) for _ in range(parallelism)
        ]
        self._decide_stages: list[DecideStage] = [self.setting.decide() for _ in range(parallelism)]
        self._govern_stage: GovernStage | None = None
        self._skew_ms = self.rng.choice(SKEWS_MS)
        self._holding: dict[int, HeldRecords] = {}
        self._outbox: dict[int, deque[tuple[str, bytes]]] = {}

    # Crashes

    def snapshot(self) -> Durable:
        """Return a consistent copy of all that must outlive a crash; what was written until now gets to its topics."""
        for bucket in list(self._outbox):
            self.publish(bucket)
        return self.durable.copy()

    def restore(self, snapshot: Durable, parallelism: int) -> None:
        """Lose everything since `snapshot` and go on with `parallelism` subtasks."""
        self.durable = snapshot.copy()
        if parallelism != self.parallelism:
            for name in ("to_history", "to_decide"):
                channels = getattr(self.durable, name).items()
                older = {(sender - GENERATION, bucket): queue for (sender, bucket), queue in channels if queue}
                setattr(self.durable, name, older)
        self.start(parallelism)

    # Work

    def actions(self) -> Iterator[tuple[str, Any]]:
        """Yield everything that could happen next in the job, by kind and with what to."""
        durable = self.durable
        for topic in self.topics:
            for partition, log in enumerate(self.world.topics.get(topic, ())):
                if durable.offsets.get((topic, partition), 0) < len(log):
                    yield "read", (topic, partition)
        for topic in (self.control, self.acks):
            log = self.world.topics.get(topic)
            if log and durable.offsets.get((topic, 0), 0) < len(log[0]):
                yield "listen", topic
        if durable.govern_window:
            yield "govern", None
        for part, queue in durable.told.items():
            if queue:
                yield "tell", part
        for lane, records in durable.lane_windows.items():
            if records:
                yield "route", lane
        for channel in _open(durable.to_history):
            yield "answer", channel
        for channel in _open(durable.to_decide):
            yield "collect", channel
        for bucket, window in durable.decide_windows.items():
            if window:
                yield "decide", bucket
        for bucket, sent in self._outbox.items():
            if sent and self.instantly:
                yield "publish", bucket
        now_ms = self.setting.clock.now_ms
        if durable.asked:
            yield "consult", None
        for bucket, due_ms in durable.waits.items():
            if due_ms <= now_ms:
                yield "overdue", bucket
        for bucket, dues in durable.timers.items():
            if dues and min(dues) <= now_ms:
                yield "expire", bucket
        if durable.govern_timers and min(durable.govern_timers) <= now_ms:
            yield "tick", None

    def act(self, kind: str, what: Any) -> None:
        """Do one of `actions`."""
        getattr(self, kind)(what)

    def _taken(self, topic: str, partition: int) -> list[str]:
        first = self.durable.offsets.get((topic, partition), 0)
        records = self.world.topics[topic][partition][first : first + self.rng.randint(1, self.most_records)]
        self.durable.offsets[topic, partition] = first + len(records)
        return records

    def read(self, source: tuple[str, int]) -> None:
        """Let the source read from a partition into the window of its lane."""
        self.durable.lane_windows.setdefault(source[1] % self.lanes, []).extend(self._taken(*source))

    def route(self, number: int) -> None:
        """Hand a lane what was read."""
        records = self.durable.lane_windows.pop(number)
        held = self.durable.held.setdefault(number, [])
        held.append(records)
        self._hand(number, records)

    def _hand(self, number: int, records: list[str]) -> None:
        durable = self.durable
        lane = durable.lanes.setdefault(number, Lane(number))
        holding = self._holding.get(number)
        if holding is None:
            store = durable.holding.setdefault(number, MemoryStore())
            holding = self._holding[number] = HeldRecords(store)
        sender = subtask_of(self.lane_keys[number], self.parallelism)
        for bucket, message in self._intake.process(lane, records, holding):
            if bucket == len(self.bucket_keys):
                durable.asked.append(message)
                continue
            durable.to_history.setdefault((sender, bucket), deque()).append(message)
        if not holding.batches:
            for batch in durable.held.pop(number, ()):
                self.watcher.routed(lane, batch, self.setting.clock.now_ms, self.control_end)

    def _history_store(self, bucket: int) -> MemoryStore:
        return self.durable.histories.setdefault(bucket, MemoryStore())

    def answer(self, channel: Channel) -> None:
        """Hand a history bucket one message."""
        self._history(channel[1], self.durable.to_history[channel].popleft())

    def _history(self, bucket: int, message: bytes) -> None:
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
        fresh = State(*(MemoryStore() for _ in range(4)))
        return self.durable.decisions.setdefault(bucket, fresh)

    def _decide_stage(self, bucket: int) -> DecideStage:
        return self._decide_stages[subtask_of(self.bucket_keys[bucket], self.parallelism)]

    def decide(self, bucket: int) -> None:
        """Hand a decide bucket what has arrived."""
        self._decide(bucket, self.durable.decide_windows.pop(bucket))

    def _decide(self, bucket: int, messages: list[bytes]) -> None:
        self._decided(bucket, self._decide_stage(bucket).process(bucket, self._state(bucket), messages))

    def consult(self, _: None) -> None:
        """Let the graph answer any of the questions that are under way."""
        asked = self.durable.asked
        for bucket, answer in self.setting.consult(asked.pop(self.rng.randrange(len(asked)))):
            self.durable.decide_windows.setdefault(bucket, []).append(answer)

    def overdue(self, bucket: int) -> None:
        """Fire the timer of what waits for the graph in a decide bucket."""
        del self.durable.waits[bucket]
        self._decided(bucket, self._decide_stage(bucket).expire_waits(bucket, self._state(bucket)))

    def _decided(self, bucket: int, output: Output) -> None:
        self.durable.timers.setdefault(bucket, set()).update(output.due_ms)
        if output.wait_ms is not None:
            self.durable.waits.setdefault(bucket, output.wait_ms)
        outbox = self._outbox.setdefault(bucket, deque())
        outbox.extend((self.acks, ack) for ack in output.acks)
        outbox.extend((self.control, change) for change in output.changes)
        self.watcher.decided(bucket, output)

    def publish(self, bucket: int) -> None:
        """Let what a decide bucket has for the control topics get there."""
        for topic, value in self._outbox.pop(bucket):
            self.world.append(topic, 0, value)

    @property
    def unpublished(self) -> bool:
        """Tell whether something waits for a snapshot to get to its topic."""
        return any(self._outbox.values())

    def expire(self, bucket: int) -> None:
        """Fire the due timers of a decide bucket."""
        now_ms = self.setting.clock.now_ms
        self.durable.timers[bucket] = {due for due in self.durable.timers[bucket] if due > now_ms}
        self.watcher.expired(self._decide_stage(bucket).expire(bucket, self._state(bucket)))

    # Govern

    def listen(self, topic: str) -> None:
        """Let govern's source read."""
        self.durable.govern_window += self._taken(topic, 0)

    def govern(self, _: None) -> None:
        """Hand govern what was read."""
        started = self._govern_stage is None
        records, self.durable.govern_window = self.durable.govern_window, []
        self._send(self._governing().process(records))
        if started:
            self._wait()

    def tick(self, _: None) -> None:
        """Fire govern's timers that are due."""
        now_ms = self.setting.clock.now_ms
        self.durable.govern_timers = {due for due in self.durable.govern_timers if due > now_ms}
        self._send(self._governing().tick())
        self._wait()

    def _governing(self) -> GovernStage:
        if self._govern_stage is None:
            clock = self.setting.clock
            skew_ms = self._skew_ms
            self._govern_stage = self.setting.govern(self.durable.govern, lambda: clock() + skew_ms)
        return self._govern_stage

    def _wait(self) -> None:
        self.durable.govern_timers.add((int(self.setting.clock.now_ms) // TICK_MS + 1) * TICK_MS)

    def _send(self, sent: Sent) -> None:
        for stage, part, message in sent:
            self.durable.told.setdefault((stage, part), deque()).append(message)

    def tell(self, part: Part) -> None:
        """Hand a lane or bucket a message of govern."""
        stage, number = part
        message = self.durable.told[part].popleft()
        if stage == "intake":
            self._hand(number, [FIELD_SEPARATOR + message.decode("latin-1")])
        elif stage == "history":
            self._history(number, message)
        else:
            self._decide(number, [message])


def _open(channels: dict[Channel, deque[bytes]]) -> Iterator[Channel]:
    """Yield the channels that have something to give: those of an earlier parallelism are emptied first."""
    oldest: dict[int, int] = {}
    for (sender, bucket), queue in channels.items():
        if queue:
            oldest[bucket] = min(sender // GENERATION, oldest.get(bucket, 0))
    for channel, queue in channels.items():
        if queue and channel[0] // GENERATION == oldest[channel[1]]:
            yield channel
