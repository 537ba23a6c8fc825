"""What a model's scores are worth on the test window, as the manifest tells it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.manifest import Thresholds
from models.metrics import at_threshold, auc_roc, average_precision, card_precision, log_loss, unknown_cards
from models.windows import DAY_MS, Span

TOP_CARDS = 100


@dataclass(frozen=True)
class Scored:
    """Scores of rows and their labels, all of length n."""

    raw: NDArray[np.float64]
    calibrated: NDArray[np.float64]
    labels: NDArray[np.bool_]


def evaluated_rows(data: Dataset, train: Span, test: Span, label_delay_ms: int) -> NDArray[np.bool_]:
    """Return the test window's rows; where cards are known, without those already known as compromised.

    Catching a card whose fraud has been reported is no merit: it would have been stopped.
    """
    inside = data.within(test)
    if data.cards is None:
        return inside
    days = data.event_time_ms // DAY_MS
    unknown = unknown_cards(
        days,
        data.labels,
        data.cards,
        train=(train.from_ms // DAY_MS, (train.to_ms - 1) // DAY_MS),
        test=(test.from_ms // DAY_MS, (test.to_ms - 1) // DAY_MS),
        label_delay=math.ceil(label_delay_ms / DAY_MS),
    )
    return inside & unknown


def measure(scored: Scored, thresholds: Thresholds) -> dict[str, Any]:
    """Return the metrics by name: ranking by the raw score, probabilities and thresholds by the calibrated one."""
    metrics: dict[str, Any] = {
        "rows": len(scored.labels),
        "frauds": int(scored.labels.sum()),
        "auc_roc": auc_roc(scored.raw, scored.labels),
        "average_precision": average_precision(scored.raw, scored.labels),
        "log_loss": log_loss(scored.calibrated, scored.labels),
        "expected_frauds": float(scored.calibrated.sum()),
    }
    for name, threshold in (("review", thresholds.review), ("block", thresholds.block)):
        if threshold is not None:
            metrics[name] = _numbers(at_threshold(scored.calibrated, scored.labels, threshold))
    return _numbers(metrics)


def measure_cards(scored: Scored, data: Dataset, rows: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the card precision of `rows`, by the raw score; nothing where cards aren't known."""
    if data.cards is None:
        return {}
    days = data.event_time_ms[rows] // DAY_MS
    value = card_precision(scored.raw, scored.labels, days, data.cards[rows], TOP_CARDS)
    return _numbers({f"card_precision_{TOP_CARDS}": value})


def _numbers(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics with None for what is not a number, as the manifest writes it."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in metrics.items()}
