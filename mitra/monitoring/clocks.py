"""The event-time clock of the whole job: the least over what its buckets have heard of their lanes.

A lane that a bucket has not heard of for SILENT_MS of the wall clock no longer holds it back, nor does a bucket that has said nothing.
"""

SILENT_MS = 600_000


class Clocks:
    """Clocks by bucket and lane, each with the wall clock at which it was heard."""

    def __init__(self, buckets: int) -> None:
        """Wait for all of `buckets`, for SILENT_MS at most."""
        self._buckets = buckets
        self.heard: dict[tuple[int, int], tuple[int, float]] = {}
        self.told_ms: int | None = None
        """The latest time that `least_ms` has returned: it never goes back."""
        self._first_ms: float | None = None

    def hear(self, bucket: int, clocks_ms: dict[int, int], now_ms: float) -> None:
        """Take the clocks of a bucket's lanes."""
        if self._first_ms is None:
            self._first_ms = now_ms
        for lane, clock_ms in clocks_ms.items():
            known = self.heard.get((bucket, lane), (0, 0.0))[0]
            self.heard[bucket, lane] = max(known, clock_ms), now_ms

    def resume(self, now_ms: float) -> None:
        """Count all that were heard before a restart as heard now: a backlog comes through some buckets before others."""
        self.heard = {place: (clock_ms, now_ms) for place, (clock_ms, _) in self.heard.items()}

    def least_ms(self, now_ms: float) -> int | None:
        """Return the clock; None where not all have been heard yet."""
        if self._first_ms is None:
            return None
        if len({bucket for bucket, _ in self.heard}) < self._buckets and now_ms - self._first_ms < SILENT_MS:
            return self.told_ms
        active = [clock_ms for clock_ms, at_ms in self.heard.values() if now_ms - at_ms < SILENT_MS]
        if active:
            self.told_ms = max(min(active), self.told_ms or 0)
        return self.told_ms

    def newest_ms(self) -> int:
        """Return the latest clock of all; 0 where nothing was heard."""
        self.told_ms = max((clock_ms for clock_ms, _ in self.heard.values()), default=0)
        return self.told_ms
