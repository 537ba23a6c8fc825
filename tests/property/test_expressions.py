"""Compiled expressions against a tree-walking oracle, and against texts that are no expressions at all."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitra.errors import Problem
from rules import ExpressionsError, Signal, check_expressions, compile_features
from tests.factories.expressions import PAYMENT, schema
from tests.oracles.expressions import Tree, World, distance_km, text, value

SCHEMAS = {zone: schema(zone=zone) for zone in ("UTC", "Europe/Berlin", "America/St_Johns")}
FIELDS = {
    "number": ("amount", "lat", "lon"),
    "integer": ("items",),
    "string": ("country", "device_id"),
    "boolean": ("online",),
}
AGGREGATES = {
    'mean(amount, by=customer, over="30d")': "number",
    "max(amount, by=terminal, last=5)": "number",
    'count(by=customer, over="1h")': "integer",
    "previous(items, by=customer)": "integer",
    "previous(country, by=customer)": "string",
    'first(online, by=customer, over="ever")': "boolean",
}
KEYS = {one: next(iter(check_expressions({"f": one}, SCHEMAS["UTC"], "f").values())).tree.text for one in AGGREGATES}
TEXTS = ("", "DE", "de", "FR", "Ελλάδα", "a'b\"c\\", "\n")
TYPES = ("number", "integer", "string", "boolean")

numbers = st.sampled_from([0.0, -0.0, 0.5, 1.0, -2.5, 3.0, 100.0, 1e-300, 1e308, -1e308]) | st.floats(
    allow_nan=False, allow_infinity=False
)
integers = st.integers(-5, 5) | st.sampled_from([2**62, -(2**62), 10**18]) | st.integers(-(2**63) + 1, 2**63 - 1)
strings = st.sampled_from(TEXTS)
VALUES = {"number": numbers, "integer": integers, "string": strings, "boolean": st.booleans()}


def literals(kind: str) -> st.SearchStrategy[Tree]:
    plain = VALUES[kind].filter(lambda one: not isinstance(one, int | float) or one >= 0)
    return plain.map(lambda one: Tree("literal", kind, (), one if not isinstance(one, float) else abs(one)))


def leaves(kind: str, features: dict[str, str], *, aggregates: bool) -> st.SearchStrategy[Tree]:
    found = [literals(kind)]
    found += [st.just(Tree("name", kind, (), name)) for name in FIELDS[kind]]
    if aggregates:
        found += [st.just(Tree("aggregate", kind, (), one)) for one, type_ in AGGREGATES.items() if type_ == kind]
    found += [st.just(Tree("feature", kind, (), name)) for name, type_ in features.items() if type_ == kind]
    if kind == "integer":
        found.append(st.sampled_from(["hour", "weekday", "day"]).map(lambda name: Tree("clock", "integer", (), name)))
    return st.one_of(found)


@st.composite
def trees(draw: st.DrawFn, kind: str, depth: int, features: dict[str, str], *, aggregates: bool = True) -> Tree:
    """Draw a well-typed expression of a type."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(leaves(kind, features, aggregates=aggregates))

    def of(*kinds: str) -> Tree:
        return draw(trees(draw(st.sampled_from(kinds)), depth - 1, features, aggregates=aggregates))

    def call(name: str, *parts: Tree, kind: str = kind) -> Tree:
        return Tree("call", kind, parts, name)

    shared = ["choice", "default"]
    if kind in {"number", "integer"}:
        shared += ["binary", "binary", "negative", "abs", "least"]
    shared += {
        "number": ["divide", "log", "sqrt", "round2", "distance_km"],
        "integer": ["round"],
        "string": ["lower"],
        "boolean": ["compare", "compare", "chained", "logic", "logic", "not", "in", "is_missing", "texts"],
    }[kind]
    numeric = ("integer",) if kind == "integer" else ("number", "integer")
    match draw(st.sampled_from(shared)):
        case "choice":
            condition = draw(trees("boolean", depth - 1, features, aggregates=aggregates))
            return Tree("choice", kind, (condition, of(kind), of(kind)))
        case "default":
            return call("default", of(kind), of(kind))
        case "binary":
            left, right = of(kind), of(*numeric)
            return Tree("binary", kind, (left, right), draw(st.sampled_from(["+", "-", "*", "//", "%"])))
        case "divide":
            return Tree("binary", "number", (of(*numeric), of(*numeric)), "/")
        case "negative":
            return Tree("negative", kind, (of(kind),))
        case "abs":
            return call("abs", of(kind))
        case "least":
            return call(draw(st.sampled_from(["least", "greatest"])), of(kind), of(*numeric))
        case "log" | "sqrt" as name:
            return call(name, of("number", "integer"))
        case "round2":
            return call("round", of("number"), Tree("literal", "integer", (), draw(st.integers(0, 12))))
        case "round":
            return call("round", of("number", "integer"))
        case "distance_km":
            return call("distance_km", *(of("number") for _ in range(4)))
        case "lower":
            return call("lower", of("string"))
        case "compare":
            left = draw(st.sampled_from(TYPES))
            right = {"number": ("number", "integer"), "integer": ("number", "integer")}.get(left, (left,))
            operators = ["==", "!="] if left == "boolean" else ["==", "!=", "<", "<=", ">", ">="]
            return Tree("compare", kind, (of(left), of(*right)), draw(st.sampled_from(operators)))
        case "chained":
            operators = (draw(st.sampled_from(["<", "<=", "=="])), draw(st.sampled_from(["<", "<=", "!="])))
            return Tree("chained", kind, tuple(of("number", "integer") for _ in range(3)), operators)
        case "logic":
            parts = tuple(of("boolean") for _ in range(draw(st.integers(2, 4))))
            return Tree("logic", kind, parts, draw(st.sampled_from(["and", "or"])))
        case "not":
            return Tree("not", kind, (of("boolean"),))
        case "in":
            inner = draw(st.sampled_from(["number", "integer", "string"]))
            listed = tuple(draw(st.lists(VALUES[inner], min_size=1, max_size=3)))
            return Tree("in", kind, (of(inner),), (draw(st.sampled_from(["in", "not in"])), listed))
        case "is_missing":
            return call("is_missing", of(*TYPES))
        case _:
            return call(draw(st.sampled_from(["starts_with", "contains"])), of("string"), of("string"))


