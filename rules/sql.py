"""Expressions as Flink SQL: the part of the language that means the same there, missing values being NULL.

Both have logic of three values. Numbers are DOUBLE, integers BIGINT; what SQL computes otherwise (whole division, rounding, clocks)
isn't translated, but named.
"""

from collections.abc import Callable

from rules.tree import Arithmetic, Call, Choice, Compare, Constant, FieldNode, Logic, Member, Negative, Node, Not

Column = Callable[[str], str]
"""The SQL of a field, by its name."""

_CALLS = {"abs": "ABS", "lower": "LOWER", "default": "COALESCE", "least": "LEAST", "greatest": "GREATEST"}
_COMPARE = {"==": "=", "!=": "<>"}


class LacksError(Exception):
    """SQL lacks something: the message says what."""


def quoted(text: str) -> str:
    """Return a text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def sql_of(node: Node, column: Column) -> str:
    """Return the SQL of a checked tree. Raises LacksError for what means something else there, or nothing."""

    def inner(part: Node) -> str:
        return sql_of(part, column)

    match node:
        case Constant(value=bool() as value):
            return "TRUE" if value else "FALSE"
        case Constant(value=str() as value):
            if not value.isprintable():
                raise LacksError("texts with what doesn't print")
            return quoted(value)
        case Constant(value=int() as value):
            return f"CAST({value} AS BIGINT)"
        case Constant():
            return f"CAST({node.value!r} AS DOUBLE)"
        case FieldNode():
            return column(node.name)
        case Arithmetic():
            return _arithmetic(node, inner)
        case Negative():
            return f"(-{inner(node.parts[0])})"
        case Compare():
            left, right = map(inner, node.parts)
            return f"({left} {_COMPARE.get(node.operator, node.operator)} {right})"
        case Logic():
            return f"({f' {node.operator.upper()} '.join(map(inner, node.parts))})"
        case Not():
            return f"(NOT {inner(node.parts[0])})"
        case Member():
            listed = ", ".join(map(inner, node.values))
            return f"({inner(node.parts[0])} {'NOT ' if node.negated else ''}IN ({listed}))"
        case Choice():
            condition, then, otherwise = map(inner, node.parts)
            # A condition that is missing makes the whole missing, and no ELSE.
            return f"(CASE WHEN {condition} THEN {then} WHEN NOT {condition} THEN {otherwise} END)"
        case Call():
            return _call(node, inner)
    raise LacksError(f"{node.text}")


def _arithmetic(node: Arithmetic, inner: Callable[[Node], str]) -> str:
    text = inner(node.parts[0])
    for operator, part in zip(node.operators, node.parts[1:], strict=True):
        if operator in {"//", "%"}:
            raise LacksError(f"{operator} as it is meant here, which rounds down")
        if operator == "/":
            text = f"(CAST({text} AS DOUBLE) / NULLIF(CAST({inner(part)} AS DOUBLE), CAST(0 AS DOUBLE)))"
        else:
            text = f"({text} {operator} {inner(part)})"
    return text


def _call(node: Call, inner: Callable[[Node], str]) -> str:
    if node.function not in {"is_missing", "contains", *_CALLS}:
        raise LacksError(f"{node.function}(…)")
    arguments = [inner(part) for part in node.parts]
    match node.function:
        case "is_missing":
            return f"({arguments[0]} IS NULL)"
        case "contains":
            return f"(POSITION({arguments[1]} IN {arguments[0]}) > 0)"
        case name:
            return f"{_CALLS[name]}({', '.join(arguments)})"
