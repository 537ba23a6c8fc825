"""What each model does: how many payments it scored, how many it failed on, and what a payment cost it.

Counted in memory by each subtask of decide, and published on the monitor topic every PERIOD_MS of input, like the rules' figures:
sums over the records of a model are its figures.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from mitra.lineup import Contender
from mitra.rule_figures import PERIOD_MS

_encode = msgspec.json.Encoder().encode


class ModelFigures:
    """The counts of one subtask since it last published them; they are kept by the contenders themselves."""

    def __init__(self, subtask: int) -> None:
        """Start with nothing."""
        self._subtask = subtask
        self._since_ms: float | None = None

    def due(self, now_ms: float, contenders: Iterable[Contender]) -> list[bytes]:
        """Return the records to publish, where it is time; they are counted out."""
        if self._since_ms is None:
            self._since_ms = now_ms
        if now_ms - self._since_ms < PERIOD_MS:
            return []
        head = {"subtask": self._subtask, "from": int(self._since_ms), "to": int(now_ms)}
        self._since_ms = now_ms
        found: dict[str, dict[str, Any]] = {}
        for one in contenders:
            if not one.batches:
                continue
            counts = found.setdefault(
                one.reference,
                {"metric": "model", "model": one.reference, "mode": one.mode, **head}
                | {"payments": 0, "batches": 0, "failed": 0, "spent_us": 0.0},
            )
            counts["mode"] = one.mode
            counts["payments"] += one.rows
            counts["batches"] += one.batches
            counts["failed"] += one.failed
            counts["spent_us"] = round(counts["spent_us"] + one.spent_us, 1)
            one.rows = one.batches = one.failed = 0
            one.spent_us = 0.0
        return [_encode(one) for _, one in sorted(found.items())]
