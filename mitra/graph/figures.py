"""What the asking side counts, for the monitor topic."""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

_LATENCIES = 4_096
_COUNTS = (
    "calls",
    "timeouts",
    "errors",
    "retries",
    "hits",
    "joined",
    "misses",
    "refused_open",
    "refused_full",
    "degraded",
)


@dataclass
class Figures:
    """Counts of calls and of nodes since they were last taken; latencies in ms of the calls that were answered."""

    calls: int = 0
    timeouts: int = 0
    errors: int = 0
    retries: int = 0
    hits: int = 0
    """Nodes whose answer was kept; `joined` are those that a call under way brought, `misses` those asked for."""
    joined: int = 0
    misses: int = 0
    refused_open: int = 0
    """Nodes not asked for because the breaker was open, and because too many were under way."""
    refused_full: int = 0
    degraded: int = 0
    newest_ms: int = 0
    """Event time of the newest link that the service knew when it last answered."""
    _latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES))

    def answered(self, took_ms: float) -> None:
        """Count a call that was answered."""
        self.calls += 1
        self._latencies.append(took_ms)

    def latency_ms(self, share: float) -> float | None:
        """Return the latency below which `share` of the calls were, None without any."""
        ordered = sorted(self._latencies)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) if ordered else None

    def hit_share(self) -> float | None:
        """Return the share of nodes that were not asked for anew, None without any."""
        known = self.hits + self.joined
        return round(known / (known + self.misses), 4) if known + self.misses else None

    def take(self) -> dict[str, Any]:
        """Return all figures by name, and begin to count anew."""
        told: dict[str, Any] = {name: getattr(self, name) for name in _COUNTS}
        told |= {"p50_ms": self.latency_ms(0.5), "p99_ms": self.latency_ms(0.99), "hit_share": self.hit_share()}
        behind_s = round(time.time() - self.newest_ms / 1000.0, 1) if self.newest_ms else None
        told["behind_s"] = behind_s
        for name in _COUNTS:
            setattr(self, name, 0)
        self._latencies.clear()
        return told