@st.composite
def feature_sets(draw: st.DrawFn) -> dict[str, Tree]:
    """Draw some features, later ones of which may refer to earlier ones."""
    types: dict[str, str] = {}
    made = {}
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(TYPES))
        made[f"feature{number}"] = draw(trees(kind, draw(st.integers(0, 4)), dict(types)))
        types[f"feature{number}"] = made[f"feature{number}"].type
    return made


@st.composite
def worlds(draw: st.DrawFn, zone: str) -> World:
    """Draw the values of a payment's fields and of the aggregates, each perhaps missing."""
    names = {name: draw(st.none() | VALUES[kind]) for kind, fields in FIELDS.items() for name in fields}
    found = {}
    for one, kind in AGGREGATES.items():
        drawn = draw(st.none() | VALUES[kind])
        numeric = isinstance(drawn, int) and kind in {"integer", "boolean"}
        found[one] = float(max(-(2**53), min(2**53, drawn))) if numeric else drawn
    return World(names, found, draw(st.integers(-(10**12), 10**13)), zone)


def same(one: object, other: object) -> bool:
    """Tell whether two values are the same and of one kind; a whole float is an integer's."""
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None or isinstance(one, str):
        return one is other or (type(one) is type(other) and one == other)
    return one == other


def distances_agree(tree: Tree) -> bool:
    """Tell whether the oracle's distances and Mitra's, which differ in the last digits, can't change the outcome."""
    return not any(part.kind == "call" and part.detail == "distance_km" for part in walk(tree))


def walk(tree: Tree) -> list[Tree]:
    return [tree, *(below for part in tree.parts for below in walk(part))]


def field_values(world: World) -> list[object]:
    known = {"payment_id": "p", "at": world.time_ms, "customer_id": "c", "terminal_id": "t", **world.names}
    return [known[field.name] for field in PAYMENT.fields]


@settings(max_examples=300, deadline=None)
@given(st.data(), feature_sets(), st.sampled_from(sorted(SCHEMAS)))
def test_compiled_features_are_worth_what_the_oracle_says(data: st.DataObject, drawn: dict[str, Tree], zone: str):
    drawn = {name: tree for name, tree in drawn.items() if all(map(distances_agree, walk(tree)))} or {
        "feature0": Tree("literal", "integer", (), 1)
    }
    names = set(drawn)
    if any(part.kind == "feature" and part.detail not in names for tree in drawn.values() for part in walk(tree)):
        return
    compiled = compile_features({name: text(tree) for name, tree in drawn.items()}, SCHEMAS[zone])
    by_key = {key: one for one, key in KEYS.items()}
    for _ in range(5):
        plain = data.draw(worlds(zone))
        world = World(plain.names, plain.aggregates, plain.time_ms, zone, drawn)
        expected = {name: value(tree, world) for name, tree in drawn.items()}
        values = field_values(world)
        needed = [world.aggregates[by_key[compiled.aggregates[place].key]] for place in compiled.needed]
        fast = compiled.function(values, needed, world.time_ms)
        slow = compiled.function.__globals__["again"](values, needed, world.time_ms)  # type: ignore[attr-defined]
        assert len(fast) == len(compiled.computed)
        for name, found, found_again in zip(compiled.computed, fast, slow, strict=True):
            assert same(found, expected[name]), (text(drawn[name]), found, expected[name])
            assert same(found_again, expected[name]), text(drawn[name])
        for name, (place, stand_in) in compiled.direct.items():
            answer = world.aggregates[by_key[compiled.aggregates[place].key]]
            assert (stand_in if answer is None else answer) == expected[name]
        for name, expression in compiled.expressions.items():
            check_alone(expression, world, expected, name)
            assert_type(compiled.types[name], expected[name])


