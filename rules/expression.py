"""One checked expression: what it reads, its function, and which signal it lacked where it came out missing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rules.code import make_function
from rules.generate import Signal, Writer
from rules.plan import Aggregate, Value, ValueType
from rules.tree import AggregateNode, Choice, FeatureNode, FieldNode, Node, NodeType

Evaluate = Callable[[Sequence[Value], int], Value]


def function_of(node: Node, zone: str, *, boolean_numbers: bool = False) -> tuple[tuple[Signal, ...], Evaluate]:
    """Return the signals that a tree reads, in order, and the function (their values, time in ms) -> value.

    `boolean_numbers`: booleans of fields may come as 1.0 and 0.0. Those of aggregates always may.
    """
    writer = Writer([node], zoned=zone != "UTC")
    writer.assign("result", node)
    signals = tuple(signal for signal in writer.signals if signal.kind != "time")
    locals_ = [writer.signals[signal] for signal in signals]
    opening = [(f"{', '.join(locals_)},", "V")] if locals_ else []
    opening += [
        (local, f"None if {local} is None else {local} != 0")
        for signal, local in zip(signals, locals_, strict=True)
        if writer.kinds[signal] == "boolean" and (signal.kind == "aggregate" or boolean_numbers)
    ]
    return signals, make_function("V, T", opening, writer.lines, "result", zone)


@dataclass(frozen=True)
class Expression:
    """A named, checked expression. `zone` is that of its clock functions."""

    name: str
    text: str
    tree: Node = field(repr=False)
    zone: str = "UTC"

    @property
    def type(self) -> ValueType:
        """The static type of its value."""
        kind: NodeType = self.tree.type
        assert kind not in {"time", "unknown"}, f"{self.name} has been refused"
        return kind  # type: ignore[return-value]

    @cached_property
    def aggregates(self) -> tuple[Aggregate, ...]:
        """The aggregates it asks for, each once, in order of appearance."""
        found = {node.text: node.aggregate for node in self.tree.walk() if isinstance(node, AggregateNode)}
        return tuple(one for one in found.values() if one is not None)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields of the decided event that it reads; the time is not among them."""
        return tuple(dict.fromkeys(node.name for node in self.tree.walk() if isinstance(node, FieldNode)))

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The features that it refers to."""
        return tuple(dict.fromkeys(node.name for node in self.tree.walk() if isinstance(node, FeatureNode)))

    @cached_property
    def _compiled(self) -> tuple[tuple[Signal, ...], Evaluate]:
        return function_of(self.tree, self.zone)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What `function` reads, in order."""
        return self._compiled[0]

    @property
    def function(self) -> Evaluate:
        """The expression by itself: (values of `signals`, event time in ms) -> value. Never raises."""
        return self._compiled[1]

    def missing(self, values: Mapping[Signal, Value], time_ms: int) -> tuple[str, ...]:
        """Return the names of the signals for want of which the value is missing; empty if it isn't.

        A part that is missing with nothing missing in it (1 / 0, the log of a negative) is named by its own text.
        Slow: parts are evaluated one by one.
        """
        return tuple(dict.fromkeys(_missing(self.tree, values, time_ms, self.zone)))


def _missing(node: Node, values: Mapping[Signal, Value], time_ms: int, zone: str) -> list[str]:
    if _evaluate(node, values, time_ms, zone) is not None:
        return []
    if not node.parts:
        return [node.text]
    parts: Sequence[Node] = node.parts
    if isinstance(node, Choice):
        condition = _evaluate(parts[0], values, time_ms, zone)
        parts = [parts[0] if condition is None else parts[1] if condition else parts[2]]
    found = [name for part in parts for name in _missing(part, values, time_ms, zone)]
    return found or [node.text]


def _evaluate(node: Node, values: Mapping[Signal, Value], time_ms: int, zone: str) -> Value:
    signals, function = function_of(node, zone)
    return function([values.get(signal) for signal in signals], time_ms)
