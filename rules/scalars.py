"""Checks of calls of scalar functions."""

import ast
from typing import TYPE_CHECKING

from rules import tree
from rules.grammar import ADDRESS_PARTS, MAX_DIGITS, OF_ADDRESSES, SCALARS, Kind
from rules.problems import closest
from rules.tree import Constant, Node, NodeType

if TYPE_CHECKING:
    from rules.check import Checker

_EXAMPLES = {
    "default": "default(x, 0)",
    "is_missing": "is_missing(x)",
    "round": "round(x) or round(x, 2)",
    "least": "least(x, y)",
    "greatest": "greatest(x, y)",
    "hour": "hour(time)",
    "weekday": "weekday(time)",
    "day": "day(time)",
    "lower": "lower(text)",
    "starts_with": 'starts_with(text, "beginning")',
    "contains": 'contains(text, "piece")',
    "distance_km": "distance_km(lat1, lon1, lat2, lon2)",
    "address_similarity": "address_similarity(billing, shipping)",
    "address_complete": "address_complete(shipping)",
    "address_part": 'address_part(shipping, "postcode")',
}


def scalar(checker: "Checker", found: ast.Call) -> Node | None:
    """Return the checked call of a scalar function, or None if there is none of that name."""
    name = found.func.id  # type: ignore[attr-defined]
    shape = SCALARS.get(name)
    if shape is None:
        return None
    if name in OF_ADDRESSES and checker.scope.stored:
        hint = (
            "reading the addresses of a whole history takes too long: compare with previous(...) or first(...) of one"
        )
        return checker.refuse(found, f"{name} can't be asked in where=", hint)
    example = f"write {_EXAMPLES.get(name, f'{name}(x)')}"
    for keyword in found.keywords:
        text = f"{name} takes no option {keyword.arg}" if keyword.arg else "** is not part of the language"
        checker.refuse(keyword, text, example)
    starred = [checker.node(one) for one in found.args if isinstance(one, ast.Starred)]
    if found.keywords or starred:
        return tree.Unknown("unknown", "?")
    least, most = len(shape.arguments) - shape.optional, len(shape.arguments)
    given = len(found.args)
    if given < least or (given > most and not shape.repeats):
        wanted = f"at least {least}" if shape.repeats else str(least) if least == most else f"{least} or {most}"
        plural = "" if wanted == "1" else "s"
        message = f"{name} wants {wanted} argument{plural}, not {given}"
        return checker.refuse(found, message, example)
    kinds = shape.arguments + shape.arguments[-1:] * (given - most)
    nodes = [_argument(checker, one, kind, name) for one, kind in zip(found.args, kinds, strict=False)]
    if any(node.type == "unknown" for node in nodes):
        return tree.Unknown("unknown", "?")
    return _typed(checker, found, name, nodes)


def _argument(checker: "Checker", found: ast.expr, kind: Kind, name: str) -> Node:
    match kind:
        case "number":
            return checker.number(found, f"{name}()")
        case "string":
            return checker.string(found, f"{name}()")
        case "time":
            node = checker.node(found)
            if node.type in {"time", "unknown"}:
                return node
            return checker.refuse(found, f"{name}() wants the event's time", f"write {name}(time)")
        case "digits":
            node = checker.value(found)
            good = isinstance(node, Constant) and type(node.value) is int and 0 <= node.value <= MAX_DIGITS
            if good or node.type == "unknown":
                return node
            return checker.refuse(found, f"{name}() wants a number of digits from 0 to {MAX_DIGITS}, as it is written")
        case "part":
            node = checker.string(found, f"{name}()")
            if node.type == "unknown" or (isinstance(node, Constant) and node.value in ADDRESS_PARTS):
                return node
            hint = closest(str(node.value), ADDRESS_PARTS) if isinstance(node, Constant) else ""
            return checker.refuse(found, f"{name}() wants one of {', '.join(ADDRESS_PARTS)}, in quotes", hint)
        case "any":
            return checker.value(found)


def _typed(checker: "Checker", found: ast.Call, name: str, nodes: list[Node]) -> Node:
    from rules.check import ARTICLES, join  # noqa: PLC0415 - the two check each other's parts

    kind: NodeType | None = SCALARS[name].result if SCALARS[name].result != "same" else None  # type: ignore[assignment]
    if name == "round" and len(nodes) == 2:
        kind = nodes[0].type
    elif kind is None:
        kind = join([node.type for node in nodes])
    if kind is None:
        message = f"{name} has {ARTICLES[nodes[0].type]} and {ARTICLES[nodes[1].type]}"
        return checker.refuse(found, message, "both must be of one type")
    return tree.call(name, tuple(nodes), kind)
