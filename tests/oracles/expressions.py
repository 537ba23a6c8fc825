"""What an expression is worth, by walking its tree one operator at a time: slow, plain, and apart from the compiler.

Expressions are built of these nodes, never parsed. Missing is None. A range is checked where Mitra promises it: a number
that is not finite and a whole number beyond 64 bits are missing, looked at once for a chain of + and - or of * / // %.
"""

import datetime as dt
import math
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Value = float | int | str | bool | None
SUMS, PRODUCTS = ("+", "-"), ("*", "/", "//", "%")
EARTH_RADIUS_KM = 6_371.0088


@dataclass(frozen=True)
class Tree:
    """A node: what it does, its static type, its operands, and a literal, name or operator."""

    kind: str
    type: str
    parts: tuple["Tree", ...] = ()
    detail: Any = None


@dataclass(frozen=True)
class World:
    """What an expression can see."""

    names: Mapping[str, Value]
    aggregates: Mapping[str, Value]
    time_ms: int
    zone: str = "UTC"
    features: Mapping[str, Tree] = field(default_factory=dict)


def text(tree: Tree) -> str:
    """Return the expression in the language, every operand in parentheses."""
    parts = [f"({text(part)})" if part.parts else text(part) for part in tree.parts]
    match tree.kind:
        case "literal":
            return repr(tree.detail)
        case "name" | "feature" | "aggregate":
            return str(tree.detail)
        case "binary" | "compare":
            return f"{parts[0]} {tree.detail} {parts[1]}"
        case "chained":
            return f"{parts[0]} {tree.detail[0]} {parts[1]} {tree.detail[1]} {parts[2]}"
        case "negative":
            return f"-{parts[0]}"
        case "not":
            return f"not {parts[0]}"
        case "logic":
            return f" {tree.detail} ".join(parts)
        case "in":
            return f"{parts[0]} {tree.detail[0]} [{', '.join(map(repr, tree.detail[1]))}]"
        case "choice":
            return f"{parts[1]} if {parts[0]} else {parts[2]}"
        case "call":
            return f"{tree.detail}({', '.join(text(part) for part in tree.parts)})"
        case "clock":
            return f"{tree.detail}(time)"
    raise AssertionError(tree.kind)


def value(tree: Tree, world: World) -> Value:
    """Return what the expression is worth."""
    try:
        found = _raw(tree, world)
    except OverflowError:
        return None
    return _ranged(found, tree)


def _ranged(found: Value, tree: Tree) -> Value:
    if found is None or isinstance(found, str | bool) or tree.kind not in {"binary", "call"}:
        return found
    if tree.type == "integer":
        return found if -(2**63) < found < 2**63 else None
    return found if math.isfinite(found) else None


def _raw(tree: Tree, world: World) -> Value:
    if tree.kind == "literal":
        return tree.detail
    if tree.kind == "name":
        return world.names[tree.detail]
    if tree.kind == "feature":
        return value(world.features[tree.detail], world)
    if tree.kind == "aggregate":
        found = world.aggregates[tree.detail]
        return bool(found) if tree.type == "boolean" and found is not None else found
    if tree.kind == "clock":
        return _clock(tree.detail, world)
    if tree.kind == "binary":
        return _binary(tree, world)
    if tree.kind == "choice":
        condition = value(tree.parts[0], world)
        return None if condition is None else value(tree.parts[1 if condition else 2], world)
    values = [value(part, world) for part in tree.parts]
    if tree.kind == "logic":
        return _kleene(tree.detail, values)
    if tree.kind == "chained":
        return _kleene("and", [_compare(tree.detail[0], *values[:2]), _compare(tree.detail[1], *values[1:])])
    if tree.kind == "call" and tree.detail == "default":
        return values[1] if values[0] is None else values[0]
    if tree.kind == "call" and tree.detail == "is_missing":
        return values[0] is None
    if any(one is None for one in values):
        return None
    return _strict(tree, values)


def _strict(tree: Tree, values: list[Any]) -> Value:
    match tree.kind:
        case "negative":
            return -values[0]
        case "not":
            return not values[0]
        case "compare":
            return _compare(tree.detail, *values)
        case "in":
            inside = any(values[0] == one for one in tree.detail[1])
            return inside if tree.detail[0] == "in" else not inside
    return _call(tree.detail, values)


def _binary(tree: Tree, world: World) -> Value:
    left_tree, right_tree = tree.parts
    chained = left_tree.kind == "binary" and (left_tree.detail in SUMS) == (tree.detail in SUMS)
    left: Any = _raw(left_tree, world) if chained else value(left_tree, world)
    right: Any = value(right_tree, world)
    if left is None or right is None:
        return None
    match tree.detail:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    if right == 0:
        return None
    return left / right if tree.detail == "/" else left // right if tree.detail == "//" else left % right


def _compare(operator: str, left: Any, right: Any) -> Value:
    if left is None or right is None:
        return None
    return {
        "==": left == right,
        "!=": left != right,
        "<": not isinstance(left, bool) and left < right,
        "<=": not isinstance(left, bool) and left <= right,
        ">": not isinstance(left, bool) and left > right,
        ">=": not isinstance(left, bool) and left >= right,
    }[operator]


def _kleene(word: str, values: list[Any]) -> Value:
    deciding = word == "or"
    if any(one is deciding for one in values):
        return deciding
    return None if any(one is None for one in values) else not deciding


def _call(name: str, values: list[Any]) -> Value:
    first = values[0]
    match name:
        case "abs":
            return -first if first < 0 else first
        case "log":
            return math.log(first) if first > 0 else None
        case "sqrt":
            return math.sqrt(first) if first >= 0 else None
        case "round":
            return round(*values)
        case "least":
            return min(values)
        case "greatest":
            return max(values)
        case "lower":
            return first.lower()
        case "starts_with":
            return first[: len(values[1])] == values[1]
        case "contains":
            return first.find(values[1]) >= 0
        case "distance_km":
            return distance_km(*values)
    raise AssertionError(name)


def distance_km(lat1: float, lon1: float, lat2: float, lon2: float) -> Value:
    """Return the distance by the angle between two vectors, in the form that is exact for all angles."""
    if max(abs(lat1), abs(lat2)) > 90 or max(abs(lon1), abs(lon2)) > 180:
        return None
    one, two = _vector(lat1, lon1), _vector(lat2, lon2)
    cross = (
        one[1] * two[2] - one[2] * two[1],
        one[2] * two[0] - one[0] * two[2],
        one[0] * two[1] - one[1] * two[0],
    )
    return EARTH_RADIUS_KM * math.atan2(math.hypot(*cross), sum(a * b for a, b in zip(one, two, strict=True)))


def _vector(lat: float, lon: float) -> tuple[float, float, float]:
    north, east = math.radians(lat), math.radians(lon)
    return math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)


def _clock(name: str, world: World) -> int:
    utc = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=world.time_ms)
    local = utc.astimezone(zoneinfo.ZoneInfo(world.zone))
    return {"hour": local.hour, "weekday": local.weekday(), "day": local.day}[name]
