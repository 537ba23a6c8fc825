"""The expression language of features and rules: parse, check, compile. Pure: no Flink, no models."""

from rules.expression import Expression
from rules.features import CompiledFeatures, check_expressions, compile_features
from rules.generate import Signal
from rules.problems import ExpressionProblem, ExpressionsError
from rules.schema import ExpressionSchema

__all__ = [
    "CompiledFeatures",
    "Expression",
    "ExpressionProblem",
    "ExpressionSchema",
    "ExpressionsError",
    "Signal",
    "check_expressions",
    "compile_features",
]
