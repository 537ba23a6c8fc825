"""Compiles features: checks all their texts together, and splits them into aggregates and one function for the rest."""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from keyword import iskeyword

from rules.check import Checker
from rules.code import make_function
from rules.expression import Expression
from rules.generate import Writer
from rules.names import TIME, decided_scope
from rules.order import references, sort
from rules.parse import parse
from rules.plan import Aggregate, Value, ValueType
from rules.problems import ExpressionProblem, ExpressionsError, Source, Span
from rules.schema import ExpressionSchema
from rules.tree import AggregateNode, Call, Constant, FeatureNode, Node, NodeType

FeatureFunction = Callable[[Sequence[Value], Sequence[Value], int], tuple[Value, ...]]


@dataclass(frozen=True)
class CompiledFeatures:
    """Features, ready to be computed.

    A `direct` feature is aggregate i, or its stand-in where that is missing: (i, stand-in or None). The others are
    `computed` by `function(values of the decided event's fields, values of the needed aggregates, event time in ms)`,
    which gives their values in that order; None is missing. What the graph says stands behind the fields. Values are plain Python's (no NumPy scalars). It never raises.
    `uses` tells for each feature the aggregates behind it, through other features too.
    """

    names: tuple[str, ...]
    types: dict[str, ValueType]
    texts: dict[str, str]
    aggregates: tuple[Aggregate, ...]
    direct: dict[str, tuple[int, float | None]]
    computed: tuple[str, ...]
    needed: tuple[int, ...]
    function: FeatureFunction = field(repr=False)
    uses: dict[str, tuple[int, ...]] = field(repr=False)
    expressions: dict[str, Expression] = field(repr=False)


def compile_features(
    features: Mapping[str, str], schema: ExpressionSchema, subject: str = "features"
) -> CompiledFeatures:
    """Compile features by name. Raises ExpressionsError with all that is wrong with all of them."""
    expressions = check_expressions(features, schema, subject)
    aggregates = {one.key: one for name in features for one in expressions[name].aggregates}
    place = {key: index for index, key in enumerate(aggregates)}
    direct: dict[str, tuple[int, float | None]] = {}
    uses: dict[str, tuple[int, ...]] = {}
    for name, expression in expressions.items():  # in the order of reference
        found = _direct(expression.tree, place, direct)
        if found is not None:
            direct[name] = found
        behind = {place[one.key] for one in expression.aggregates}
        behind.update(index for other in expression.features for index in uses[other])
        uses[name] = tuple(sorted(behind))
    computed = tuple(name for name in features if name not in direct)
    needed, function = _function(expressions, computed, place, schema)
    return CompiledFeatures(
        names=tuple(features),
        types={name: expressions[name].type for name in features},
        texts=dict(features),
        aggregates=tuple(aggregates.values()),
        direct={name: direct[name] for name in features if name in direct},
        computed=computed,
        needed=needed,
        function=function,
        uses=uses,
        expressions={name: expressions[name] for name in features},
    )


def check_expressions(
    texts: Mapping[str, str],
    schema: ExpressionSchema,
    subject: str,
    known: Mapping[str, ValueType] | None = None,
    *,
    wanted: ValueType | None = None,
) -> dict[str, Expression]:
    """Check expressions that may refer to each other and to the `known` features; give them in order of reference.

    `wanted`: the type that all must have. Raises ExpressionsError with all problems, in the texts' order.
    """
    sources = {name: Source(f"{subject}.{name}", text) for name, text in texts.items()}
    parsed: dict[str, ast.expr] = {}
    for name, source in sources.items():
        _check_name(name, schema, source, known or {})
        found = parse(source, schema.expression_bytes, schema.expression_depth)
        if found is not None:
            parsed[name] = found
    fields = schema.decided.by_name
    graph = {
        name: {other: place for other, place in references(found, texts).items() if other not in fields}
        for name, found in parsed.items()
    }
    order, circles = sort({name: [other for other in graph[name] if other in graph] for name in graph})
    for circle in circles:
        first = circle[0]
        shown = " -> ".join([*circle, first])
        place = graph[first][circle[1] if len(circle) > 1 else first]
        what = f"{first} refers to itself" if len(circle) == 1 else f"features refer to each other in a circle: {shown}"
        sources[first].add(place, what, "take one reference out")
    types: dict[str, NodeType] = dict.fromkeys(texts, "unknown")
    types.update(known or {})
    made: dict[str, Expression] = {}
    for name in order:
        source = sources[name]
        checker = Checker(source, schema, decided_scope(schema, types))
        tree = (
            checker.value(parsed[name])
            if wanted is None
            else checker.condition(parsed[name], subject.removesuffix("s"))
        )
        if not source.problems and tree.type != "unknown":
            types[name] = tree.type
            made[name] = Expression(name, texts[name], tree, schema.zone)
    problems = [problem for source in sources.values() for problem in sorted(source.problems, key=_place)]
    if problems:
        raise ExpressionsError(subject, problems)
    return made


