"""How event time goes in one subtask of history: how late events come, how far behind it is, who runs on the wall clock."""

from collections.abc import Mapping

from mitra.decision import encode_json
from mitra.rule_figures import PERIOD_MS
from mitra.stages.watch import IDLE_MS

Lanes = Mapping[int, tuple[int, float]]
"""By lane: the event time that it has settled, and when that was heard, on the wall clock."""


class ClockFigures:
    """Counts events over a span of time, and tells how the clocks of the buckets stand at its end."""

    def __init__(self, subtask: int) -> None:
        """Begin with nothing counted."""
        self._subtask = subtask
        self._since_ms: float | None = None
        self._events = self._late = self._stood_in = 0

    def came(self, events: int, late: int) -> None:
        """Count the events of a batch, and how many of them came late."""
        self._events += events
        self._late += late

    def told(self, alerts: int, lanes: Lanes, now_ms: float) -> None:
        """Count alerts of what was absent, if the wall clock stood in for some lane's event time."""
        if any(now_ms - heard_ms > IDLE_MS for _, heard_ms in lanes.values()) or not lanes:
            self._stood_in += alerts

    def due(self, now_ms: float, buckets: Mapping[int, Lanes]) -> list[bytes]:
        """Return the record to publish, where it is time; what it says is counted out."""
        if self._since_ms is None:
            self._since_ms = now_ms
        if now_ms - self._since_ms < PERIOD_MS:
            return []
        newest: dict[int, tuple[int, float]] = {}
        for lanes in buckets.values():
            for lane, (clock_ms, heard_ms) in lanes.items():
                before_ms, before_heard_ms = newest.get(lane, (clock_ms, heard_ms))
                newest[lane] = max(clock_ms, before_ms), max(heard_ms, before_heard_ms)
        active = [clock_ms for clock_ms, heard_ms in newest.values() if now_ms - heard_ms <= IDLE_MS]
        record = {
            "metric": "clock",
            "subtask": self._subtask,
            "from": int(self._since_ms),
            "to": int(now_ms),
            "events": self._events,
            "late": self._late,
            "behind_ms": max(int(now_ms) - min(active), 0) if active else None,
            "idle_lanes": sorted(lane for lane, (_, heard_ms) in newest.items() if now_ms - heard_ms > IDLE_MS),
            "by_wall_clock": self._stood_in,
        }
        self._since_ms = now_ms
        self._events = self._late = self._stood_in = 0
        return [encode_json(record)]
