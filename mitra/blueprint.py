"""Everything a stage is compiled from: the pipeline and the model's bytes, carried into the job as one small object.

A TaskManager doesn't have the files of the machine that submitted the job, so the model travels as bytes.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mitra.errors import MitraError
from mitra.history import Layout, Plan
from mitra.pipeline import Pipeline

if TYPE_CHECKING:
    from control_stream import LiveSet
    from mitra.log.columns import LogColumns
    from mitra.micro import Micro
    from models.model import Model
    from rules import CompiledFeatures, ExpressionSchema
    from rules.plan import Aggregate, ValueType


def model_files(pipeline: Pipeline, model: Path | None = None) -> dict[str, bytes]:
    """Return the files of the model that `model` or the pipeline names, by name; none if neither names one.

    Raises MitraError for a folder that holds no model: without its files a job would score nothing and not say so.
    """
    path = model or (pipeline.model.path if pipeline.model else None)
    return {} if path is None else _files(path, "model")


def _files(path: Path, what: str) -> dict[str, bytes]:
    if not (path / "manifest.json").is_file():
        found = "is a folder without a manifest.json" if path.is_dir() else "is no folder"
        raise MitraError(f"{what}={path} {found}; name the folder that `mitra train` wrote")
    return {entry.name: entry.read_bytes() for entry in sorted(path.iterdir()) if entry.is_file()}


def _loaded(files: dict[str, bytes], types: "Mapping[str, ValueType]") -> "Model":
    """Return the model in these files. Raises MitraError for one that can't be loaded, or reads what `types` doesn't have."""
    from models.artefact import load_model  # noqa: PLC0415 - xgboost is loaded where it scores

    with tempfile.TemporaryDirectory(prefix="mitra-model-") as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        model = load_model(Path(folder))
    model.check_features(types)
    return model


@dataclass(frozen=True)
class Blueprint:
    """A pipeline with its model's files by name; no files means no model."""

    pipeline: Pipeline
    model_files: dict[str, bytes] = field(default_factory=dict)
    control_end: int = 0
    """The end of the control topic when the job was submitted: no payment is judged before it is active up to there."""
    control_first: int = 0
    """The first offset that the control topic had then."""
    live: "LiveSet | None" = None
    """What is live from the start, under revision 0: a replay's rules. None for a job, which takes them from the control topic."""

    @classmethod
    def of(cls, pipeline: Pipeline, model: Path | None = None) -> "Blueprint":
        """Read the model that `model` or the pipeline names, and check that the pipeline has what it reads.

        Raises MitraError for a model that can't be loaded or wants other features.
        """
        blueprint = cls(pipeline, model_files(pipeline, model))
        blueprint.load_model()
        blueprint.load_micro()
        return blueprint

    def untold(self) -> "Blueprint":
        """Return the same for a replay, which tells no features: it runs far faster than the clock that they are told by."""
        return replace(self, pipeline=replace(self.pipeline, told_features=()))

    def __getstate__(self) -> dict[str, object]:
        """Leave out what is compiled: code isn't pickled, it is compiled again where it runs."""
        return {
            "pipeline": self.pipeline,
            "model_files": self.model_files,
            "control_end": self.control_end,
            "control_first": self.control_first,
            "live": self.live,
            "micro_files": self.micro_files,
        }

    @cached_property
    def micro_files(self) -> dict[str, dict[str, bytes]]:
        """The files of the micro models; read where the pipeline's folder is, and carried along."""
        return {name: _files(path, f"micro_models.{name}") for name, path in self.pipeline.micro_models.items()}

    @cached_property
    def source_topics(self) -> tuple[str, ...]:
        """The topics the job reads, in the order that messages refer to them by."""
        pipeline = self.pipeline
        topics = [*(event.topic for event in pipeline.events), pipeline.topics.probes]
        if pipeline.labels is not None:
            topics += [pipeline.labels.topic, pipeline.topics.outcomes]
        return tuple(topics)

    @cached_property
    def schema(self) -> "ExpressionSchema":
        """What expressions are compiled against."""
        return self.pipeline.expression_schema()

    @cached_property
    def compiled(self) -> "CompiledFeatures":
        """The pipeline's features, compiled, and behind them the scores of its micro models."""
        return self.compile(self.pipeline.features)

    def compile(self, features: "Mapping[str, str]") -> "CompiledFeatures":
        """Return features compiled, and behind them the scores of the pipeline's micro models."""
        from mitra.micro import with_scores  # noqa: PLC0415 - the compiler is loaded where it is used
        from rules import compile_features  # noqa: PLC0415

        return with_scores(compile_features(features, self.schema), tuple(self.pipeline.micro_models))

    @cached_property
    def layout(self) -> Layout:
        """The columns that histories keep of an event."""
        return Layout.of(self.pipeline.events)

    @cached_property
    def log_columns(self) -> "LogColumns | None":
        """The columns of a decision in the log; None where there is no log."""
        if self.pipeline.log is None:
            return None
        from mitra.log.columns import LogColumns  # noqa: PLC0415 - it needs what decides, which is built from this

        return LogColumns(self.compiled.types)

    def plan_of(self, aggregates: "Sequence[Aggregate]") -> Plan:
        """Return how histories compute some aggregates."""
        pipeline = self.pipeline
        return Plan(aggregates, self.layout, pipeline.entities, pipeline.labels, pipeline.history)

    def load_model(self) -> "Model | None":
        """Load the model, verify its bytes and its features; None where there is none."""
        if not self.model_files:
            return None
        model = _loaded(self.model_files, self.compiled.types)
        choice = self.pipeline.model
        return model.with_thresholds(choice.review, choice.block) if choice else model

    def load_micro(self) -> "Micro | None":
        """Load the micro models and put them in order; None where there are none. Raises MitraError for one that can't be used."""
        if not self.micro_files:
            return None
        from mitra.micro import Micro  # noqa: PLC0415 - xgboost is loaded where it scores

        return Micro({name: _loaded(files, self.compiled.types) for name, files in self.micro_files.items()})