def check_alone(expression, world, expected, name):
    """An expression by itself gives the same, and says what it lacks exactly where it is missing."""
    by_key = {key: world.aggregates[one] for one, key in KEYS.items()}
    known = {Signal("field", field): one for field, one in world.names.items()}
    known |= {Signal("aggregate", key): one for key, one in by_key.items()}
    known |= {Signal("feature", other): one for other, one in expected.items()}
    found = expression.function([known[signal] for signal in expression.signals], world.time_ms)
    assert same(found, expected[name]), expression.text
    lacking = expression.missing(known, world.time_ms)
    assert bool(lacking) == (found is None)
    by_name = {signal.name: one for signal, one in known.items()}
    assert all(by_name[lack] is None for lack in lacking if lack in by_name)


def assert_type(kind: str, found: object) -> None:
    """A value is of its static type; integers from histories are whole floats."""
    if found is not None:
        assert {
            "boolean": isinstance(found, bool),
            "string": isinstance(found, str),
            "number": isinstance(found, int | float) and math.isfinite(found),
            "integer": isinstance(found, int) or (isinstance(found, float) and found.is_integer()),
        }[kind], (kind, found)


@settings(max_examples=200, deadline=None)
@given(st.data(), trees("boolean", 4, {}, aggregates=False).filter(distances_agree))
def test_a_where_is_worth_what_the_oracle_says(data: st.DataObject, tree: Tree):
    compiled = compile_features({"f": f'count(by=customer, over="1h", where={text(tree)})'}, SCHEMAS["UTC"])
    where = compiled.aggregates[0].where
    assert where is not None
    for _ in range(5):
        world = data.draw(worlds("UTC"))
        known = {**world.names, "at": world.time_ms}
        as_stored = [float(known[name]) if isinstance(known[name], bool) else known[name] for name in where.fields]
        expected = value(tree, world)
        assert where.predicate([known[name] for name in where.fields]) is expected
        assert where.predicate(as_stored) is expected


@settings(max_examples=200, deadline=None)
@given(trees("number", 4, {}) | trees("boolean", 4, {}))
def test_equal_trees_have_equal_texts_whatever_their_layout(tree: Tree):
    plain = text(tree)
    spaced = "\n  " + plain.replace("(", "( \n ").replace(")", "\t)") + " # a comment"
    one = check_expressions({"f": plain}, SCHEMAS["UTC"], "f")["f"]
    other = check_expressions({"f": spaced}, SCHEMAS["UTC"], "f")["f"]
    assert one.tree.text == other.tree.text


degrees = st.floats(-200, 200) | st.sampled_from([0.0, 90.0, -90.0, 180.0, -180.0, 52.5, 90.001])


@settings(max_examples=300, deadline=None)
@given(st.tuples(degrees, degrees, degrees, degrees))
def test_distances_are_those_of_another_formula_to_a_metre(positions: tuple[float, float, float, float]):
    function = check_expressions({"f": "distance_km(lat, lon, amount, items)"}, SCHEMAS["UTC"], "f")["f"].function
    found, expected = function(positions, 0), distance_km(*positions)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-3))


WORDS = st.sampled_from(
    """amount country online items time fraud customer login count mean previous speed_kmh default hour by over last delay
    where event = == != < > ( ) ( ) , [ ] + - * / // % ** and or not in is if else lambda : . := "1h" "x" 'y' 1 0 2.5 1e999
    1_0 0x1f None True f"{x}" b"z" ... ; \n \\ # @ ~ & | ^ { } for x await yield * _ __class__ 9999999999999999999""".split(
        " "
    )
)


def refused_or_compiled(attempt: str) -> None:
    problems = [Problem("", "none")]
    try:
        compile_features({"f": attempt, "g": "f"}, SCHEMAS["UTC"])
    except ExpressionsError as error:
        problems = error.problems
    assert problems
    assert all(problem.render() for problem in problems)


@settings(max_examples=500, deadline=None)
@given(st.text())
def test_any_text_compiles_or_is_refused(attempt: str):
    refused_or_compiled(attempt)


@settings(max_examples=1500, deadline=None)
@given(st.lists(WORDS, max_size=25).map(" ".join))
def test_any_words_compile_or_are_refused(attempt: str):
    refused_or_compiled(attempt)


@settings(max_examples=300, deadline=None)
@given(trees("number", 3, {}), st.data())
def test_a_damaged_expression_compiles_or_is_refused(tree: Tree, data: st.DataObject):
    whole = text(tree)
    place = data.draw(st.integers(0, len(whole)))
    cut = data.draw(st.integers(0, 3))
    refused_or_compiled(whole[:place] + data.draw(st.text(max_size=3) | WORDS) + whole[place + cut :])


JUNK = ([1, 2], "text", 10**400, -(10**400), math.nan, math.inf, -math.inf, object(), True, b"x")


@pytest.mark.parametrize("junk", JUNK, ids=lambda one: repr(one)[:6])
@settings(max_examples=15, deadline=None)
@given(drawn=feature_sets())
def test_values_of_the_wrong_type_never_raise(drawn: dict[str, Tree], junk: object):
    compiled = compile_features({name: text(tree) for name, tree in drawn.items()}, SCHEMAS["UTC"])
    found = compiled.function([junk] * len(PAYMENT.fields), [junk] * len(compiled.needed), 0)
    assert len(found) == len(compiled.computed)
