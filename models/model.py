"""A model as the job scores with it: whole batches in, raw and calibrated scores, outcomes and contributions out."""

import copy
import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.manifest import Manifest, Thresholds
from models.matrix import Matrix
from models.reasons import Reason, top_reasons
from rules.plan import ValueType

if TYPE_CHECKING:
    from models.boosted import Boosted
    from models.estimator import Estimator

Floats = NDArray[np.float64]

# Places in the decision record's outcomes: allow, review, block.
REVIEW, BLOCK = 1, 2


class Model:
    """A checked artefact in memory. Scores depend on the row alone, never on the batch it comes in."""

    def __init__(self, manifest: Manifest, scorer: "Boosted | Estimator", digest: str) -> None:
        """Take a manifest, what scores, and `digest`, the sha256 of the manifest's bytes."""
        self.manifest = manifest
        self.digest = digest
        self.reference = f"{manifest.name}@{manifest.version}"
        self.features = tuple(feature.name for feature in manifest.features)
        self.thresholds: Thresholds = manifest.thresholds
        self.scorer = scorer

    def check_features(self, available: Mapping[str, ValueType]) -> None:
        """Raise `ModelError` with every feature that `available` (name → type) lacks or holds as text.

        Numbers, integers and booleans stand in for one another: a model reads all of them as numbers.
        """
        faults = [fault for name in self.features if (fault := _feature_fault(name, available))]
        if faults:
            count = f"{len(faults)} feature{'s' if len(faults) != 1 else ''}"
            msg = f"model {self.reference} asks for {count} that the pipeline doesn't have:\n  " + "\n  ".join(faults)
            raise ModelError(msg)

    def raw_scores(self, x: Matrix) -> Floats:
        """Return the probability of fraud before calibration, shape (n,), for rows of shape (n, features)."""
        self._check_shape(x)
        if not len(x):
            return np.empty(0)
        return self.scorer.raw_scores(x)

    def calibrate(self, raw: Floats) -> Floats:
        """Return the calibrated scores, shape (n,): the share of frauds among payments with that raw score."""
        return self.manifest.calibration.apply(raw)

    def outcomes(self, scores: Floats) -> NDArray[np.int8]:
        """Return what the thresholds make of calibrated scores, shape (n,): places in allow, review, block.

        A score on a threshold has reached it; a block threshold below the review threshold still blocks.
        """
        review, block = self.thresholds.review, self.thresholds.block
        places = np.zeros(len(scores), dtype=np.int8)
        if review is not None:
            places[scores >= review] = REVIEW
        if block is not None:
            places[scores >= block] = BLOCK
        return places

    def contributions(self, x: Matrix) -> Floats:
        """Return how much each feature moved each row's raw score, in log-odds, shape (n, features).

        TreeSHAP values without the bias: some hundred times the price of a score, so only for flagged rows. Zeros for an
        estimator that isn't trees.
        """
        self._check_shape(x)
        if not len(x):
            return np.empty((0, len(self.features)))
        return self.scorer.contributions(x)

    def explain(self, x: Matrix, k: int = 3) -> list[list[Reason]]:
        """Return the top `k` contributions of each row of `x`, in words with the values."""
        types = tuple(feature.type for feature in self.manifest.features)
        parts = self.contributions(x)
        return [top_reasons(self.features, types, row, part, k) for row, part in zip(x, parts, strict=True)]

    def gains(self) -> dict[str, float]:
        """Return what the splits on each feature gain in all trees together, in training's loss; 0 for one no tree asks."""
        return self.scorer.gains(self.features)

    def with_thresholds(self, review: float | None, block: float | None) -> "Model":
        """Return this model with other thresholds, those of the manifest where None is given."""
        own = self.thresholds
        model = copy.copy(self)
        model.thresholds = Thresholds(own.review if review is None else review, own.block if block is None else block)
        return model

    def warm_up(self) -> None:
        """Score and explain one row without values, so that the first payment doesn't pay for lazy set-up."""
        empty = np.full((1, len(self.features)), np.nan, dtype=np.float32)
        self.calibrate(self.raw_scores(empty))
        self.contributions(empty)

    def _check_shape(self, x: Matrix) -> None:
        if x.ndim != 2 or x.shape[1] != len(self.features) or x.dtype != np.float32:
            msg = (
                f"model {self.reference} reads float32 rows of {len(self.features)} features;"
                f" got shape={x.shape} of {x.dtype}; make them with models.matrix.as_matrix"
            )
            raise ModelError(msg)


def _feature_fault(name: str, available: Mapping[str, ValueType]) -> str | None:
    found = available.get(name)
    if found is None:
        near = difflib.get_close_matches(name, available, n=1)
        return f"{name}: not defined" + (f"; did you mean {near[0]}?" if near else "")
    return f"{name}: is a {found}; a model reads numbers, integers and booleans" if found == "string" else None
