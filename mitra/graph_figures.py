"""What became of payments beside the graph: how many were decided without its answer, and how many answers came too late.

Counted in memory by each subtask of decide, and published on the monitor topic every PERIOD_MS of input; how its calls went, the
lookup tells itself (mitra.graph.figures).
"""

from collections.abc import Iterable

import msgspec

from mitra.decision import Record
from mitra.rule_figures import PERIOD_MS

_encode = msgspec.json.Encoder().encode


class GraphFigures:
    """The counts of one subtask since it last published them."""

    def __init__(self, subtask: int) -> None:
        """Start with nothing."""
        self._subtask = subtask
        self._since_ms: float | None = None
        self._payments = self._degraded = 0
        self.late_answers = 0
        """Answers that came when their payment had been decided."""

    def decided(self, records: Iterable[Record], mark: str) -> None:
        """Count payments decided for the first time; those without the graph bear `mark`."""
        for record in records:
            self._payments += 1
            self._degraded += mark in record.degraded

    def due(self, now_ms: float) -> list[bytes]:
        """Return the record to publish, where it is time and anything happened; it is counted out."""
        if self._since_ms is None:
            self._since_ms = now_ms
        if now_ms - self._since_ms < PERIOD_MS:
            return []
        head = {"metric": "graph", "subtask": self._subtask, "from": int(self._since_ms), "to": int(now_ms)}
        counts = {"payments": self._payments, "degraded": self._degraded, "late_answers": self.late_answers}
        self._since_ms = now_ms
        self._payments = self._degraded = self.late_answers = 0
        return [_encode({**head, **counts})] if any(counts.values()) else []
