"""Retraining: a model fitted on the newest labels, and whether it is better than the champion where both can be judged.

A first model is fitted on the payments before the newest matured period, and compared with the champion on that period; the
champion hasn't learnt from it either. If the first is better, what ships is fitted once more, by the same order, on as long a time
up to that period's end. Labels count as they are known now for both: the champion knew them too when it shipped.
"""

from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from models.dataset import Dataset
from models.errors import TrainingError
from models.manifest import Training
from models.metrics import auc_roc, average_precision
from models.model import Model
from models.training import Order, Progress, Trained, train
from models.windows import DAY_MS, Span, show_time


@dataclass(frozen=True, slots=True)
class Judged:
    """Average precision and AUC on the test rows, of the champion (None: there is none) and of what was fitted before them."""

    rows: int
    frauds: int
    challenger: dict[str, float]
    champion: dict[str, float] | None

    def is_better(self, margin: float) -> bool:
        """Tell whether the challenger's average precision lies more than `margin` above the champion's."""
        if self.champion is None:
            return True
        return self.challenger["average_precision"] > self.champion["average_precision"] + margin


@dataclass(frozen=True, slots=True)
class Retrained:
    """What came of it: the judgement, and the model that ships; None where the champion stays."""

    judged: Judged
    shipped: Trained | None


def spans(
    as_of_ms: int, matured_ms: int, train_ms: int, test_ms: int, champion: Training | None = None
) -> tuple[Span, Span]:
    """Return the windows to train and test on: the test ends with the last whole UTC day whose labels have matured.

    It begins no sooner than what the champion learnt from ends, for nobody is judged by what they were taught. Raises
    TrainingError where nothing has matured since.
    """
    ends = (as_of_ms - matured_ms) // DAY_MS * DAY_MS
    learnt_ms = ends - test_ms if champion is None else champion.train.to_ms
    if learnt_ms >= ends:
        ready = show_time(-(-learnt_ms // DAY_MS) * DAY_MS + DAY_MS + matured_ms)
        msg = (
            f"the champion learnt from payments up to {show_time(learnt_ms)}, and labels have matured up to {show_time(ends)}: nothing"
            f" is left to hold a challenger against; retrain from {ready} on"
        )
        raise TrainingError(msg)
    test = Span(max(ends - test_ms, learnt_ms), ends)
    return Span(test.from_ms - train_ms, test.from_ms), test


def retrain(
    data: Dataset, order: Order, champion: Model | None, champion_data: Dataset | None, *, margin: float, as_of_ms: int,
    progress: Progress | None = None,
) -> Retrained:  # fmt: skip
    """Fit by `order`, whose windows are of `spans`, judge, and fit what ships if it is better.

    `champion_data` has the same rows with the features of the champion. Raises TrainingError where there is too little to
    train or test on.
    """
    test = order.test
    assert test is not None, "there is nothing to judge by without a test window"
    order = replace(order, known_by_ms=as_of_ms)
    first = train(data, order, progress)
    tested = first.manifest.metrics["test"]
    found = {name: float(tested["auc_roc" if name == "auc" else name]) for name in ("average_precision", "auc")}
    held = None if champion is None or champion_data is None else _measured(champion, champion_data, test)
    judged = Judged(int(tested["rows"]), int(tested["frauds"]), found, held)
    if not judged.is_better(margin):
        return Retrained(judged, None)
    shipped = Span(order.train.from_ms + test.to_ms - test.from_ms, test.to_ms)
    last = train(data, replace(order, train=shipped, test=None), progress)
    metrics: dict[str, Any] = {"test": tested, **last.manifest.metrics}
    assert first.manifest.training is not None
    assert last.manifest.training is not None
    training = msgspec.structs.replace(last.manifest.training, test=first.manifest.training.test)
    manifest = msgspec.structs.replace(last.manifest, metrics=metrics, training=training)
    return Retrained(judged, replace(last, manifest=manifest))


def _measured(model: Model, data: Dataset, test: Span) -> dict[str, float]:
    rows = data.within(test)
    raw = model.raw_scores(np.ascontiguousarray(data.x[rows]))
    return {
        "average_precision": average_precision(raw, data.labels[rows]),
        "auc": auc_roc(raw, data.labels[rows]),
    }
