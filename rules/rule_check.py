"""The texts of rules, checked and compiled; a text that was compiled for a schema is not compiled again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from mitra.errors import Problem, ProblemsError
from rules import tree
from rules.check import Checker
from rules.cost import RULE_US, tree_us
from rules.expression import Expression
from rules.features import check_expressions
from rules.lacking import Lacking
from rules.names import decided_scope
from rules.parse import parse
from rules.plan import Aggregate, ValueType
from rules.problems import ExpressionProblem, Source, closest
from rules.reasons import Template, compile_template
from rules.rule import Rule
from rules.schema import ExpressionSchema
from rules.sequences.asked import SequenceAsked, matched
from rules.sequences.asked import asked as asked_of
from rules.sequences.check import compile_pattern
from rules.sequences.pattern import Pattern

_KEPT = 16_384
"""Texts compiled for one schema: three times the rules that a live set may have."""


@dataclass(frozen=True)
class RuleCode:
    """The compiled texts of a rule, and the features that they read with the types these had."""

    condition: Expression
    reason: Template
    lacking: Lacking
    types: tuple[tuple[str, ValueType], ...]
    asked: SequenceAsked | None = None
    """What histories are asked, where it is a sequence."""

    @cached_property
    def aggregates(self) -> tuple[Aggregate, ...]:
        """The aggregates it asks for, each once."""
        return tuple({one.key: one for text in self.expressions for one in text.aggregates}.values())

    @cached_property
    def cost_us(self) -> float:
        """The estimated cost of asking the rule; reasons are filled where it fires only."""
        return RULE_US + tree_us(self.condition.tree)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The condition, then those of the reason."""
        return (self.condition, *self.reason.expressions)


class RuleCompiler:
    """Compiles rules for one schema."""

    def __init__(self, schema: ExpressionSchema) -> None:
        """Start with nothing compiled."""
        self._schema = schema
        self._known: dict[tuple[str, str, Pattern | None, str], RuleCode] = {}

    def compile(self, rule: Rule, types: Mapping[str, ValueType]) -> tuple[RuleCode | None, list[Problem]]:
        """Return the rule's code, or None, and all that is wrong with it; `types` are the features'."""
        problems = self._entity_problems(rule)
        name = (rule.when, rule.reason, rule.pattern, "" if rule.pattern is None else rule.id)
        known = self._known.get(name)
        if known is not None and all(types.get(name) == kind for name, kind in known.types):
            return known, problems
        asked, wrong_ = self._asked(rule)
        problems += wrong_
        condition, wrong = self._condition(rule, types, asked)
        problems += wrong
        scope = decided_scope(self._schema, types)
        template, wrong = compile_template(rule.reason, f"{_path(rule)}.reason", self._schema, scope)
        problems += wrong
        if condition is None or template is None or (rule.pattern is not None and asked is None):
            return None, problems
        names = dict.fromkeys(feature for one in (condition, *template.expressions) for feature in one.features)
        code = RuleCode(condition, template, Lacking(condition), tuple((one, types[one]) for one in names), asked)
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[name] = code
        return code, problems

    def _asked(self, rule: Rule) -> tuple[SequenceAsked | None, list[Problem]]:
        if rule.pattern is None:
            return None, []
        compiled, problems = compile_pattern(rule.pattern, _path(rule), self._schema, rule.when)
        return None if compiled is None else asked_of(rule.id, compiled), problems

    def _condition(
        self, rule: Rule, types: Mapping[str, ValueType], asked: SequenceAsked | None
    ) -> tuple[Expression | None, list[ExpressionProblem]]:
        source = Source(f"{_path(rule)}.when", rule.when)
        found = parse(source, self._schema.expression_bytes, self._schema.expression_depth)
        if found is None:
            return None, source.problems
        node = Checker(source, self._schema, decided_scope(self._schema, types)).condition(found, "when")
        if source.problems:
            return None, source.sorted()
        if asked is not None:
            node = matched(asked) if rule.when == "True" else tree.logic("and", [matched(asked), node])
        return Expression("when", rule.when, node, self._schema.zone), []

    def _entity_problems(self, rule: Rule) -> list[Problem]:
        if rule.percent is None or rule.pattern is not None:
            return []
        known, decided = self._schema.entity_by_name, self._schema.decided
        path = f"{_path(rule)}.by"
        usable = [one.name for one in self._schema.entities if set(one.fields) <= decided.by_name.keys()]
        listed = f"the entities of {decided.name} events are {', '.join(usable)}" if usable else "it has no entities"
        if rule.by is not None and rule.by not in known:
            return [Problem(path, f'found "{rule.by}", which is no entity', closest(rule.by, usable) or listed)]
        entity = entity_of(rule, self._schema)
        if entity is None:
            return [Problem(path, "a percent is of entities, and the pipeline has none", "leave percent out")]
        if entity not in usable:
            return [Problem(path, f"{decided.name} events have no {entity}", listed)]
        return []


def _path(rule: Rule) -> str:
    return f"{'rules' if rule.pattern is None else 'sequences'}.{rule.id}"


def entity_of(rule: Rule, schema: ExpressionSchema) -> str | None:
    """Return the entity whose share a rule's percent is: the one it names, its pattern's, or the pipeline's first."""
    if rule.pattern is not None:
        return rule.pattern.by
    return rule.by or (schema.entities[0].name if schema.entities else None)


@lru_cache(maxsize=16)
def compiler_of(schema: ExpressionSchema) -> RuleCompiler:
    """Return the one compiler of a schema."""
    return RuleCompiler(schema)


@lru_cache(maxsize=64)
def feature_expressions(schema: ExpressionSchema, features: tuple[tuple[str, str], ...]) -> Mapping[str, Expression]:
    """Return the checked expressions of features, (name, text) each. Raises ExpressionsError with all that is wrong."""
    return check_expressions(dict(features), schema, "features")


def compile_rules(
    rules: Iterable[Rule], features: Mapping[str, str], schema: ExpressionSchema
) -> list[tuple[Rule, RuleCode]]:
    """Compile rules that may read these features.

    Raises ExpressionsError if a feature is wrong, ProblemsError with everything wrong with all rules.
    """
    expressions = feature_expressions(schema, tuple(features.items()))
    types = {name: expression.type for name, expression in expressions.items()}
    compiler = compiler_of(schema)
    made, problems = [], []
    for rule in rules:
        code, wrong = compiler.compile(rule, types)
        problems += wrong
        if code is not None:
            made.append((rule, code))
    if problems:
        raise ProblemsError("rules", problems)
    return made


def check_rules(rules: Mapping[str, Rule], features: Mapping[str, str], schema: ExpressionSchema) -> None:
    """Check the texts of rules and the entities they name; raises what `compile_rules` does."""
    compile_rules(rules.values(), features, schema)
