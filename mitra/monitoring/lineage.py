"""Which features are built on which: a field that moves takes the features along that read it."""

from collections.abc import Mapping

from rules import CompiledFeatures
from rules.expression import Expression
from rules.tree import FieldNode


def built_on(compiled: CompiledFeatures) -> dict[str, tuple[str, ...]]:
    """Return, for each feature that is a field as it stands, the other features that read this field."""
    expressions = compiled.expressions
    reads = {name: _reads(one, expressions) for name, one in expressions.items()}
    return {
        name: tuple(other for other, fields in reads.items() if other != name and one.tree.name in fields)
        for name, one in expressions.items()
        if isinstance(one.tree, FieldNode)
    }


def _reads(one: Expression, expressions: Mapping[str, Expression]) -> frozenset[str]:
    """Return the fields of events behind an expression: its own, what its aggregates sum up or ask for, other features'."""
    found = set(one.fields)
    for aggregate in one.aggregates:
        found.update(aggregate.where.fields if aggregate.where else ())
        if aggregate.field is not None:
            found.add(aggregate.field)
    return frozenset(found.union(*(_reads(expressions[name], expressions) for name in one.features)))
