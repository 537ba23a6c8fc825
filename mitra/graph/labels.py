"""From labels to spans of time: when a payment was known to be a fraud.

Of the labels known at a moment the one with the highest version counts, so a correction takes a fraud back from when it became
known, and one that arrives late but is known early changes the past. A version that is there already changes nothing.
"""

from typing import NamedTuple

FOR_EVER = (1 << 63) - 1


class Label(NamedTuple):
    """What a payment was judged, and since when that is known (epoch ms)."""

    known_at_ms: int
    version: int
    fraud: bool


class Span(NamedTuple):
    """Moments t with `start_ms` <= t < `end_ms`."""

    start_ms: int
    end_ms: int


def fraud_spans(labels: list[Label]) -> list[Span]:
    """Return when the labels, one of each version, say fraud: spans in order of time that don't touch."""
    spans: list[Span] = []
    best: Label | None = None
    for label in sorted(labels, key=lambda one: (one.known_at_ms, one.version)):
        if best is not None and label.version < best.version:
            continue
        was = best is not None and best.fraud
        best = label
        if label.fraud and not was:
            if spans and spans[-1].end_ms == label.known_at_ms:
                spans[-1] = Span(spans[-1].start_ms, FOR_EVER)
            else:
                spans.append(Span(label.known_at_ms, FOR_EVER))
        elif was and not label.fraud:
            start = spans.pop().start_ms
            if start < label.known_at_ms:
                spans.append(Span(start, label.known_at_ms))
    return spans
