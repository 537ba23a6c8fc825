"""The model that the measurements score with: 200 trees over the 120 features, fitted on random payments.

It is fitted once and kept beside Mitra's other fetched files; its numbers mean nothing, its price is a real model's.
"""

import hashlib
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.wired import DAY_MS, Stages, batches
from bench.workload import Payments, features, write_pipeline
from mitra.blueprint import Blueprint
from mitra.local.files import home
from mitra.pipeline import load_pipeline
from mitra.revision import Revision
from models.artefact import write_artefact
from models.dataset import Dataset
from models.manifest import ModelFeature
from models.matrix import as_matrix
from models.thresholds import Targets
from models.training import Order, train
from models.windows import Span

TREES, DEPTH = 200, 6
FLAGGED_SHARE = 0.005
"""One payment in 200 is flagged and explained: fraud is below 0.5 %, and a desk can look at no more."""
_PART = 25
"""Fitted on a twenty-fifth of the world, so that few payments give entities as many events as the measured job's have."""
_PAST, _NOW = 40_000, 12_000
"""Payments of the past 30 days, as histories are filled, and of the five minutes behind them, as they are measured."""
_NOW_S = 300
_FRAUD = 0.02


def scorer(trees: int = TREES) -> Path:
    """Return the model's folder, fitted now if it isn't there."""
    recipe = f"3 {trees} {DEPTH} {FLAGGED_SHARE} {_PART} {_PAST} {_NOW} {_NOW_S} {_FRAUD} {sorted(features().items())}"
    folder = home() / "bench" / f"model-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not (folder / "manifest.json").exists():
        print(f"fitting {trees} trees …", flush=True)
        _fit(folder, trees)
    return folder


def _fit(folder: Path, trees: int) -> None:
    now_ms = int(time.time() * 1000)
    start_ms = now_ms - 30 * DAY_MS
    with TemporaryDirectory(prefix="mitra-bench-") as temporary:
        blueprint = Blueprint.of(load_pipeline(write_pipeline(Path(temporary) / "pipeline.yaml", {"buckets": 1})))
        stages = Stages(blueprint)
        turns = (
            batches(Payments.draw("past", _PAST, 1, part=_PART), 500, start_ms, 30 * DAY_MS / _PAST),
            batches(Payments.draw("now", _NOW, 2, part=_PART), 500, now_ms, _NOW_S * 1000 / _NOW),
        )
        rows = [
            decided.features.numbers
            for turn in turns
            for values in turn
            for out in stages.process(values)
            for decided in out.decided
            if decided.features is not None
        ]
    # The latter half of the past and all of the now: what entities look like when they are measured.
    x = as_matrix(np.vstack(rows)[_PAST // 2 :])
    times = np.arange(len(x), dtype=np.int64) * 1000
    mixed = np.random.default_rng(3).permutation(len(x))
    names = [ModelFeature(name, kind) for name, kind in Revision(blueprint).feature_plan.types.items()]
    middle = len(x) * 800
    order = Order(
        "bench", "bench" if trees == TREES else f"bench-{trees}", "1", Span(0, middle), Span(middle, len(x) * 1000),
        parameters={"n_estimators": trees, "max_depth": DEPTH},
        targets=Targets(flagged_share=FLAGGED_SHARE, block_precision=1.0),
        folds=2,
    )  # fmt: skip
    trained = train(_labelled(x[mixed], names, times), order)
    write_artefact(folder, trained.manifest, trained.model, overwrite=True)


def _labelled(x: np.ndarray, names: list[ModelFeature], times: np.ndarray) -> Dataset:
    """Call those payments fraud whose weighted mean amounts and a good deal of chance come highest.

    Counts and sums have no say: they grow for as long as a measurement lasts, and with them the share that is flagged, which is dear.
    """
    rng = np.random.default_rng(2)
    spread = np.nan_to_num((x - np.nanmean(x, axis=0)) / (np.nanstd(x, axis=0) + 1e-9)).clip(-4, 4)
    weights = rng.normal(0, 1, x.shape[1]) * ["_mean_" in feature.name for feature in names]
    risk = spread @ weights + rng.normal(0, 1.4, len(x))
    labels = risk > np.quantile(risk, 1 - _FRAUD)
    return Dataset(tuple(names), x, times, labels, times, None, 0)
