"""Why a payment was flagged, in words with its values."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from rules.plan import ValueType


class Reason(TypedDict):
    """One feature's part in a score: its value (None: missing), its contribution in log-odds, and a sentence."""

    feature: str
    value: float | bool | None
    contribution: float
    text: str


def top_reasons(
    features: Sequence[str],
    types: Sequence[ValueType],
    x_row: NDArray[np.float32],
    contributions_row: NDArray[np.float64],
    k: int = 3,
) -> list[Reason]:
    """Return the `k` features that raised a score most, the strongest first; every argument has shape (features,).

    If no feature raised it (a threshold below the average payment's score), they are the `k` that lowered it least.
    A feature that moved nothing is no reason.
    """
    order = np.argsort(-contributions_row, kind="stable").tolist()
    raising = [place for place in order if contributions_row[place] > 0]
    lowering = [place for place in order if contributions_row[place] < 0]
    return [
        _reason(features[place], types[place], float(x_row[place]), float(contributions_row[place]))
        for place in (raising or lowering)[:k]
    ]


def _reason(name: str, value_type: ValueType, number: float, contribution: float) -> Reason:
    value: float | bool | None
    if number != number:  # NaN
        value = None
    elif value_type == "boolean":
        value = number > 0
    else:
        # Six digits are all that a float32 holds for sure: 0.82 stays 0.82, not 0.8199999928.
        value = float(f"{number:.6g}")
    text = sentence(name, value, contribution)
    return {"feature": name, "value": value, "contribution": round(contribution, 6), "text": text}


def sentence(name: str, value: float | bool | None, contribution: float) -> str:  # noqa: FBT001 - a value is no flag
    """Return the sentence of a reason."""
    verb = "raises" if contribution > 0 else "lowers"
    if value is None:
        return f"{name} is missing, which {verb} the risk"
    if isinstance(value, bool):
        return f"{name} is {'true' if value else 'false'}, which {verb} the risk"
    return f"{name} = {value:.10g} {verb} the risk"
