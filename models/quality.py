"""How right scores were, from labels as they come: counts that labels are added to and taken from, and what they amount to.

A payment stands in one of three classes: nobody has judged it yet (`SILENT`), legit, or fraud. A label moves it from one to
another, so that a correction supersedes and never adds.
"""

from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

SILENT, LEGIT, FRAUD = range(3)
CLASSES = 3

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FOLDS = (0, 36, 40, 44)
"""Bits at the end of a score's 52 that are dropped when distinct scores get too many: 2**16, then 2**12, then 2**8 steps
remain between a score and its double, about 50 times as many in all."""
_PENDING = 4_096
"""Changes that are collected before they are merged: a merge sorts all scores."""


class Ranking(NamedTuple):
    """AUC and average precision, None where a class is lacking; `exact` unless scores had to be folded."""

    auc: float | None
    average_precision: float | None
    exact: bool


class _Stored(msgspec.Struct, array_like=True):
    scores: bytes
    counts: bytes
    fold: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


class ScoreCounts:
    """How many payments of each class have each score: exact up to `most` distinct scores, then in ever wider steps."""

    def __init__(self, most: int) -> None:
        """Start with none."""
        self._most = most
        self._fold = 0
        self._scores: Floats = np.empty(0)
        self._counts: Ints = np.empty((0, CLASSES), dtype=np.int64)
        self._pending: list[tuple[Floats, Ints, int]] = []
        self._waiting = 0

    def add(self, scores: Floats, classes: Ints, sign: int = 1) -> None:
        """Count scores (n, none below 0) in their classes, or take them out again with `sign` -1; NaN is no score."""
        scored = ~np.isnan(scores)
        self._pending.append((scores[scored], classes[scored], sign))
        self._waiting += len(scores)
        if self._waiting > _PENDING:
            self._merge()

    def ranking(self, *, silent_is_legit: bool) -> Ranking:
        """Return how well scores tell frauds from legit payments, ties counting half, or taken together for precision."""
        self._merge()
        frauds = self._counts[:, FRAUD]
        legit = self._counts[:, LEGIT] + (self._counts[:, SILENT] if silent_is_legit else 0)
        all_frauds, all_legit = int(frauds.sum()), int(legit.sum())
        exact = self._fold == 0
        if not all_frauds:
            return Ranking(None, None, exact)
        caught, flagged = np.cumsum(frauds[::-1]), np.cumsum((frauds + legit)[::-1])
        precision = caught / np.maximum(flagged, 1)
        average = float((precision * frauds[::-1]).sum() / all_frauds)
        if not all_legit:
            return Ranking(None, average, exact)
        below = np.cumsum(legit) - legit
        auc = float((frauds * (below + legit / 2.0)).sum() / (all_frauds * all_legit))
        return Ranking(auc, average, exact)

    def encode(self) -> bytes:
        """Return the counts as bytes."""
        self._merge()
        return _encode(_Stored(self._scores.tobytes(), self._counts.tobytes(), self._fold))

    @classmethod
    def decode(cls, data: bytes, most: int) -> "ScoreCounts":
        """Read counts back."""
        stored = _decode(data)
        found = cls(most)
        found._fold = stored.fold
        found._scores = np.frombuffer(stored.scores)
        found._counts = np.frombuffer(stored.counts, dtype=np.int64).reshape(-1, CLASSES)
        return found

    def _merge(self) -> None:
        if self._pending:
            scores = np.concatenate([self._scores, *(part for part, _, _ in self._pending)])
            counts = np.zeros((len(scores), CLASSES), dtype=np.int64)
            counts[: len(self._counts)] = self._counts
            start = len(self._counts)
            for part, classes, sign in self._pending:
                counts[np.arange(start, start + len(part)), classes] = sign
                start += len(part)
            self._pending, self._waiting = [], 0
            self._sum_up(scores, counts)
        while len(self._scores) > self._most and self._fold + 1 < len(_FOLDS):
            self._fold += 1
            self._sum_up(self._scores, self._counts)

    def _sum_up(self, scores: Floats, counts: Ints) -> None:
        kept = np.int64(-1 << _FOLDS[self._fold])
        # Bits of floats that aren't negative are in the floats' order.
        steps = (np.ascontiguousarray(scores).view(np.int64) & kept).view(np.float64)
        self._scores, place = np.unique(steps, return_inverse=True)
        summed = np.zeros((len(self._scores), CLASSES), dtype=np.int64)
        np.add.at(summed, place, counts)
        there = summed.any(axis=1)
        self._scores, self._counts = self._scores[there], summed[there]


