"""What is counted of one window of event time: volume, checks, distributions by model, labels by model."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from mitra.errors import MitraError
from models.drift import Bins, Counts
from models.quality import ScoreCounts, Tally

VERSION = 1
SCORED, DECIDED = "scored", "decided"
"""The arms of a model: all payments that it scored, and those that it decided."""
DECISIONS = ""
"""The name under which the decisions themselves are measured, rules included."""
RAW_SCORE, SCORE = "\0raw_score", "\0score"
"""The names of a model's scores among the features that are counted for it."""


class _Stored(msgspec.Struct, array_like=True):
    start_ms: int
    payments: int
    drift_told: bool
    counts: dict[str, dict[str, bytes]]
    checks: dict[str, list[int]]
    modes: dict[str, str]
    rankings: dict[str, dict[str, bytes]]
    tallies: dict[str, dict[str, bytes]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


class UnknownWindowError(MitraError):
    """A window's bytes have a version that this release doesn't read."""


class Window:
    """One window's counts. `checks` holds for each feature: values that were there, outside, unseen, missing."""

    def __init__(self, start_ms: int, exact_scores: int) -> None:
        """Start with nothing counted."""
        self.start_ms = start_ms
        self.payments = 0
        self.drift_told = False
        self.counts: dict[str, dict[str, Counts]] = {}
        self.checks: dict[str, list[int]] = {}
        self.modes: dict[str, str] = {}
        self.rankings: dict[str, dict[str, ScoreCounts]] = {}
        self.tallies: dict[str, dict[str, Tally]] = {}
        self._exact_scores = exact_scores

    def count_values(self, model: str, bins: Mapping[str, Bins], values: Mapping[str, Any]) -> None:
        """Count values of features (and of scores) into a model's bins."""
        counts = self.counts.setdefault(model, {})
        for name, column in values.items():
            if name in bins:
                found = bins[name].count(column)
                known = counts.get(name)
                counts[name] = found if known is None or len(known) != len(found) else known + found

    def check(self, name: str, seen: int, outside: int, unseen: int, missing: int) -> None:
        """Count what a check found."""
        known = self.checks.get(name, [0, 0, 0, 0])
        self.checks[name] = [a + b for a, b in zip(known, (seen, outside, unseen, missing), strict=True)]

    def tally(self, model: str, arm: str) -> Tally:
        """Return the tally of an arm."""
        return self.tallies.setdefault(model, {}).setdefault(arm, Tally())

    def ranking(self, model: str, arm: str) -> ScoreCounts:
        """Return the scores of an arm."""
        return self.rankings.setdefault(model, {}).setdefault(arm, ScoreCounts(self._exact_scores))

    def forget(self, model: str) -> None:
        """Drop the distributions of a model whose baseline is another now."""
        self.counts.pop(model, None)

    def encode(self) -> bytes:
        """Return all counts as bytes."""
        stored = _Stored(
            self.start_ms,
            self.payments,
            self.drift_told,
            {model: {name: one.tobytes() for name, one in counts.items()} for model, counts in self.counts.items()},
            self.checks,
            self.modes,
            {model: {arm: one.encode() for arm, one in arms.items()} for model, arms in self.rankings.items()},
            {model: {arm: one.encode() for arm, one in arms.items()} for model, arms in self.tallies.items()},
        )
        return bytes((VERSION,)) + _encode(stored)

    @classmethod
    def decode(cls, data: bytes, exact_scores: int) -> "Window":
        """Read a window back. Raises UnknownWindowError for a version not known."""
        if data[:1] != bytes((VERSION,)):
            msg = (
                f"a monitor's window has version={data[0]}, this release reads {VERSION}; run the release that wrote it"
            )
            raise UnknownWindowError(msg)
        stored = _decode(data[1:])
        found = cls(stored.start_ms, exact_scores)
        found.payments, found.drift_told = stored.payments, stored.drift_told
        found.counts = {
            model: {name: np.frombuffer(one, dtype=np.int64) for name, one in counts.items()}
            for model, counts in stored.counts.items()
        }
        found.checks, found.modes = stored.checks, stored.modes
        found.rankings = {
            model: {arm: ScoreCounts.decode(one, exact_scores) for arm, one in arms.items()}
            for model, arms in stored.rankings.items()
        }
        found.tallies = {
            model: {arm: Tally.decode(one) for arm, one in arms.items()} for model, arms in stored.tallies.items()
        }
        return found
