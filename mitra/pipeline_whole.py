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

    A file with mistakes has its features and patterns checked all the same, unless the mistakes are in what these speak of.
    """
    try:
        pipeline = load_pipeline(path)
    except PipelineProblemsError as error:
        if not error.has_sound("events", "entities", "labels", "history", "cep"):
            return None, error.problems
        told = {problem.path for problem in error.problems}
        more = [*compile_checked(error.pipeline)[1], *_pattern_problems(error.pipeline)]
        return None, [*error.problems, *(one for one in more if one.path not in told)]
    except ProblemsError as error:
        return None, error.problems
    compiled, problems = compile_checked(pipeline)
    if compiled is not None:
        problems += _model_problems(pipeline, compiled)
    return pipeline, [*problems, *_pattern_problems(pipeline)]


def _pattern_problems(pipeline: Pipeline) -> list[Problem]:
    """Return what is wrong with the patterns that Flink CEP looks for, and what it lacks for them."""
    if pipeline.cep is None:
        return []
    from mitra.pipeline_cep import queries  # noqa: PLC0415 - the compiler is loaded where there are patterns

    return queries(pipeline)[1]


def _model_problems(pipeline: Pipeline, compiled: "CompiledFeatures") -> list[Problem]:
    """Return why the models that the pipeline names can't be used."""
    from mitra.micro import order_of, with_scores  # noqa: PLC0415

    named = {f"micro_models.{name}": path for name, path in pipeline.micro_models.items()}
    if pipeline.model is not None and pipeline.model.path is not None:
        named["model.path"] = pipeline.model.path
    types = with_scores(compiled, tuple(pipeline.micro_models)).types
    problems, reads = [], {}
    for place, path in named.items():
        if not path.is_dir():
            problems.append(Problem(place, f"there is no folder {path}", "mitra train writes one"))
            continue
        from models.artefact import load_model  # noqa: PLC0415 - the model library takes a second to load

        try:
            model = load_model(path)
            model.check_features(types)
        except MitraError as error:
            problems.append(Problem(place, str(error)))
        else:
            reads[place.partition(".")[2]] = model.features
    try:
        order_of({name: reads[name] for name in pipeline.micro_models if name in reads})
    except MitraError as error:
        problems.append(Problem("micro_models", str(error)))
    return problems
