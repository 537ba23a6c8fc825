"""How far one lane of the source has come in event time: what holds it back, and when the wall clock stands in for it.

What is awaited and doesn't come is told by this, so it must not run ahead of an event that lies in a topic already. Silence says
nothing of itself: the job may stand still, or the broker, in the middle of a backlog. So silence is counted only while the lane is
looked at, every `TICK_MS`. A partition that is up to date holds the lane back for `QUIET_MS` of it. One that lags behind its topic
does for `GRACE_MS`, or until the others have brought what is up to date for `IDLE_MS`. And where a backlog begins, at a start above
all, nothing is settled before all partitions have had time to bring something of theirs.

What this can't tell from a quiet topic is a broker that is out of reach for longer than `IDLE_MS`.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mitra.decode import Event

TICK_MS = 250
"""How often a lane is to be looked at where it brings nothing."""

QUIET_MS = 500
"""A partition that is up to date and brought nothing for so long has nothing to bring: one that is read brings something every few ms."""

IDLE_MS = 5_000
"""A lane that brought nothing for so long goes on with the wall clock. As long is waited, behind the first event, for its partitions."""

GRACE_MS = 60_000
"""So long a partition that lags behind its topic holds back its lane, and a lane that brought nothing since the start all others."""

LAGS_MS = 5_000
"""A record that had lain in its topic for longer when it was read is of a backlog: more may follow, however late."""


class Source(NamedTuple):
    """Where a record was read: the place of its topic among the pipeline's, partition and offset."""

    topic: int
    partition: int
    offset: int


class Reached(NamedTuple):
    """How far a partition has come: in event time, when that was by what its lane has listened, and whether it lags behind its topic."""

    time_ms: int
    listened_ms: float
    lags: bool


@dataclass(slots=True)
class Lane:
    """The state of a lane: its number, the greatest event time that it has seen, and the revision that it stamps.

    Of the control topic everything before `read_to` is settled under that revision. All else isn't kept over a restore.
    """

    number: int
    clock_ms: int = -(1 << 62)
    revision: int = 0
    read_to: int = 0
    reached: dict[tuple[int, int], Reached] = field(default_factory=dict, compare=False)
    """By topic and partition."""
    listened_ms: float = field(default=0.0, compare=False)
    """For how long the lane has been looked at."""
    began_ms: float | None = field(default=None, compare=False)
    """What that was when the backlog at hand began,"""
    last_ms: float = field(default=0.0, compare=False)
    """when events came last,"""
    lagged_ms: float = field(default=-math.inf, compare=False)
    """and when such came last that had lain in their topic."""
    looked_ms: float | None = field(default=None, compare=False)
    """When the lane was looked at last, on the wall clock,"""
    heard_ms: float = field(default=0.0, compare=False)
    """and when events came last."""
    opening_ms: int = field(default=IDLE_MS, compare=False)
    """For so long behind the beginning of a backlog nothing is settled."""
    told: set[int] = field(default_factory=set, compare=False)
    """The buckets that were sent events since the lane was last looked at."""

    def listen(self, now_ms: float) -> None:
        """Count the time since the last look as listened, unless nobody listened: where the job stood still, say."""
        if self.looked_ms is not None:
            self.listened_ms += min(max(now_ms - self.looked_ms, 0.0), 2 * TICK_MS)
        self.looked_ms = now_ms

    def reach(
        self,
        events: Sequence[Event],
        sources: Sequence[Source],
        now_ms: float,
        lagging: Collection[tuple[int, int]],
    ) -> None:
        """Note how far events bring their partitions, of which some lag; none comes further than the wall clock."""
        self.listen(now_ms)
        if self.began_ms is None or (lagging and not self._lags):
            self.began_ms = self.listened_ms
        self.last_ms, self.heard_ms = self.listened_ms, now_ms
        if lagging:
            self.lagged_ms = self.listened_ms
        newest: dict[tuple[int, int], int] = {}
        for event, source in zip(events, sources, strict=True):
            place = source.topic, source.partition
            newest[place] = max(event.time_ms, newest.get(place, 0))
        for place, time_ms in newest.items():
            before = self.reached.get(place)
            reached_ms = max(0 if before is None else before.time_ms, min(time_ms, int(now_ms)))
            self.reached[place] = Reached(reached_ms, self.listened_ms, place in lagging)

    @property
    def idle(self) -> bool:
        """Whether the wall clock stands in for the lane's event time."""
        if self.began_ms is None:
            return self.listened_ms > GRACE_MS
        return self.listened_ms - self.last_ms > IDLE_MS and not self._held()

    def settled_ms(self, now_ms: float) -> int:
        """Return the event time up to which nothing more is to be expected; 0 where that can't be told yet."""
        if self.idle:
            # Behind a backlog that has come to its end, how old its last event was says nothing any more.
            lagged = self.began_ms is None or self.lagged_ms == self.last_ms
            return int(now_ms if lagged else self.clock_ms + now_ms - self.heard_ms)
        if self.began_ms is None or self.listened_ms - self.began_ms < self.opening_ms:
            return 0
        return min(self._held(), default=self.clock_ms)

    @property
    def _lags(self) -> bool:
        """Whether a backlog is worked off, as far as is known."""
        return self.listened_ms - self.lagged_ms <= GRACE_MS and self.last_ms - self.lagged_ms < IDLE_MS

    def _held(self) -> list[int]:
        """Return the event times of the partitions that hold the lane back."""
        lags = self._lags
        return [
            one.time_ms
            for one in self.reached.values()
            if (one.lags and lags) or self.listened_ms - one.listened_ms <= QUIET_MS
        ]
