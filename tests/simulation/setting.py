"""What all runs of a process share: the pipeline, its compiled stages, and a scorer that needs no trees."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from control_stream.live_set import LiveSet
from mitra.blueprint import Blueprint
from mitra.graph.cache import Answer
from mitra.graph.lookup import Lookup
from mitra.graph.questions import Question
from mitra.graph.settings import GraphNode, GraphSettings, Transport
from mitra.history import Plan, Store
from mitra.pipeline import Pipeline, load_pipeline
from mitra.revision import Revision, Revisions
from mitra.stages import Clock
from mitra.stages.decide import DecideStage
from mitra.stages.govern import GovernStage
from mitra.stages.history import HistoryStage
from mitra.stages.intake import Intake
from tests.simulation.world import FakeClock

SCORED = ("customer_sum_1d", "terminal_risk_3d", "customer_events_6h")
REVIEW, BLOCK = 0.5, 0.8
DEADLINE_MS = 2_000
"""Some hundred steps: two thirds of what the graph is asked are answered in time."""


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
    """A blueprint whose model is the linear scorer; plans are made once for all runs."""

    def load_model(self) -> Any:
        return LinearScorer()

    def plan_of(self, aggregates: Sequence[Any]) -> Plan:
        key = tuple(one.key for one in aggregates)
        if key not in _plans:
            _plans[key] = super().plan_of(aggregates)
        return _plans[key]


_plans: dict[tuple[Any, ...], Plan] = {}
_compiled: dict[tuple[bool, bytes], dict[str, Any]] = {}
_COMPILED_MOST = 3_000


class SharedRevisions(Revisions):
    """Revisions of which all subtasks and runs share what is compiled: most of a run's time would go there."""

    def _revision(self, number: int, live: LiveSet) -> Revision:
        revision = Revision(self._blueprint, number, live)
        key = self._blueprint.pipeline.graph is not None, live.encode()
        compiled = _compiled.get(key)
        if compiled is None:
            if len(_compiled) >= _COMPILED_MOST:
                _compiled.clear()
            names = ("compiled", "rules", "aggregates", "plan", "fingerprint", "feature_plan")
            compiled = _compiled[key] = {name: getattr(revision, name) for name in names}
        vars(revision).update(compiled)
        return revision


@dataclass(frozen=True)
class Setting:
    """The compiled job of one cut; its stages read `clock`."""

    blueprint: Blueprint
    clock: FakeClock
    _intakes: dict[int, Intake] = field(default_factory=dict)

    @property
    def pipeline(self) -> Pipeline:
        return self.blueprint.pipeline

    def consult(self, asked: bytes) -> list[tuple[int, bytes]]:
        """Return what the graph answers, by decide bucket."""
        settings = self.pipeline.graph
        assert settings is not None
        lookup = Lookup(settings, self.pipeline.job.buckets)
        lookup.client = Oracular(settings)  # type: ignore[assignment]
        try:
            lookup.look_up(asked).send(None)
        except StopIteration as done:
            return list(done.value)
        raise AssertionError

    def intake(self, control_end: int) -> Intake:
        """Return the stage. It keeps nothing of a run, so all runs share one."""
        found = self._intakes.get(control_end)
        if found is None:
            blueprint = replace(self.blueprint, control_end=control_end)
            found = self._intakes[control_end] = Intake(blueprint, self.clock)
        return found

    def history(self, cache_bytes: int, journal_events: int) -> HistoryStage:
        stage = HistoryStage(self.blueprint, cache_bytes, self.clock, journal_events=journal_events)
        stage._revisions = SharedRevisions(self.blueprint, self.pipeline.job.lanes)
        return stage

    def decide(self) -> DecideStage:
        stage = DecideStage(self.blueprint, self.clock)
        stage._revisions = SharedRevisions(self.blueprint, self.pipeline.job.buckets)
        stage._deciders.clear()
        return stage

    def govern(self, store: Store, clock: Clock) -> GovernStage:
        return GovernStage(self.blueprint, store, clock)


class Oracular:
    """A client of a graph that knows everything, and is silent about what is paid at some moments."""

    def __init__(self, settings: GraphSettings) -> None:
        self._columns = settings.columns

    async def ask(self, questions: Sequence[Question]) -> list[Answer | None]:
        return [None if is_silent(one.as_of_ms) else self._answer(one) for one in questions]

    def _answer(self, question: Question) -> Answer:
        degree = degree_of(question.id)
        values = np.array([degree if column.name == "degree" else np.nan for column in self._columns])
        return Answer(question.as_of_ms, values.tobytes(), bytes(len(values)))


def is_silent(time_ms: int) -> bool:
    """Tell whether the graph has no answer about what is paid at a time."""
    return time_ms % 7 == 0


def degree_of(customer: str) -> int:
    """Return the degree of a customer, and of anybody else."""
    return sum(customer.encode()) % 5


@cache
def setting(buckets: int, lanes: int, *, graph: bool = False) -> Setting:
    """Return the job cut into buckets and lanes."""
    pipeline = _graphed(_pipeline()) if graph else _pipeline()
    blueprint = ScoredBlueprint(replace(pipeline, job=replace(pipeline.job, buckets=buckets, lanes=lanes)))
    return Setting(blueprint, FakeClock())


def _graphed(pipeline: Pipeline) -> Pipeline:
    """Return the pipeline with a graph, and a feature of it."""
    nodes = GraphNode("customer", "customer_id", "customer"), GraphNode("device", "device_id", "device")
    graph = GraphSettings(Transport("nowhere:1"), nodes, (("customer", "device"),), (), deadline_ms=DEADLINE_MS)
    return replace(pipeline, graph=graph, features={**pipeline.features, "degree": 'graph("degree", by=customer)'})


@cache
def _pipeline() -> Pipeline:
    return load_pipeline(Path(__file__).with_name("pipeline.yaml"))
