"""The pipeline: everything a user says of a job in one YAML file, read and checked as a whole.

`load_pipeline` either returns a `Pipeline` in which every name refers to something, or raises one ProblemsError that lists
every mistake. The texts of features are kept as texts: `pipeline.expression_schema()` is what they are compiled against.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mitra.graph.settings import GraphSettings
from mitra.monitoring.settings import Monitoring
from mitra.retrain.settings import Retraining
from mitra.schema import EVENT_NAME, Entity, EventType, HistoryLimits, Labels, Limits

if TYPE_CHECKING:
    from control_stream import Context, Policy
    from rules.rule import Rule
    from rules.schema import ExpressionSchema

DAY_MS = 86_400_000

Delivery = Literal["at-least-once", "exactly-once"]
Start = Literal["earliest", "latest", "committed"]


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of the topics that the job writes or reads back; those of events and labels stand with them."""

    decisions: str
    dead_letters: str
    outcomes: str
    probes: str
    probe_results: str
    control: str
    control_acks: str
    alerts: str
    monitor: str
    features: str
    edges: str


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model that scores, if `path` names one, and what is done with its calibrated score.

    `inputs` are the features a model is trained on, in order. A score of `review` or more is reviewed, of `block` or
    more blocked; None leaves that to the thresholds in the model's own manifest. `events` are the decided types that models are
    asked of, those put at run time too; all, if it names none.
    """

    path: Path | None = None
    inputs: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    review: float | None = None
    block: float | None = None
    segments: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    """Review and block by segment, which is the value of the feature `segment_by`."""
    segment_by: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """How the job is cut and what it remembers.

    `buckets` cuts each stage's state. It is fixed for the life of the state and bounds the parallelism: a power of two.
    `lanes` is the parallelism of the source; a lane keeps the order of its Kafka partitions. `batch_ms` is how long records
    wait to share a call. `cache_mb`: how much of entities each history subtask keeps in memory between batches.
    `decision_memory_ms`: how long a duplicate is answered with the first decision.
    """

    buckets: int = 8
    lanes: int = 1
    batch_ms: int = 4
    cache_mb: int = 512
    decision_memory_ms: int = 7 * DAY_MS
    start: Start = "earliest"
    include_features: bool = False


@dataclass(frozen=True, slots=True)
class Log:
    """Where the log of decisions and records is kept: a URI that Flink has a file system for."""

    uri: str


@dataclass(frozen=True, slots=True)
class Cep:
    """Sequences that Flink CEP looks for, fixed when the job is submitted.

    Events that come up to `slack_ms` out of order still count. Matches go to `topic`, from which they enter histories.
    """

    patterns: tuple["Rule", ...]
    slack_ms: int
    topic: str

    @property
    def entities(self) -> tuple[tuple[str, str], ...]:
        """The patterns' names, each with its entity."""
        return tuple((rule.id, rule.pattern.by) for rule in self.patterns if rule.pattern is not None)


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """Who may change what, as its file says it: a TaskManager doesn't have the file."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class KafkaShape:
    """What `mitra topics --create` gives a new topic."""

    partitions: int = 4
    replication: int = 1


@dataclass(frozen=True)
class Pipeline:
    """A checked pipeline file. `directory` is the file's folder, which the paths in it start from."""

    name: str
    directory: Path
    bootstrap: str
    kafka_properties: dict[str, str]
    kafka_shape: KafkaShape
    topics: Topics
    events: tuple[EventType, ...]
    entities: tuple[Entity, ...]
    features: dict[str, str]
    model: ModelChoice | None
    labels: Labels | None
    zone: str
    delivery: Delivery
    history: HistoryLimits
    limits: Limits
    job: Job
    policy_file: PolicyFile | None = None
    control_begins_at: int = 0
    """The offset at which the control topic's log begins; what lies before is passed over."""
    told_features: tuple[str, ...] = ()
    """The features that are written to the features topic when they change."""
    rules_budget_us: int = 2_000
    """Microseconds of each transaction that rules may take by estimate: at 500 a second, one core."""
    cep: Cep | None = None
    log: Log | None = None
    monitoring: Monitoring | None = None
    retraining: Retraining | None = None
    graph: GraphSettings | None = None
    micro_models: Mapping[str, Path] = field(default_factory=dict)
    """The folders of models whose scores other models read, by the name under which they do."""

    @cached_property
    def decided(self) -> EventType:
        """The first event type that gets decisions. All that do have its fields, its id and its time (`share_fields`)."""
        return self.decided_events[0]

    @cached_property
    def decided_events(self) -> tuple[EventType, ...]:
        """The event types that get decisions."""
        return tuple(event for event in self.events if event.decided)

    def type_of(self, values: Sequence[object]) -> EventType:
        """Return the type of a decided event with these values."""
        if len(self.decided_events) == 1:
            return self.decided
        name = values[self.decided.index[EVENT_NAME]]
        return next(event for event in self.decided_events if event.name == name)

    @property
    def remembered_ms(self) -> int:
        """How long a decision is remembered: for duplicates, and for labels."""
        return max(self.job.decision_memory_ms, 0 if self.labels is None else self.labels.horizon_ms)

    @property
    def model_inputs(self) -> tuple[str, ...]:
        """The features a model is trained on, in order: those the file names, else all."""
        return self.model.inputs if self.model and self.model.inputs else (*self.features, *self.micro_models)

    def event(self, name: str) -> EventType | None:
        """Return the event type of that name."""
        return next((event for event in self.events if event.name == name), None)

    def with_bootstrap(self, bootstrap: str | None) -> "Pipeline":
        """Return this pipeline on another Kafka; itself where `bootstrap` is None."""
        return replace(self, bootstrap=bootstrap) if bootstrap else self

    def expression_schema(self) -> "ExpressionSchema":
        """Return what feature and rule texts are compiled against: fields, entities, label, zone and limits."""
        from mitra.pipeline_expressions import expression_schema  # noqa: PLC0415 - the compiler is loaded when needed

        return expression_schema(self)

    def policy(self) -> "Policy | None":
        """Return who may change what; None where changes aren't signed."""
        from control_stream import read_policy  # noqa: PLC0415 - the compiler is loaded when needed

        file = self.policy_file
        return None if file is None else read_policy(file.text, file.name, self.topics.control)

    def control_context(self, schema: "ExpressionSchema | None" = None) -> "Context":
        """Return what changes are checked against; `schema` is this pipeline's, where it is there already."""
        from control_stream import Context  # noqa: PLC0415 - the compiler is loaded when needed

        policy = self.policy()
        authorize = None if policy is None else policy.authorize
        return Context(
            schema or self.expression_schema(),
            self.features,
            budget_us=self.rules_budget_us,
            authorize=authorize,
            scores=frozenset(self.micro_models),
        )


def load_pipeline(path: str | Path, bootstrap: str | None = None) -> Pipeline:
    """Read and check a pipeline file; `bootstrap` stands in for the Kafka address in it.

    Raises ProblemsError with every mistake in the file, each with its path, line, what was found and what is allowed.
    """
    from mitra.pipeline_check import read_pipeline  # noqa: PLC0415 - it needs the classes above

    return read_pipeline(Path(path)).with_bootstrap(bootstrap)
