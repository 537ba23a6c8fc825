"""What the demo has seen, in bounded memory however long it runs: counts, a histogram of latencies, the last ten seconds."""

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WINDOW_S = 10.0
"""Rates and percentiles on the screen are those of the last ten seconds."""
FLAGGED_SHOWN = 8


@dataclass
class Tally:
    """What has happened so far. One lock guards it all; who calls `answered` or `lately` holds it."""

    sent: int = 0
    dead_letters: int = 0
    decided: int = 0
    """Distinct transactions with a decision."""
    outcomes: dict[str, int] = field(default_factory=dict)
    frauds_sent: int = 0
    frauds_flagged: int = 0
    tenths_ms: Counter[int] = field(default_factory=Counter)
    """How many decisions took so many tenths of a millisecond, from produce to consume."""
    flagged: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=FLAGGED_SHOWN))
    alerts: int = 0
    last_alert: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _recent: deque[tuple[float, int]] = field(default_factory=deque)

    def answered(self, now: float, latency_ms: float) -> None:
        """Count a decision that came `now`, by the monotonic clock."""
        self.decided += 1
        tenths = round(latency_ms * 10)
        self.tenths_ms[tenths] += 1
        self._recent.append((now, tenths))
        self._forget(now)

    def lately(self, now: float) -> Counter[int]:
        """Return what `tenths_ms` has of the last ten seconds."""
        self._forget(now)
        return Counter(tenths for _, tenths in self._recent)

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] < now - WINDOW_S:
            self._recent.popleft()


def percentiles_ms(tenths_ms: Mapping[int, int]) -> tuple[float, float] | None:
    """Return p50 and p99 of a histogram in tenths of a millisecond, or None where it is empty."""
    count = sum(tenths_ms.values())
    if not count:
        return None
    places, found, passed = [count // 2, min(count - 1, count * 99 // 100)], [], 0
    for tenths in sorted(tenths_ms):
        passed += tenths_ms[tenths]
        while places and passed > places[0]:
            found.append(tenths / 10)
            places.pop(0)
    return found[0], found[1]
