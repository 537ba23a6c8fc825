"""Gradient-boosted trees as a model scores with them: by the kernel where it is exact, else by XGBoost."""

from collections.abc import Sequence

import numpy as np
import xgboost
from numpy.typing import NDArray

from models.forest import MOST_ROWS, Forest
from models.matrix import Matrix, bounded


class Boosted:
    """The trees of one artefact. One thread scores: parallelism is the job's, a model that starts threads takes others'."""

    def __init__(self, booster: xgboost.Booster, forest: Forest | None) -> None:
        """Take the trees, and their kernel where there is an exact one."""
        booster.set_param({"nthread": 1})
        self._booster = booster
        self.forest = forest

    def raw_scores(self, x: Matrix) -> NDArray[np.float64]:
        """Return the probability of fraud, shape (n,)."""
        if self.forest is not None and len(x) <= MOST_ROWS:
            return self.forest.scores(x)
        scores = self._booster.inplace_predict(bounded(x), validate_features=False)
        return np.asarray(scores, dtype=np.float64)

    def contributions(self, x: Matrix) -> NDArray[np.float64]:
        """Return TreeSHAP values without the bias, shape (n, features)."""
        rows = xgboost.DMatrix(bounded(x), nthread=1)
        parts = self._booster.predict(rows, pred_contribs=True, validate_features=False)
        return np.asarray(parts, dtype=np.float64)[:, :-1]

    def gains(self, features: Sequence[str]) -> dict[str, float]:
        """Return what the splits on each feature gain in all trees together; 0 for one that no tree asks."""
        found: dict[str, float] = self._booster.get_score(importance_type="total_gain")
        # A booster that was saved without names calls its features by their places.
        return {name: float(found.get(name, found.get(f"f{place}", 0.0))) for place, name in enumerate(features)}
