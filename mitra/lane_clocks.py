"""What one history bucket knows of event time: how far each lane has come. All its clocks are read from here.

Nothing of it is state: lanes tell it anew behind a restore, each within a second of its own start.
"""

from dataclasses import dataclass

from mitra.event_time import EARLIEST_MS
from mitra.lane import GRACE_MS, IDLE_MS
from mitra.stages import Clock

SILENT_MS = 600_000
"""A lane whose events a bucket has not heard of for so long, on the wall clock, no longer holds back what is taken to be idle."""


@dataclass(slots=True)
class Heard:
    """What a lane has told: its newest event time, how far it is settled, and who says so.

    `heard_ms` is when it was last heard of by what it brought, on the wall clock, and `ahead_ms` how far event time had come ahead of
    that at most; mostly it is a little behind. They are None where that isn't known. `idle`: the wall clock stands in for it.
    """

    settled_ms: int = 0
    clock_ms: int | None = None
    heard_ms: float | None = None
    ahead_ms: float | None = None
    idle: bool = False


class LaneClocks:
    """The clocks of one bucket."""

    def __init__(self, lanes: int, clock: Clock) -> None:
        """Know nothing yet of any of so many lanes."""
        self._count = lanes
        self._clock = clock
        self._opened_ms = clock()
        self.lanes: dict[int, Heard] = {}

    def events(self, lane: int, clock_ms: int, settled_ms: int) -> None:
        """Hear of events of a lane."""
        if lane < self._count:
            self.told(lane, settled_ms, idle=False)
            self._ahead(self.lanes[lane], clock_ms)
            self.labels(lane, clock_ms)

    def labels(self, lane: int, clock_ms: int) -> None:
        """Hear of labels that a lane has read. One that has read nothing else has no clock yet."""
        if lane < self._count and clock_ms >= EARLIEST_MS:
            heard = self.lanes.setdefault(lane, Heard())
            heard.clock_ms = clock_ms if heard.clock_ms is None else max(heard.clock_ms, clock_ms)
            heard.heard_ms = self._clock()

    def told(self, lane: int, settled_ms: int, *, idle: bool) -> None:
        """Hear of a lane whose events, if there were any, touched other buckets."""
        if lane < self._count:
            heard = self.lanes.setdefault(lane, Heard())
            heard.settled_ms, heard.idle = max(heard.settled_ms, settled_ms), idle
            if idle:
                self._ahead(heard, settled_ms)

    def _ahead(self, heard: Heard, time_ms: int) -> None:
        ahead_ms = time_ms - self._clock()
        heard.ahead_ms = ahead_ms if heard.ahead_ms is None else max(ahead_ms, heard.ahead_ms)

    def settled_ms(self) -> int | None:
        """Return the event time up to which no lane is expected to bring anything more; None where that isn't known of all."""
        if len(self.lanes) < self._count and self._clock() <= self._opened_ms + GRACE_MS:
            return None
        return min((heard.settled_ms for heard in self.lanes.values()), default=0) or None

    def now_ms(self) -> int | None:
        """Return the event time that the lanes have reached by now, as the wall clock goes on; None where that isn't known yet.

        What a lane still holds back isn't waited for.
        """
        now_ms = self._clock()
        ahead = [heard.ahead_ms for heard in self.lanes.values() if heard.ahead_ms is not None]
        if len(ahead) < self._count and now_ms <= self._opened_ms + (IDLE_MS if ahead else GRACE_MS):
            return None
        return int(now_ms + min(0.0, *ahead)) if ahead else int(now_ms)

    def newest_ms(self) -> int | None:
        """Return a time that no event heard of so far is behind; None where events of some lane weren't.

        A lane that a restored bucket hasn't heard of may have been ahead of the others before.
        """
        clocks = [heard.clock_ms for heard in self.lanes.values() if heard.clock_ms is not None]
        return max(clocks) if len(clocks) == self._count else None

    def least_ms(self) -> int:
        """Return the least event time over the lanes whose events were heard of lately; what is far behind it is idle.

        One that is silent holds nobody up. After a restore all have to be heard of, or to have been silent for long: one alone may
        be months ahead, and what seemed idle would be let go of.
        """
        now_ms = self._clock()
        heard = [(one.clock_ms, one.heard_ms) for one in self.lanes.values() if one.clock_ms is not None]
        if len(heard) < self._count and now_ms < self._opened_ms + SILENT_MS:
            return EARLIEST_MS
        lately = [clock_ms for clock_ms, at_ms in heard if at_ms is not None and at_ms >= now_ms - SILENT_MS]
        return min(lately, default=EARLIEST_MS)
