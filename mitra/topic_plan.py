"""The topics a pipeline's job reads and writes, and what each of them should be.

Topics of parts that a pipeline doesn't use are not asked for.
"""

from dataclasses import dataclass, field
from typing import Literal

from mitra.pipeline import DAY_MS, Pipeline
from mitra.schema import MATCH

Role = Literal[
    "events",
    "labels",
    "decisions",
    "dead letters",
    "outcomes",
    "alerts",
    "probes",
    "probe results",
    "control",
    "control acks",
    "monitor",
    "edges",
    "features",
]

FOR_EVER = -1
"""A retention that never ends."""


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """What a topic should be.

    `partitions` is what a new one gets, `least_partitions` what an existing one must have. `retention_ms` likewise is
    for a new topic; an existing one must keep its records for `least_retention_ms`; either may be FOR_EVER.
    `most_partitions`: such a bound, for a topic in which the order of all records counts.
    """

    name: str
    role: Role
    partitions: int
    least_partitions: int
    replication: int
    retention_ms: int
    least_retention_ms: int
    written_by: Literal["you", "Mitra"]
    most_partitions: int | None = None

    @property
    def config(self) -> dict[str, str]:
        """The topic's settings. Never compacted: each record counts, not the last of a key."""
        config = {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}
        # Brokers may cut by size as well.
        return config | {"retention.bytes": "-1"} if self.retention_ms == FOR_EVER else config


@dataclass(frozen=True, slots=True)
class TopicState:
    """What a topic is."""

    partitions: int
    replication: int
    config: dict[str, str] = field(default_factory=dict)


def needed_topics(pipeline: Pipeline) -> tuple[TopicPlan, ...]:
    """Return the plan of every topic that the pipeline's job needs, those that others write first."""
    shape, lanes, topics = pipeline.kafka_shape, pipeline.job.lanes, pipeline.topics

    def plan(name: str, role: Role, partitions: int, least: int, days: int, least_days: int, by: str) -> TopicPlan:
        written_by: Literal["you", "Mitra"] = "you" if by == "you" else "Mitra"
        return TopicPlan(
            name, role, max(partitions, least), least, shape.replication, days * DAY_MS, least_days * DAY_MS, written_by
        )

    # Fewer partitions than lanes leave lanes without work.
    plans = [
        plan(event.topic, "events", shape.partitions, lanes, 7, 0, "Mitra" if event.name == MATCH else "you")
        for event in pipeline.events
    ]
    if pipeline.labels is not None:
        plans.append(plan(pipeline.labels.topic, "labels", shape.partitions, 1, 30, 0, "you"))
    plans.append(plan(topics.decisions, "decisions", shape.partitions, 1, 7, 1, "Mitra"))
    plans.append(plan(topics.dead_letters, "dead letters", 1, 1, 30, 1, "Mitra"))
    if pipeline.labels is not None:
        # The job reads it back: it must outlast any outage from which the job resumes.
        horizon_days = -(-pipeline.labels.horizon_ms // DAY_MS)
        plans.append(plan(topics.outcomes, "outcomes", shape.partitions, 1, max(30, horizon_days), 7, "Mitra"))
    plans.append(plan(topics.alerts, "alerts", shape.partitions, 1, 30, 1, "Mitra"))
    if pipeline.graph is not None:
        # The graph service is rebuilt from it, where it has no snapshot.
        plans.append(plan(topics.edges, "edges", shape.partitions, 1, 366, 7, "Mitra"))
    # The log of all changes is what is live, in one order: it is never cut.
    control = (1, 1, shape.replication, FOR_EVER, FOR_EVER)
    plans.append(TopicPlan(topics.control, "control", *control, "you", most_partitions=1))
    plans.append(plan(topics.control_acks, "control acks", 1, 1, 30, 1, "Mitra"))
    plans.append(plan(topics.monitor, "monitor", 1, 1, 30, 1, "Mitra"))
    if pipeline.told_features:
        plans.append(plan(topics.features, "features", shape.partitions, 1, 7, 0, "Mitra"))
    plans.append(plan(topics.probes, "probes", 1, 1, 1, 0, "Mitra"))
    plans.append(plan(topics.probe_results, "probe results", 1, 1, 1, 0, "Mitra"))
    return tuple(plans)


def differences(plan: TopicPlan, state: TopicState) -> list[str]:
    """Return in words what is not as it must be; empty if the topic will do."""
    found = []
    if state.partitions < plan.least_partitions:
        found.append(f"partitions={state.partitions}, should be {plan.least_partitions} or more")
    if plan.most_partitions is not None and state.partitions > plan.most_partitions:
        found.append(
            f"partitions={state.partitions}, should be {plan.most_partitions}: a new topic must take its place"
        )
    policy = state.config.get("cleanup.policy", "delete")
    if "compact" in policy:
        found.append(f"cleanup.policy={policy}, should be delete: compaction would drop records")
    retention_ms = int(state.config.get("retention.ms", "-1"))
    if plan.least_retention_ms == FOR_EVER and retention_ms >= 0:
        found.append(f"retention.ms={retention_ms}, should be -1: the log is never cut")
    elif 0 <= retention_ms < plan.least_retention_ms:
        found.append(f"retention.ms={retention_ms}, should be {plan.least_retention_ms} or more, or -1")
    retention_bytes = int(state.config.get("retention.bytes", "-1"))
    if plan.least_retention_ms == FOR_EVER and retention_bytes >= 0:
        found.append(f"retention.bytes={retention_bytes}, should be -1: the log is never cut")
    return found
