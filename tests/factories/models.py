"""Small trained models for tests: a second's work or less, the same trees every time."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from models.artefact import load_model, write_artefact
from models.calibration import Uncalibrated
from models.manifest import Manifest, ModelFeature, Thresholds
from models.model import Model


def tiny_model(
    folder: Path,
    features: Sequence[str],
    *,
    name: str = "tiny",
    version: str = "1",
    trees: int = 10,
    max_depth: int = 3,
    seed: int = 0,
    thresholds: Thresholds = Thresholds(review=0.5, block=0.9),  # noqa: B008 - frozen
) -> Model:
    """Write and load a model over `features` in `folder`/`name`-`version`: the first feature raises its score.

    It is fitted on seeded normal values, about 10 % of them frauds, one value in twenty missing.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2_000, len(features))).astype(np.float32)
    labels = x[:, 0] + 0.3 * rng.normal(size=len(x)) > 1.3
    x[rng.random(x.shape) < 0.05] = np.nan
    parameters: dict[str, str | int | float | bool | None] = {
        "objective": "binary:logistic",
        "tree_method": "exact",
        "max_depth": max_depth,
        "seed": seed,
        "nthread": 1,
    }
    rows = xgboost.DMatrix(x, labels, feature_names=list(features), nthread=1)
    booster = xgboost.train(parameters, rows, num_boost_round=trees)
    manifest = Manifest(
        name=name,
        version=version,
        files=(),
        features=tuple(ModelFeature(feature, "number") for feature in features),
        calibration=Uncalibrated(),
        thresholds=thresholds,
        parameters=parameters,
    )
    path = write_artefact(folder / f"{name}-{version}", manifest, bytes(booster.save_raw("ubj")))
    return load_model(path)


def put_of(folder: Path) -> dict[str, Any]:
    """Return what a model.put says of the artefact in a folder."""
    content = (folder / "manifest.json").read_bytes()
    manifest = json.loads(content)
    return {
        "name": manifest["name"],
        "version": manifest["version"],
        "uri": str(folder),
        "sha256": hashlib.sha256(content).hexdigest(),
        "features": [feature["name"] for feature in manifest["features"]],
    }
