"""The expression language of features and rules, and rules themselves: parse, check, compile, judge.

Pure: no Flink, no models.
"""

from rules.expression import Expression
from rules.features import CompiledFeatures, check_expressions, compile_features
from rules.generate import Signal
from rules.outcomes import OUTCOMES, ListDeclaration, combine
from rules.problems import ExpressionProblem, ExpressionsError
from rules.rule import Rule, read_rule, rule_mapping
from rules.rule_check import check_rules
from rules.rule_examples import run_examples
from rules.rule_file import Example, RuleInFile, read_rule_file
from rules.rule_set import Judgement, RuleSet
from rules.schema import ExpressionSchema
from rules.written import condition_text, read_written, written

__all__ = [
    "OUTCOMES",
    "CompiledFeatures",
    "Example",
    "Expression",
    "ExpressionProblem",
    "ExpressionSchema",
    "ExpressionsError",
    "Judgement",
    "ListDeclaration",
    "Rule",
    "RuleInFile",
    "RuleSet",
    "Signal",
    "check_expressions",
    "check_rules",
    "combine",
    "compile_features",
    "condition_text",
    "read_rule",
    "read_rule_file",
    "read_written",
    "rule_mapping",
    "run_examples",
    "written",
]
