"""What a rule lacks that came out missing: `Expression.missing`, for where it is asked all day long.

One optional field that a payment lacks may leave a hundred rules undecided. So functions of parts are compiled once, and
only of those whose being missing can't be seen from what they are made of.
"""

from collections.abc import Mapping, Sequence

from rules.expression import Evaluate, Expression, function_of
from rules.generate import Signal
from rules.plan import Value
from rules.tree import (
    AggregateNode,
    Choice,
    Compare,
    Constant,
    FeatureNode,
    FieldNode,
    Member,
    Negative,
    Node,
    Not,
    TimeNode,
)


class Lacking:
    """Answers for one expression. `names(values, time)` are those that `Expression.missing` gives."""

    def __init__(self, expression: Expression) -> None:
        """Keep the tree; nothing is compiled before it is asked for."""
        self._tree = expression.tree
        self._zone = expression.zone
        self._functions: dict[Node, tuple[tuple[Signal, ...], Evaluate]] = {}

    def names(self, values: Mapping[Signal, Value], time_ms: int) -> list[str]:
        """Return the names of the signals for want of which the value is missing; it is known to be."""
        return list(dict.fromkeys(self._names(self._tree, values, time_ms)))

    def _names(self, node: Node, values: Mapping[Signal, Value], time_ms: int) -> list[str]:
        if not node.parts:
            return [node.text]
        parts: Sequence[Node] = node.parts
        if isinstance(node, Choice):
            condition = self._value(parts[0], values, time_ms)
            parts = [parts[0] if condition is None else parts[1] if condition else parts[2]]
        found = [
            name
            for part in parts
            if self._is_missing(part, values, time_ms)
            for name in self._names(part, values, time_ms)
        ]
        return found or [node.text]

    def _is_missing(self, node: Node, values: Mapping[Signal, Value], time_ms: int) -> bool:
        match node:
            case FieldNode():
                return values.get(Signal("field", node.name)) is None
            case FeatureNode():
                return values.get(Signal("feature", node.name)) is None
            case AggregateNode():
                return values.get(Signal("aggregate", node.text)) is None
            case Constant() | TimeNode():
                return False
            case Compare() | Member() | Negative() | Not():
                return any(self._is_missing(part, values, time_ms) for part in node.parts)
            case _:
                return self._value(node, values, time_ms) is None

    def _value(self, node: Node, values: Mapping[Signal, Value], time_ms: int) -> Value:
        if node not in self._functions:
            self._functions[node] = function_of(node, self._zone)
        signals, function = self._functions[node]
        return function([values.get(signal) for signal in signals], time_ms)
