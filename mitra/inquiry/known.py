"""What a decision shows of the values that its rules read.

A value that is None is missing; a signal that isn't there isn't known, which is something else: nothing is concluded from it.
"""

from collections.abc import Mapping, Sequence

from mitra.schema import EventType
from rules import CompiledFeatures, Expression, Signal
from rules.plan import Value
from rules.tree import AggregateNode, Call, Constant, FieldNode, GraphNode, Node

Known = dict[Signal, Value]


def known_values(
    compiled: CompiledFeatures,
    event: EventType,
    values: Sequence[Value] | None,
    features: Mapping[str, Value] | None,
    time_ms: int,
) -> Known:
    """Return what is known of fields, features and aggregates.

    `values` are the event's, in the schema's order, if it was found; `features` are those that the decision carries. What a
    feature is made of is known by it where it is nothing else, and a feature that nobody wrote down by what it is made of.
    """
    known: Known = {}
    if values is not None:
        known = {Signal("field", field.name): value for field, value in zip(event.fields, values, strict=True)}
    for name in compiled.names:
        if features is None or name not in features:
            continue
        value = features[name]
        known[Signal("feature", name)] = value
        expression = compiled.expressions.get(name)  # a micro model's score has none
        behind = None if expression is None else _behind(expression.tree, value)
        if behind is not None:
            known.setdefault(behind, value)
    return _with_computed(known, compiled, time_ms)


def value_of(expression: Expression, known: Known, time_ms: int) -> tuple[Value, tuple[Signal, ...]]:
    """Return an expression's value, None where it is missing, and the signals that aren't known: then the value says nothing."""
    lacking = tuple(signal for signal in expression.signals if signal not in known)
    if lacking:
        return None, lacking
    return expression.function([known[signal] for signal in expression.signals], time_ms), ()


def _behind(tree: Node, value: Value) -> Signal | None:
    """Return the field or aggregate whose value a feature's value is."""
    match tree:
        case FieldNode():
            return Signal("field", tree.name)
        case AggregateNode():
            return Signal("aggregate", tree.text)
        case GraphNode():
            return Signal("graph", tree.text)
        case Call(function="default", parts=(AggregateNode() as inner, Constant() as instead)) if (
            value != instead.value
        ):
            # The stand-in itself may be the aggregate's value, or may stand for a missing one.
            return Signal("aggregate", inner.text)
    return None


def _with_computed(known: Known, compiled: CompiledFeatures, time_ms: int) -> Known:
    waiting = [name for name in compiled.expressions if Signal("feature", name) not in known]
    found = True
    while found:
        found = False
        for name in tuple(waiting):
            value, lacking = value_of(compiled.expressions[name], known, time_ms)
            if not lacking:
                known[Signal("feature", name)] = value
                waiting.remove(name)
                found = True
    return known
