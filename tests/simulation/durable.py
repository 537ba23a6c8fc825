"""All that outlives a crash of the simulated job."""

from collections import deque
from copy import deepcopy
from dataclasses import dataclass, field

from mitra.decide import State
from mitra.history import MemoryStore
from mitra.lane import Lane

Channel = tuple[int, int]
"""(sending subtask, receiving bucket). A sender below 0 is one of an earlier parallelism: what it sent comes first."""
Part = tuple[str, int]
"""(stage, lane or bucket)."""


@dataclass(slots=True)
class Durable:
    """Offsets, the state of every stage, what is in flight. `held` are the batches in `holding`, kept apart from it.

    `asked` are the questions to the graph that are under way, `waits` the deadlines of what waits for it, by bucket.
    """

    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    lane_windows: dict[int, list[str]] = field(default_factory=dict)
    lanes: dict[int, Lane] = field(default_factory=dict)
    holding: dict[int, MemoryStore] = field(default_factory=dict)
    held: dict[int, list[list[str]]] = field(default_factory=dict)
    to_history: dict[Channel, deque[bytes]] = field(default_factory=dict)
    histories: dict[int, MemoryStore] = field(default_factory=dict)
    to_decide: dict[Channel, deque[bytes]] = field(default_factory=dict)
    decide_windows: dict[int, list[bytes]] = field(default_factory=dict)
    decisions: dict[int, State] = field(default_factory=dict)
    timers: dict[int, set[int]] = field(default_factory=dict)
    govern: MemoryStore = field(default_factory=MemoryStore)
    govern_window: list[str] = field(default_factory=list)
    govern_timers: set[int] = field(default_factory=set)
    told: dict[Part, deque[bytes]] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    waits: dict[int, int] = field(default_factory=dict)

    def copy(self) -> "Durable":
        """Return a copy that shares nothing that changes."""
        return Durable(
            self.offsets.copy(),
            {lane: window.copy() for lane, window in self.lane_windows.items()},
            {
                number: Lane(lane.number, lane.clock_ms, lane.revision, lane.read_to)
                for number, lane in self.lanes.items()
            },
            {lane: _copy(store) for lane, store in self.holding.items()},
            {lane: batches.copy() for lane, batches in self.held.items()},
            {channel: queue.copy() for channel, queue in self.to_history.items()},
            {bucket: _copy(store) for bucket, store in self.histories.items()},
            {channel: queue.copy() for channel, queue in self.to_decide.items()},
            {bucket: window.copy() for bucket, window in self.decide_windows.items()},
            {
                bucket: State(*map(_copy, (state.pending, state.decisions, state.waiting, state.revisions)))
                for bucket, state in self.decisions.items()
            },
            deepcopy(self.timers),
            _copy(self.govern),
            self.govern_window.copy(),
            self.govern_timers.copy(),
            {part: queue.copy() for part, queue in self.told.items()},
            self.asked.copy(),
            self.waits.copy(),
        )


def _copy(store: object) -> MemoryStore:
    assert isinstance(store, MemoryStore)
    return MemoryStore(store.data.copy())
