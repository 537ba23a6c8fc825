"""What all runs of a process share: the pipeline, its compiled stages, and a scorer that needs no trees."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mitra.blueprint import Blueprint
from mitra.pipeline import Pipeline, load_pipeline
from mitra.stages.decide import DecideStage
from mitra.stages.history import HistoryStage
from mitra.stages.intake import Intake
from tests.simulation.world import FakeClock

SCORED = ("customer_sum_1d", "terminal_risk_3d", "customer_events_6h")
REVIEW, BLOCK = 0.5, 0.8


def score_of(values: Any) -> float:
    """Return what the scorer makes of the scored features, missing ones as None."""
    amount, risk, count = (0.0 if value is None else float(value) for value in values)
    return min(1.0, amount / 1000 + risk / 4 + count / 100)


class LinearScorer:
    """A model as decide sees it."""

    reference = "linear@1"
    features = SCORED

    def raw_scores(self, x: Any) -> Any:
        filled = np.nan_to_num(x.astype(np.float64))
        return np.minimum(1.0, filled[:, 0] / 1000 + filled[:, 1] / 4 + filled[:, 2] / 100)

    def calibrate(self, raw: Any) -> Any:
        return raw / 2 + 0.5 * (raw >= REVIEW)

    def outcomes(self, scores: Any) -> Any:
        return (scores >= REVIEW).astype(np.int64) + (scores >= BLOCK)

    def explain(self, x: Any) -> list[list[dict[str, Any]]]:
        return [[{"feature": SCORED[0], "value": float(row[0])}] for row in x]


class ScoredBlueprint(Blueprint):
    """A blueprint whose model is the linear scorer."""

    def load_model(self) -> Any:
        return LinearScorer()


@dataclass(frozen=True)
class Setting:
    """The compiled job of one cut; its stages read `clock`."""

    blueprint: Blueprint
    intake: Intake
    clock: FakeClock

    @property
    def pipeline(self) -> Pipeline:
        return self.blueprint.pipeline

    def history(self, cache_bytes: int) -> HistoryStage:
        return HistoryStage(self.blueprint, cache_bytes, self.clock)

    def decide(self) -> DecideStage:
        return DecideStage(self.blueprint, self.clock)


@cache
def setting(buckets: int, lanes: int) -> Setting:
    """Return the job cut into buckets and lanes. Intake keeps nothing of a run, so all runs share one."""
    pipeline = _pipeline()
    blueprint = ScoredBlueprint(replace(pipeline, job=replace(pipeline.job, buckets=buckets, lanes=lanes)))
    clock = FakeClock()
    return Setting(blueprint, Intake(blueprint, clock), clock)


@cache
def _pipeline() -> Pipeline:
    return load_pipeline(Path(__file__).with_name("pipeline.yaml"))
