"""The examples of rule files, run: does each rule say what its author expects of it?

A feature that an example doesn't give is computed from what it does; an aggregate that isn't given is missing, as
is a field. So an example says what matters, and no more.
"""

from collections.abc import Iterable, Mapping

from mitra.errors import Problem
from mitra.graph.features import FEATURES
from rules.expression import Expression
from rules.features import check_expressions
from rules.generate import Signal
from rules.plan import Value, ValueType
from rules.problems import ExpressionsError, closest
from rules.reasons import shown
from rules.rule import Wrong, found, plain, read_time
from rules.rule_check import compile_rules
from rules.rule_file import Example, RuleInFile
from rules.schema import ExpressionSchema
from rules.sequences.examples import sequence_problems
from rules.tree import AggregateNode, GraphNode, Node, TimeNode

_WORDS = {True: "fires", False: "doesn't fire", None: "can't be decided"}
_SHOWN = 12


def run_examples(rules: Iterable[RuleInFile], features: Mapping[str, str], schema: ExpressionSchema) -> list[Problem]:
    """Return what the rules' examples show to be otherwise than said, and what is wrong with the examples.

    Raises ExpressionsError or ProblemsError as `compile_rules` does, if features or rules are wrong.
    """
    expressions = check_expressions(features, schema, "features")
    problems: list[Problem] = []
    for one in rules:
        if one.rule.pattern is not None:
            problems += [
                problem for example in one.examples for problem in sequence_problems(one.rule, example, schema)
            ]
            continue
        ((_, code),) = compile_rules([one.rule], features, schema)
        run = _Run(code.condition, expressions, schema)
        for example in one.examples:
            problems += run.problems(example, one.rule.id)
    return problems


class _Run:
    """The examples of one rule."""

    def __init__(self, condition: Expression, features: Mapping[str, Expression], schema: ExpressionSchema) -> None:
        self._condition = condition
        self._schema = schema
        needed = set(condition.features)
        for name in reversed(list(features)):  # in order of reference
            if name in needed:
                needed.update(features[name].features)
        self._features = {name: one for name, one in features.items() if name in needed}
        read = (condition, *self._features.values())
        self._aggregates = {one.key: one.value_type for expression in read for one in expression.aggregates}
        nodes = [node for expression in read for node in expression.tree.walk() if isinstance(node, GraphNode)]
        self._graph: dict[str, ValueType] = {
            node.text: FEATURES[node.column.name].type for node in nodes if node.column
        }
        self._clocked = any(isinstance(node, TimeNode) for one in read for node in one.tree.walk())

    def problems(self, example: Example, rule_id: str) -> list[Problem]:
        problems: list[Problem] = []
        values, time_ms = self._event(example, problems)
        given = self._given(example, problems)
        if problems:
            return problems
        values |= given
        for name, one in self._features.items():
            signal = Signal("feature", name)
            if signal not in given:
                values[signal] = one.function([values.get(read) for read in one.signals], time_ms)
        condition = self._condition
        result = condition.function([values.get(read) for read in condition.signals], time_ms)
        said = None if result is None else bool(result)
        if said is example.fires:
            return []
        message = (
            f"the rule {rule_id} {_WORDS[said]} here, and fires is {found(example.fires).replace('nothing', 'null')}"
        )
        if said is None:
            lacks = ", ".join(condition.missing(values, time_ms))
            return [Problem(example.path, message, f"it lacks {lacks}", example.line)]
        types = {signal: self._type(signal) for signal in condition.signals}
        read = [f"{signal.name} = {shown(values.get(signal), kind)}" for signal, kind in types.items()]
        return [Problem(example.path, message, f"with {', '.join(read[:_SHOWN])}" if read else "", example.line)]

    def _type(self, signal: Signal) -> ValueType:
        match signal.kind:
            case "feature":
                return self._features[signal.name].type
            case "aggregate":
                return self._aggregates[signal.name]
            case "graph":
                return self._graph[signal.name]
            case _:
                return self._schema.decided.by_name[signal.name].type

    def _event(self, example: Example, problems: list[Problem]) -> tuple[dict[Signal, Value], int]:
        event = self._schema.decided
        values: dict[Signal, Value] = {}
        time_ms = None
        for name, value in example.event.items():
            path = f"{example.path}.event.{plain(name)}"
            if name in {event.time, "time"}:
                try:
                    time_ms = read_time(value)
                except Wrong as wrong:
                    message = f"found {found(value)}; allowed: {wrong.allowed}"
                    problems.append(Problem(path, message, wrong.hint, example.line))
                    time_ms = 0
            elif name not in event.by_name:
                hint = closest(name, event.by_name)
                problems.append(Problem(path, f"is no field of {event.name} events", hint, example.line))
            elif _fits(value, event.by_name[name].type):
                values[Signal("field", name)] = value
            else:
                problems.append(Problem(path, _misfit(value, event.by_name[name].type), "", example.line))
        if time_ms is None and self._clocked:
            hint = f"add {event.time}: 2026-01-31T23:45:00Z"
            problems.append(
                Problem(f"{example.path}.event", "gives no time, and the rule looks at the clock", hint, example.line)
            )
        return values, time_ms or 0

    def _given(self, example: Example, problems: list[Problem]) -> dict[Signal, Value]:
        values: dict[Signal, Value] = {}
        for text, value in example.given.items():
            path = f"{example.path}.given.{plain(text)}"
            if text in self._features:
                signal, kind = Signal("feature", text), self._features[text].type
            else:
                key = self._key(text)
                if key in self._graph:
                    signal, kind = Signal("graph", key), self._graph[key]
                elif key in self._aggregates:
                    signal, kind = Signal("aggregate", key), self._aggregates[key]
                else:
                    problems.append(Problem(path, "is nothing that the rule reads", self._reads(), example.line))
                    continue
            if _fits(value, kind):
                values[signal] = value
            else:
                problems.append(Problem(path, _misfit(value, kind), "", example.line))
        return values

    def _key(self, text: str) -> str:
        """Return the canonical text of an aggregate or of what the graph says, or the text itself if it is none."""
        try:
            node: Node = check_expressions({"given_": text}, self._schema, "examples")["given_"].tree
        except ExpressionsError:
            return text
        return node.text if isinstance(node, AggregateNode | GraphNode) else text

    def _reads(self) -> str:
        names = [*self._features, *self._aggregates, *self._graph]
        shown_ = f"{', '.join(names[:_SHOWN])}{' …' if len(names) > _SHOWN else ''}"
        return f"it reads {shown_}" if names else "it reads only fields of the event: give them under event"


def _fits(value: Value, kind: ValueType) -> bool:
    match value:
        case None:
            return True
        case bool():
            return kind == "boolean"
        case int():
            return kind in {"integer", "number"}
        case float():
            return kind == "number"
        case str():
            return kind == "string"


def _misfit(value: Value, kind: ValueType) -> str:
    return f"found {found(value)}; allowed: {'an' if kind == 'integer' else 'a'} {kind}"
