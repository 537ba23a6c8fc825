"""Training: rows with labels in, an artefact's manifest and trees out.

The model is fitted on the whole training window. Calibration, thresholds and the score baseline come from *held-out*
scores: the window is cut into pieces of time, and each is scored by trees fitted on the others. Nothing of the test
window is used but for the metrics.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from models.baseline import baseline
from models.calibration import Method
from models.calibration_fit import fit_calibration
from models.dataset import Dataset
from models.errors import TrainingError
from models.evaluation import Scored, evaluated_rows, measure, measure_cards
from models.manifest import Manifest, Training, Window
from models.parameters import Parameters, complete
from models.thresholds import Targets, choose_thresholds
from models.windows import DAY_MS, Span, show_time

Rows = NDArray[np.bool_]
Progress = Callable[[str, int, int], None]

# Fewer than this in each piece, and a held-out score says nothing.
_MIN_FRAUDS = 2


@dataclass(frozen=True)
class Order:
    """What to train: names for the result, windows, parameters, and how to calibrate and choose thresholds.

    `label_delay_ms`: how long a label takes; it says which cards are known as compromised in the test window.
    `folds`: pieces of time for held-out scores. `threads`: how many fit, None for one a core. Without a `test` window nothing is measured. Labels
    count that were known by `known_by_ms`; by the beginning of the test, if that isn't given.
    """

    pipeline: str
    name: str
    version: str
    train: Span
    test: Span | None
    parameters: Parameters = field(default_factory=dict)
    calibration: Method = "isotonic"
    targets: Targets = field(default_factory=Targets)
    label_delay_ms: int = 0
    folds: int = 5
    known_by_ms: int | None = None
    window_ms: int = DAY_MS
    """The windows in which drift will be looked for: the baseline says how much of it is usual between them."""
    threads: int | None = None


@dataclass(frozen=True)
class Trained:
    """A manifest without its files, the bytes of `model.ubj`, and how many training rows were left out as unknown."""

    manifest: Manifest
    model: bytes
    not_yet_known: int


def train(data: Dataset, order: Order, progress: Progress | None = None) -> Trained:
    """Fit, calibrate and measure a model; `progress(stage, done, of)` is called for every tree.

    Training rows whose label became known only after `known_by_ms`, or the test's beginning, are left out, as they would be in life.
    """
    order.targets.check()
    progress = progress or _silent
    parameters = complete(order.parameters)
    if order.folds < 2:
        msg = f"folds={order.folds} holds nothing out; take 2 or more"
        raise TrainingError(msg)
    if order.test is not None and order.train.to_ms > order.test.from_ms:
        msg = f"the test window ({order.test}) begins before the training window ({order.train}) ends"
        raise TrainingError(msg)
    inside = data.within(order.train)
    rows = inside & (data.known_ms <= _known_by_ms(order))
    _check_rows(data, rows, "train", order.train, left_out=int((inside & ~rows).sum()))
    if order.test is not None:
        _check_rows(data, data.within(order.test), "test", order.test)

    x, labels = data.x[rows], data.labels[rows]
    names = [feature.name for feature in data.features]
    booster = _fit(x, labels, names, parameters, order.threads, lambda done, of: progress("fitting", done, of))
    held_out = _held_out_scores(x, labels, names, parameters, order, progress)
    calibration = fit_calibration(order.calibration, held_out, labels)
    calibrated = calibration.apply(held_out)
    thresholds = choose_thresholds(order.targets, calibrated, labels)

    metrics: dict[str, Any] = {}
    test = None
    if order.test is not None:
        tested = evaluated_rows(data, order.train, order.test, order.label_delay_ms)
        raw = _predict(booster, data.x[tested])
        scored = Scored(raw, calibration.apply(raw), data.labels[tested])
        metrics["test"] = measure(scored, thresholds) | measure_cards(scored, data, tested)
        test = _window(data, order.test, tested)
    metrics["held_out"] = measure(Scored(held_out, calibrated, labels), thresholds)
    manifest = Manifest(
        name=order.name,
        version=order.version,
        files=(),
        features=data.features,
        calibration=calibration,
        thresholds=thresholds,
        training=Training(order.pipeline, _window(data, order.train, rows), test),
        baseline=baseline(data.features, x, held_out, calibrated, data.event_time_ms[rows], order.window_ms),
        parameters=parameters,
        metrics=metrics,
        libraries={"xgboost": xgboost.__version__},
    )
    return Trained(manifest, bytes(booster.save_raw("ubj")), int((inside & ~rows).sum()))


def _known_by_ms(order: Order) -> int:
    if order.known_by_ms is not None:
        return order.known_by_ms
    if order.test is None:
        raise TrainingError("without a test window it must be said by when labels were known")
    return order.test.from_ms


def _silent(_stage: str, _done: int, _of: int) -> None:
    """Tell nobody."""


def _held_out_scores(
    x: NDArray[np.float32], labels: Rows, names: list[str], parameters: Parameters, order: Order, progress: Progress
) -> NDArray[np.float64]:
    """Return a score for every row, from trees that were fitted without its piece of time. Rows are in time order."""
    pieces = np.array_split(np.arange(len(x)), order.folds)
    scores = np.empty(len(x))
    for number, piece in enumerate(pieces, start=1):
        others = np.ones(len(x), dtype=bool)
        others[piece] = False
        if not _MIN_FRAUDS <= labels[others].sum() <= others.sum() - _MIN_FRAUDS:
            msg = (
                f"folds={order.folds} leaves {int(labels[others].sum())} frauds to fit on for piece {number};"
                " take a longer training window or fewer folds"
            )
            raise TrainingError(msg)
        stage = f"calibrating {number}/{order.folds}"

        def report(done: int, of: int, stage: str = stage) -> None:
            progress(stage, done, of)

        fitted = _fit(x[others], labels[others], names, parameters, order.threads, report)
        scores[piece] = _predict(fitted, x[piece])
    return scores


def _fit(
    x: NDArray[np.float32],
    labels: Rows,
    names: list[str],
    parameters: Parameters,
    threads: int | None,
    report: Callable[[int, int], None],
) -> xgboost.Booster:
    given: dict[str, Any] = {name: value for name, value in parameters.items() if name != "n_estimators"}
    if threads is not None:
        given["nthread"] = threads
    trees = int(parameters["n_estimators"] or 0)
    try:
        matrix = xgboost.DMatrix(x, labels.astype(np.float32), feature_names=names, nthread=threads)
        return xgboost.train(given, matrix, trees, callbacks=[_Report(report, trees)], verbose_eval=False)
    except (xgboost.core.XGBoostError, ValueError) as error:
        msg = f"XGBoost refuses the parameters: {_first_line(error)}"
        raise TrainingError(msg) from error


def _predict(booster: xgboost.Booster, x: NDArray[np.float32]) -> NDArray[np.float64]:
    if not len(x):
        return np.empty(0)
    return np.asarray(booster.inplace_predict(x, validate_features=False), dtype=np.float64)


def _check_rows(data: Dataset, rows: Rows, name: str, span: Span, left_out: int = 0) -> None:
    """Raise `TrainingError` if `rows` is empty or all of one kind, saying where there is data."""
    frauds = int(data.labels[rows].sum())
    if frauds and frauds < rows.sum():
        return
    what = f"the {name} window {span} has rows={int(rows.sum())} frauds={frauds}; it needs frauds and legit payments"
    times = data.event_time_ms
    where = f"no row has a label there ({data.unlabelled} without)"
    if len(times):
        where = f"labelled rows run from {show_time(int(times[0]))} to {show_time(int(times[-1]))}"
    late = f"; {left_out} rows were left out because their label wasn't known when the test began" if left_out else ""
    msg = f"{what}; {where}{late}"
    raise TrainingError(msg)


def _window(data: Dataset, span: Span, rows: Rows) -> Window:
    return Window(span.from_ms, span.to_ms, int(rows.sum()), int(data.labels[rows].sum()))


def _first_line(error: Exception) -> str:
    """Return the sentence in an XGBoost error, without the place in its source and the stack."""
    lines = [line for line in str(error).splitlines() if line.strip() and "Stack trace" not in line]
    return lines[0].rpartition("Check failed: ")[2] if lines else type(error).__name__


class _Report(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # without types
    """Tells of every tree fitted."""

    def __init__(self, report: Callable[[int, int], None], trees: int) -> None:
        super().__init__()
        self._report, self._trees = report, trees

    def after_iteration(self, model: xgboost.Booster, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 - the interface
        """Report the tree, and go on."""
        self._report(epoch + 1, self._trees)
        return False
