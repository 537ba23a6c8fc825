"""What a rule lacks that came out missing: `Expression.missing`, for where it is asked all day long.

One optional field that a payment lacks may leave a hundred rules undecided. So functions of parts are compiled once, and
only of those whose being missing can't be seen from what they are made of; where none is needed, the answer rests on
which signals are missing alone, and is kept.
"""

from collections.abc import Mapping, Sequence

from rules.expression import Evaluate, Expression, function_of
from rules.generate import Signal, signal_of
from rules.plan import Value
from rules.tree import (
    Choice,
    Compare,
    Constant,
    Logic,
    Member,
    Negative,
    Node,
    Not,
    TimeNode,
)

_STRICT = (Compare, Member, Negative, Not)
"""Missing where a part is, and only there."""

_KEPT = 256


class Lacking:
    """Answers for one expression."""

    def __init__(self, expression: Expression) -> None:
        """Keep the tree; nothing is compiled before it is asked for."""
        self._tree = tree = expression.tree
        self._zone = expression.zone
        self._functions: dict[Node, tuple[tuple[Signal, ...], Evaluate]] = {}
        self._signals = {node: signal for node in tree.walk() if (signal := signal_of(node)) is not None}
        self._plain = all(isinstance(node, _STRICT) or not node.parts for part in tree.parts for node in part.walk())
        self._plain = self._plain and isinstance(tree, (*_STRICT, Logic))
        self._known: dict[tuple[bool, ...], list[str]] = {}

    def names(self, read: Sequence[Value], values: Mapping[Signal, Value], time_ms: int) -> list[str]:
        """Return what `Expression.missing(values, time_ms)` does, given that it is missing.

        `read` are the values that the expression's function took.
        """
        if not self._plain:
            return list(dict.fromkeys(self._names(self._tree, values, time_ms)))
        pattern = tuple([value is None for value in read])
        found = self._known.get(pattern)
        if found is None:
            found = list(dict.fromkeys(self._names(self._tree, values, time_ms)))
            if len(self._known) < _KEPT:
                self._known[pattern] = found
        return found.copy()

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
        signal = self._signals.get(node)
        if signal is not None:
            return values.get(signal) is None
        if isinstance(node, Constant | TimeNode):
            return False
        if isinstance(node, _STRICT):
            return any(self._is_missing(part, values, time_ms) for part in node.parts)
        return self._value(node, values, time_ms) is None

    def _value(self, node: Node, values: Mapping[Signal, Value], time_ms: int) -> Value:
        if node not in self._functions:
            self._functions[node] = function_of(node, self._zone)
        signals, function = self._functions[node]
        return function([values.get(signal) for signal in signals], time_ms)