OUTCOMES = 3
STEPS = 10
"""Calibrated scores are compared with frauds in ten steps of equal width."""


class Tally:
    """Counts and money by class and outcome, and by class and step of the calibrated score."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.payments: Ints = np.zeros((CLASSES, OUTCOMES), dtype=np.int64)
        self.money: Floats = np.zeros((CLASSES, OUTCOMES))
        self.steps: Ints = np.zeros((CLASSES, STEPS), dtype=np.int64)
        self.expected: Floats = np.zeros((CLASSES, STEPS))

    def add(self, classes: Ints, outcomes: Ints, amounts: Floats, scores: Floats, sign: int = 1) -> None:
        """Count n payments, or take them out; amounts and scores (calibrated) may be NaN."""
        np.add.at(self.payments, (classes, outcomes), sign)
        np.add.at(self.money, (classes, outcomes), sign * np.nan_to_num(amounts))
        scored = ~np.isnan(scores)
        steps = np.minimum((scores[scored] * STEPS).astype(np.int64), STEPS - 1)
        np.add.at(self.steps, (classes[scored], steps), sign)
        np.add.at(self.expected, (classes[scored], steps), sign * scores[scored])

    def encode(self) -> bytes:
        """Return all of it as bytes."""
        return b"".join(part.tobytes() for part in (self.payments, self.money, self.steps, self.expected))

    @classmethod
    def decode(cls, data: bytes) -> "Tally":
        """Read it back."""
        found = cls()
        start = 0
        for part in (found.payments, found.money, found.steps, found.expected):
            part[:] = np.frombuffer(data, part.dtype, part.size, start).reshape(part.shape)
            start += part.nbytes
        return found

    def figures(self, *, silent_is_legit: bool, money: bool) -> dict[str, Any]:
        """Return the figures by name, None where nothing is to be divided; money only where amounts are known.

        A flagged payment is reviewed or blocked. `calibration_error` is the mean distance of score and share of frauds over
        the steps, weighted by their payments.
        """
        legit = self.payments[LEGIT] + (self.payments[SILENT] if silent_is_legit else 0)
        frauds = self.payments[FRAUD]
        figures: dict[str, Any] = {
            "payments": int((legit + frauds).sum()),
            "frauds": int(frauds.sum()),
            "flagged": int((legit + frauds)[1:].sum()),
            "precision": _ratio(frauds[1:].sum(), (legit + frauds)[1:].sum()),
            "recall": _ratio(frauds[1:].sum(), frauds.sum()),
            "blocked": int((legit + frauds)[2]),
            "block_precision": _ratio(frauds[2], (legit + frauds)[2]),
            "block_recall": _ratio(frauds[2], frauds.sum()),
        }
        if money:
            honest = self.money[LEGIT] + (self.money[SILENT] if silent_is_legit else 0)
            stopped, wrongly = self.money[FRAUD, 1:].sum(), honest[1:].sum()
            figures |= {
                "stopped": round(float(stopped), 6),
                "missed": round(float(self.money[FRAUD, 0]), 6),
                "wrongly_stopped": round(float(wrongly), 6),
            }
        silent = [SILENT] if silent_is_legit else []
        counted = self.steps[[LEGIT, FRAUD, *silent]].sum(axis=0)
        expected = self.expected[[LEGIT, FRAUD, *silent]].sum(axis=0)
        if counted.sum():
            figures["expected_frauds"] = round(float(expected.sum()), 6)
            gaps = np.abs(expected - self.steps[FRAUD])
            figures["calibration_error"] = float(gaps.sum() / counted.sum())
        return figures


def _ratio(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None
