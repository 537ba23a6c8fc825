"""What a pipeline's expressions may speak of, and the compilation of those it has.

Here the language gets the functions that models compute: who compiles an expression of a pipeline has come by here.
"""

from typing import TYPE_CHECKING

from mitra.decision import DECISION_COLUMNS
from mitra.errors import Problem, ProblemsError
from mitra.pipeline import Pipeline
from rules.grammar import OF_ADDRESSES
from rules.schema import ExpressionSchema
from rules.supplied import Functions, supply

if TYPE_CHECKING:
    from rules import CompiledFeatures


def _address_functions() -> Functions:
    """Return the functions of addresses, with their model in memory."""
    from models.addresses import FUNCTIONS, shipped_parser  # noqa: PLC0415 - the model is loaded where it is used

    shipped_parser()
    return FUNCTIONS


supply(OF_ADDRESSES, _address_functions)


def expression_schema(pipeline: Pipeline) -> ExpressionSchema:
    """Return what the pipeline's feature and rule texts are compiled against."""
    return ExpressionSchema(
        events=pipeline.events,
        entities=pipeline.entities,
        labels=pipeline.labels,
        max_window_ms=pipeline.history.max_window_ms,
        zone=pipeline.zone,
        expression_bytes=pipeline.limits.expression_bytes,
        expression_depth=pipeline.limits.expression_depth,
        columns=DECISION_COLUMNS,
        graph=pipeline.graph,
        patterns=() if pipeline.cep is None else pipeline.cep.entities,
    )


def compile_checked(pipeline: Pipeline) -> tuple["CompiledFeatures | None", list[Problem]]:
    """Return the pipeline's features, compiled, and everything wrong with their texts or their use as model inputs."""
    from mitra.live_features import check_live  # noqa: PLC0415 - likewise
    from rules import compile_features  # noqa: PLC0415 - the compiler is loaded when needed

    try:
        compiled = compile_features(pipeline.features, expression_schema(pipeline))
    except ProblemsError as error:
        return None, list(error.problems)
    inputs = pipeline.model.inputs if pipeline.model else ()
    problems = [
        Problem(
            f"model.inputs[{place}]",
            f'found "{name}", which is a string; allowed: a feature that is a number, integer or boolean',
        )
        for place, name in enumerate(inputs)
        if compiled.types.get(name) == "string"
    ]
    label = None if pipeline.labels is None else pipeline.labels.name
    return compiled, [*problems, *check_live(compiled, pipeline.told_features, label)]