def _place(problem: ExpressionProblem) -> tuple[int, int]:
    return problem.span.line, problem.span.column


def _check_name(name: str, schema: ExpressionSchema, source: Source, known: Mapping[str, ValueType]) -> None:
    if not name.isidentifier() or iskeyword(name):
        source.add(Span(), f"{name} can't be a name", "write a letter or _, then letters, digits and _")
    elif name in schema.columns:
        source.add(Span(), f"{name} is the name of a column of every decision", "give it another name")
    elif name in schema.decided.by_name:
        if source.text.strip() != name:
            hint = f"give it another name; only the field itself may be a feature of that name, as {name}: {name}"
            source.add(Span(), f"{name} is a field of {schema.decided.name} already", hint)
    elif schema.labels is not None and name == schema.labels.name:
        source.add(Span(), f"{name} is the label's name", "give it another name")
    elif name == TIME:
        source.add(Span(), f"{name} is always the event's time", "give it another name")
    elif name in schema.entity_by_name or name in schema.event_by_name:
        what = "an entity" if name in schema.entity_by_name else "an event type"
        source.add(Span(), f"{name} is {what} already", "give it another name")
    elif name in known:
        source.add(Span(), f"{name} is a feature already", "give it another name")


def _direct(
    tree: Node, place: Mapping[str, int], earlier: Mapping[str, tuple[int, float | None]]
) -> tuple[int, float | None] | None:
    """Return (aggregate, stand-in) if a tree is no more than that and no text."""
    if tree.type == "string":
        return None
    if isinstance(tree, FeatureNode):
        return earlier.get(tree.name)
    if isinstance(tree, AggregateNode):
        return place[tree.text], None
    if isinstance(tree, Call) and tree.function == "default" and isinstance(tree.parts[1], Constant):
        first = _direct(tree.parts[0], place, earlier)
        if first is not None and first[1] is None:
            return first[0], float(tree.parts[1].value)
        return first
    return None


def _function(
    expressions: Mapping[str, Expression], computed: Sequence[str], place: Mapping[str, int], schema: ExpressionSchema
) -> tuple[tuple[int, ...], FeatureFunction]:
    """Return the aggregates that the computed features need and the function that computes them."""
    wanted: set[str] = set()
    for name in reversed(list(expressions)):
        if name in wanted or name in computed:
            wanted.update((name, *expressions[name].features))
    order = [name for name in expressions if name in wanted]
    writer = Writer([expressions[name].tree for name in order], zoned=schema.zone != "UTC")
    locals_ = {name: f"f{number}" for number, name in enumerate(order)}
    for name in order:
        writer.assign(locals_[name], expressions[name].tree, feature=name)
    index = schema.decided.index
    opening = [
        (local, f"F[{index[signal.name]}]") for signal, local in writer.signals.items() if signal.kind == "field"
    ]
    opening += [
        (local, f"F[{schema.graph_index[signal.name]}]")
        for signal, local in writer.signals.items()
        if signal.kind == "graph"
    ]
    asked = {place[signal.name]: local for signal, local in writer.signals.items() if signal.kind == "aggregate"}
    needed = tuple(sorted(asked))
    if needed:
        opening.append((f"{', '.join(asked[one] for one in needed)},", "A"))
    opening += [
        (local, f"None if {local} is None else {local} != 0")
        for signal, local in writer.signals.items()
        if signal.kind == "aggregate" and writer.kinds[signal] == "boolean"
    ]
    result = "".join(f"{locals_[name]}, " for name in computed)
    return needed, make_function("F, A, T", opening, writer.lines, f"({result})", schema.zone)
