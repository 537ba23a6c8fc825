"""Writes the golden artefact of the present format; run once for each new format, and never again for an old one.

`python -m tests.golden.models.make tests/golden/models/format-N`
"""

import json
import sys
from pathlib import Path

import numpy as np
import xgboost

from models.artefact import load_model, write_artefact
from models.calibration import Isotonic
from models.manifest import Baseline, Distribution, Manifest, ModelFeature, Thresholds, Training, Window
from models.matrix import as_matrix

ROWS = [[0.0, 1.0, None], [250.5, None, True], [None, None, None], [-3.0, 12.0, False], [1e300, 4.0, True]]


def main(folder: Path) -> None:
    """Fit, write, and note what the rows score."""
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.lognormal(3, 1, 500), rng.integers(0, 9, 500), rng.integers(0, 2, 500)])
    labels = x[:, 0] + 20 * x[:, 2] > 60
    names = ["amount", "count_1h", "is_night"]
    parameters = {"objective": "binary:logistic", "tree_method": "exact", "max_depth": 3, "nthread": 1}
    booster = xgboost.train(parameters, xgboost.DMatrix(x, labels, feature_names=names), 5)
    spread = Distribution(deciles=tuple(float(n) for n in range(11)), shares=(0.1,) * 10, missing=0.25)
    manifest = Manifest(
        name="golden",
        version="1.0",
        files=(),
        features=tuple(map(ModelFeature, names, ("number", "integer", "boolean"))),
        calibration=Isotonic(x=(0.1, 0.5, 0.9), y=(0.0, 0.2, 1.0)),
        thresholds=Thresholds(review=0.2, block=0.9),
        training=Training("shop", Window(0, 86_400_000, 500, 50), Window(172_800_000, 259_200_000, 100, 9)),
        baseline=Baseline(features=dict.fromkeys(names, spread), raw_score=spread, score=spread),
        parameters={"max_depth": 3, "learning_rate": 0.3, "tree_method": "exact", "monotone_constraints": None},
        metrics={"test": {"auc_roc": 0.9, "average_precision": None, "rows": 100}},
        libraries={"xgboost": xgboost.__version__},
    )
    write_artefact(folder / "artefact", manifest, bytes(booster.save_raw("ubj")))
    model = load_model(folder / "artefact")
    matrix = as_matrix(ROWS)
    raw = model.raw_scores(matrix)
    expected = {
        "rows": ROWS,
        "raw_scores": raw.tolist(),
        "scores": model.calibrate(raw).tolist(),
        "outcomes": model.outcomes(model.calibrate(raw)).tolist(),
        "reasons": model.explain(matrix),
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
