"""How event time goes in one subtask of history: how late events come, how far behind it is, who runs on the wall clock."""

from collections.abc import Iterable, Mapping

from mitra.decision import encode_json
from mitra.lane_clocks import Heard
from mitra.rule_figures import PERIOD_MS

Lanes = Mapping[int, Heard]
"""What a bucket has heard of each lane."""


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

    def told(self, alerts: int, lanes: Lanes) -> None:
        """Count alerts of what was absent, if the wall clock stood in for some lane's event time."""
        if any(heard.idle for heard in lanes.values()):
            self._stood_in += alerts

    def due(self, now_ms: float, buckets: Iterable[Lanes]) -> list[bytes]:
        """Return the record to publish, where it is time; what it says is counted out."""
        if self._since_ms is None:
            self._since_ms = now_ms
        if now_ms - self._since_ms < PERIOD_MS:
            return []
        newest: dict[int, Heard] = {}
        for lanes in buckets:
            for lane, heard in lanes.items():
                newest[lane] = max(heard, newest.get(lane, heard), key=lambda one: one.settled_ms)
        active = [heard.settled_ms for heard in newest.values() if not heard.idle and heard.settled_ms > 0]
        record = {
            "metric": "clock",
            "subtask": self._subtask,
            "from": int(self._since_ms),
            "to": int(now_ms),
            "events": self._events,
            "late": self._late,
            "behind_ms": max(int(now_ms) - min(active), 0) if active else None,
            "idle_lanes": sorted(lane for lane, heard in newest.items() if heard.idle),
            "by_wall_clock": self._stood_in,
        }
        self._since_ms = now_ms
        self._events = self._late = self._stood_in = 0
        return [encode_json(record)]
