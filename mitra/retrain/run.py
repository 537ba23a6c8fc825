"""One retraining: the log's rows, a challenger fitted on them, the champion beside it, and the artefact that ships."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mitra.errors import MitraError
from mitra.event_time import time_text
from mitra.log.names import LABELS
from mitra.log.training_set import DECISIONS, write_training_set
from mitra.monitoring.settings import Monitoring
from mitra.pipeline import Pipeline
from mitra.retrain.settings import Retraining

if TYPE_CHECKING:
    from models.dataset import Dataset
    from models.labels import LabelSource
    from models.model import Model
    from models.retraining import Judged
    from models.training import Order, Progress


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a retraining: how both did, and where the artefact lies that ships; None where the champion stays."""

    judged: "Judged"
    artefact: Path | None
    reference: str | None
    champion: str | None
    test: str


def settings_of(pipeline: Pipeline) -> Retraining:
    """Return how the pipeline's models are retrained. Raises MitraError where it doesn't say."""
    if pipeline.retraining is None:
        raise MitraError(f"pipeline {pipeline.name} has no section retrain; add `retrain: {{}}` for what is usual")
    return pipeline.retraining


def retrain_once(
    pipeline: Pipeline,
    log: Path,
    *,
    as_of_ms: int,
    champion: "Model | None",
    why: str,
    labels: tuple[Path, ...] = (),
    label_delay_ms: int | None = None,
    threads: int | None = None,
    progress: "Progress | None" = None,
) -> Came:
    """Train on what the log holds as of a time, judge, and write the artefact if it is better.

    `threads` work on it, None for one a core.
    Raises MitraError where the log holds too little, or the artefact's folder is there already.
    """
    from models.artefact import check_replaceable, write_artefact  # noqa: PLC0415 - xgboost is loaded where it trains
    from models.retraining import retrain, spans  # noqa: PLC0415
    from models.training import Order  # noqa: PLC0415
    from models.windows import show_time  # noqa: PLC0415

    settings = settings_of(pipeline)
    told = pipeline.labels
    if told is None:
        raise MitraError(f"pipeline {pipeline.name} has no section labels, so what is a fraud is not known; add it")
    monitoring = pipeline.monitoring or Monitoring(matured_ms=told.after_ms)
    train_span, test = spans(
        as_of_ms, monitoring.matured_ms, settings.train_ms, settings.test_ms,
        None if champion is None else champion.manifest.training,
    )  # fmt: skip
    version = f"{show_time(test.to_ms - 1)[:10]}-{as_of_ms // 1000:x}"
    target = settings.models / f"{pipeline.name}-{version}"
    check_replaceable(target, overwrite=False)
    order = Order(
        pipeline=pipeline.name,
        name=pipeline.name,
        version=version,
        train=train_span,
        test=test,
        parameters={} if champion is None else _same_parameters(champion),
        label_delay_ms=told.after_ms if label_delay_ms is None else label_delay_ms,
        window_ms=monitoring.window_ms,
        threads=threads,
    )
    with tempfile.TemporaryDirectory(prefix="mitra-retrain-") as name:
        rows = Path(name)
        write_training_set(
            pipeline, log, rows, from_ms=train_span.from_ms, to_ms=test.to_ms, known_by_ms=as_of_ms, labels=labels,
            label_delay_ms=label_delay_ms, threads=threads,
        )  # fmt: skip
        inputs = list(pipeline.model.inputs) or None if pipeline.model else None
        data = _read(pipeline, rows, order, inputs)
        held = None if champion is None else _read(pipeline, rows, order, list(champion.features))
        found = retrain(data, order, champion, held, margin=settings.margin, as_of_ms=as_of_ms, progress=progress)
    reference = None if champion is None else champion.reference
    if found.shipped is None:
        return Came(found.judged, None, None, reference, str(test))
    manifest = found.shipped.manifest
    about: dict[str, Any] = {
        "why": why,
        "as_of": time_text(as_of_ms),
        "log": str(log),
        "challenger": found.judged.challenger,
        "champion": reference,
        "champion_measured": found.judged.champion,
        "margin": settings.margin,
    }
    manifest = msgspec.structs.replace(manifest, metrics={**manifest.metrics, "retraining": about})
    path = write_artefact(target, manifest, found.shipped.model)
    return Came(found.judged, path, f"{manifest.name}@{manifest.version}", reference, str(test))


def _same_parameters(champion: "Model") -> dict[str, str | int | float | bool | None]:
    """Return the champion's parameters, so that what is compared is what was learnt; none of an estimator's, which are others."""
    return dict(champion.manifest.parameters) if "xgboost" in champion.manifest.libraries else {}


def _read(pipeline: Pipeline, rows: Path, order: "Order", features: list[str] | None) -> "Dataset":
    from models.dataset import read_dataset  # noqa: PLC0415
    from models.windows import Span  # noqa: PLC0415

    assert order.test is not None, "retraining has a test window"
    span = Span(order.train.from_ms, order.test.to_ms)
    return read_dataset(
        rows / DECISIONS, _labels(pipeline, rows), features, span, among=(*pipeline.features, *pipeline.micro_models),
        threads=order.threads,
    )  # fmt: skip


def _labels(pipeline: Pipeline, rows: Path) -> "LabelSource":
    from models.labels import LabelSource  # noqa: PLC0415

    told = pipeline.labels
    assert told is not None, "checked before"
    return LabelSource(
        path=rows / LABELS,
        id=told.id,
        label=told.label,
        known_at=told.known_at,
        known_at_format=told.known_at_format,
        after_ms=told.after_ms,
        absent_is_legit=told.absent_is == "legit",
    )
