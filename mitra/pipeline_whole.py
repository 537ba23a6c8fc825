"""A pipeline checked as a whole: the file, the texts of its features, its model. What `mitra check` tells."""

from pathlib import Path
from typing import TYPE_CHECKING

from mitra.errors import MitraError, Problem, ProblemsError
from mitra.pipeline import Pipeline, load_pipeline
from mitra.pipeline_check import PipelineProblemsError
from mitra.pipeline_expressions import compile_checked

if TYPE_CHECKING:
    from rules import CompiledFeatures


def check_whole(path: str | Path) -> tuple[Pipeline | None, list[Problem]]:
    """Return the pipeline, None where the file itself has mistakes, and every problem of file, features and model.

    A file with mistakes has its features checked all the same, unless the mistakes are in what features speak of.
    """
    try:
        pipeline = load_pipeline(path)
    except PipelineProblemsError as error:
        if not error.has_sound("events", "entities", "labels", "history"):
            return None, error.problems
        told = {problem.path for problem in error.problems}
        return None, [*error.problems, *(one for one in compile_checked(error.pipeline)[1] if one.path not in told)]
    except ProblemsError as error:
        return None, error.problems
    compiled, problems = compile_checked(pipeline)
    if compiled is not None:
        problems += _model_problems(pipeline, compiled)
    return pipeline, problems


def _model_problems(pipeline: Pipeline, compiled: "CompiledFeatures") -> list[Problem]:
    """Return why the model that the pipeline names can't be used."""
    if pipeline.model is None or pipeline.model.path is None:
        return []
    path = pipeline.model.path
    if not path.is_dir():
        return [Problem("model.path", f"there is no folder {path}", "mitra train writes one")]
    from models.artefact import load_model  # noqa: PLC0415 - the model library takes a second to load

    try:
        load_model(path).check_features(compiled.types)
    except MitraError as error:
        return [Problem("model.path", str(error))]
    return []
