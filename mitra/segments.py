"""Thresholds by segment: from which score a payment is reviewed or blocked, by what it is. They hold for every model that decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mitra.feature_plan import Features

REVIEW, BLOCK = 1, 2
"""Places in the outcomes of a decision."""


@dataclass(frozen=True, slots=True)
class Segments:
    """The feature `by` whose value is the segment, and by its value (review, block); None: never. Others go by the model's own."""

    by: str
    thresholds: Mapping[str, tuple[float | None, float | None]]

    def of(self, features: Features, count: int) -> list[str | None]:
        """Return the segment of each transaction, None where it is missing: a text, true or false, or a number as written."""
        texts = features.texts.get(self.by)
        if texts is not None:
            return list(texts)
        place = features.numeric.get(self.by)
        if place is None:
            return [None] * count
        return [None if value != value else f"{value:g}" for value in features.numbers[:, place].tolist()]

    def outcomes(
        self, segments: Sequence[str | None], scores: Sequence[float | None], outcomes: Sequence[int | None]
    ) -> list[int | None]:
        """Return outcomes with those replaced that a segment decides otherwise; a score on a threshold has reached it."""
        found = list(outcomes)
        for row, (segment, score) in enumerate(zip(segments, scores, strict=True)):
            bounds = None if segment is None else self.thresholds.get(segment)
            if bounds is None or score is None:
                continue
            review, block = bounds
            reached = REVIEW if review is not None and score >= review else 0
            found[row] = BLOCK if block is not None and score >= block else reached
        return found
