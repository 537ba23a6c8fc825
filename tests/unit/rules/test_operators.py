"""Every operator and function on every pair from a small set of values, in each place a constant can stand."""

import itertools

import pytest

from rules import Signal, check_expressions
from tests.factories.expressions import schema
from tests.oracles.expressions import Tree, World, text, value

SCHEMA = schema()
NUMBERS = (None, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.5, 3.0, 1e308, -1e308)
INTEGERS = (None, -3, -1, 0, 1, 2, 2**62, 2**63 - 1, -(2**63) + 1)
TEXTS = (None, "", "a", "A", "ab", "b", "ß")
BOOLEANS = (None, False, True)
AMOUNT, LAT = Tree("name", "number", (), "amount"), Tree("name", "number", (), "lat")
ITEMS, COUNTRY = Tree("name", "integer", (), "items"), Tree("name", "string", (), "country")
DEVICE, ONLINE = Tree("name", "string", (), "device_id"), Tree("name", "boolean", (), "online")
PREVIOUS = Tree("aggregate", "boolean", (), "previous(online, by=customer)")
ARITHMETIC = ("+", "-", "*", "/", "//", "%")
ORDER = ("==", "!=", "<", "<=", ">", ">=")
LITERALS = (0, 1, 2, 2.5, 3.0, 1e308)


def literal(found: float | str) -> Tree:
    kind = "string" if isinstance(found, str) else "number" if isinstance(found, float) else "integer"
    return Tree("literal", kind, (), found)


def of(kind: str, operator: str, left: Tree, right: Tree) -> Tree:
    if kind == "compare":
        return Tree(kind, "boolean", (left, right), operator)
    whole = operator != "/" and left.type == right.type == "integer"
    return Tree("binary", "integer" if whole else "number", (left, right), operator)


def compare_with_oracle(tree: Tree, **columns: tuple[object, ...]) -> None:
    """Evaluate a tree for each combination of the columns' values, both ways."""
    expression = check_expressions({"f": text(tree)}, SCHEMA, "features")["f"]
    for row in itertools.product(*columns.values()):
        known = dict(zip(columns, row, strict=True))
        world = World(known, {PREVIOUS.detail: known.get("previous")}, 0)  # type: ignore[arg-type]
        values = [known["previous" if one.kind == "aggregate" else one.name] for one in expression.signals]
        found, expected = expression.function(values, 0), value(tree, world)  # type: ignore[arg-type]
        assert found == expected, (text(tree), known)
        assert (found is None) == (expected is None), (text(tree), known)
        assert isinstance(found, bool) == isinstance(expected, bool), (text(tree), known)


@pytest.mark.parametrize("operator", [*ARITHMETIC, *ORDER])
def test_numbers(operator: str):
    kind = "compare" if operator in ORDER else "binary"
    compare_with_oracle(of(kind, operator, AMOUNT, LAT), amount=NUMBERS, lat=NUMBERS)
    compare_with_oracle(of(kind, operator, AMOUNT, ITEMS), amount=NUMBERS, items=INTEGERS)
    compare_with_oracle(of(kind, operator, ITEMS, AMOUNT), amount=NUMBERS, items=INTEGERS)
    compare_with_oracle(of(kind, operator, ITEMS, ITEMS), items=INTEGERS)
    for one in map(literal, LITERALS):
        compare_with_oracle(of(kind, operator, AMOUNT, one), amount=NUMBERS)
        compare_with_oracle(of(kind, operator, one, AMOUNT), amount=NUMBERS)
        compare_with_oracle(of(kind, operator, one, ITEMS), items=INTEGERS)
        compare_with_oracle(of(kind, operator, ITEMS, one), items=INTEGERS)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(ARITHMETIC, ARITHMETIC)))
def test_chains_of_two(first: str, second: str):
    for left, middle, right in ((AMOUNT, LAT, AMOUNT), (ITEMS, ITEMS, AMOUNT), (ITEMS, ITEMS, ITEMS)):
        columns = {"amount": NUMBERS, "lat": NUMBERS, "items": INTEGERS}
        used = {one.detail: columns[one.detail] for one in (left, middle, right)}
        compare_with_oracle(of("binary", second, of("binary", first, left, middle), right), **used)
        compare_with_oracle(of("binary", first, left, of("binary", second, middle, right)), **used)


@pytest.mark.parametrize("operator", ORDER)
def test_texts_and_booleans(operator: str):
    compare_with_oracle(of("compare", operator, COUNTRY, DEVICE), country=TEXTS, device_id=TEXTS)
    compare_with_oracle(of("compare", operator, literal("ab"), COUNTRY), country=TEXTS)
    if operator in {"==", "!="}:
        compare_with_oracle(of("compare", operator, ONLINE, PREVIOUS), online=BOOLEANS, previous=(None, 0.0, 1.0))


@pytest.mark.parametrize("word", ["and", "or"])
def test_three_valued_logic(word: str):
    bigger = Tree("compare", "boolean", (AMOUNT, literal(0)), ">")
    certain = Tree("call", "boolean", (COUNTRY,), "is_missing")
    columns = {"online": BOOLEANS, "previous": (None, 0.0, 1.0), "amount": (None, -1.0, 1.0), "country": (None, "DE")}
    compare_with_oracle(Tree("logic", "boolean", (ONLINE, PREVIOUS, bigger, certain), word), **columns)
    negated = tuple(Tree("not", "boolean", (one,)) for one in (ONLINE, PREVIOUS, bigger, certain))
    compare_with_oracle(Tree("logic", "boolean", negated, word), **columns)
    compare_with_oracle(Tree("logic", "boolean", (certain, Tree("not", "boolean", (certain,))), word), country=TEXTS)


@pytest.mark.parametrize("name", ["abs", "log", "sqrt", "round", "is_missing"])
def test_functions_of_a_number(name: str):
    kind = {"round": "integer", "is_missing": "boolean", "abs": "number"}.get(name, "number")
    compare_with_oracle(Tree("call", kind, (AMOUNT,), name), amount=NUMBERS)
    compare_with_oracle(Tree("call", "integer" if name == "abs" else kind, (ITEMS,), name), items=INTEGERS)
    sums = Tree("call", kind, (of("binary", "+", AMOUNT, LAT),), name)
    compare_with_oracle(sums, amount=NUMBERS, lat=NUMBERS)


@pytest.mark.parametrize("name", ["least", "greatest", "default"])
def test_functions_of_two_numbers(name: str):
    compare_with_oracle(Tree("call", "number", (AMOUNT, LAT), name), amount=NUMBERS, lat=NUMBERS)
    compare_with_oracle(Tree("call", "number", (AMOUNT, literal(0)), name), amount=NUMBERS)
    inner = Tree("call", "number", (of("binary", "/", AMOUNT, LAT), AMOUNT), name)
    compare_with_oracle(inner, amount=NUMBERS, lat=NUMBERS)


@pytest.mark.parametrize("name", ["starts_with", "contains", "default"])
def test_functions_of_two_texts(name: str):
    kind = "string" if name == "default" else "boolean"
    compare_with_oracle(Tree("call", kind, (COUNTRY, DEVICE), name), country=TEXTS, device_id=TEXTS)
    lower = Tree("call", "string", (COUNTRY,), "lower")
    compare_with_oracle(Tree("call", kind, (lower, literal("a")), name), country=TEXTS)


@pytest.mark.parametrize("word", ["in", "not in"])
def test_lists(word: str):
    compare_with_oracle(Tree("in", "boolean", (AMOUNT,), (word, (1, 2.5, -3))), amount=NUMBERS)
    compare_with_oracle(Tree("in", "boolean", (ITEMS,), (word, (1.0, 2))), items=INTEGERS)
    compare_with_oracle(Tree("in", "boolean", (COUNTRY,), (word, ("a", "ß"))), country=TEXTS)


def test_choices_and_what_surrounds_them():
    choice = Tree("choice", "number", (ONLINE, AMOUNT, literal(1)))
    columns = {"online": BOOLEANS, "amount": NUMBERS, "previous": (None, 0.0, 1.0)}
    compare_with_oracle(choice, online=BOOLEANS, amount=NUMBERS)
    compare_with_oracle(of("binary", "/", choice, choice), online=BOOLEANS, amount=NUMBERS)
    chosen = Tree("choice", "boolean", (PREVIOUS, ONLINE, Tree("not", "boolean", (PREVIOUS,))))
    compare_with_oracle(Tree("choice", "number", (chosen, choice, Tree("negative", "number", (AMOUNT,)))), **columns)


def test_chained_comparisons_decide_as_soon_as_one_is_false():
    tree = Tree("chained", "boolean", (AMOUNT, LAT, literal(1)), ("<", "<="))
    compare_with_oracle(tree, amount=NUMBERS, lat=NUMBERS)
    found = check_expressions({"f": "amount < lat < 1"}, SCHEMA, "f")["f"]
    known = {Signal("field", "amount"): None, Signal("field", "lat"): 2.0}
    assert found.function([known[one] for one in found.signals], 0) is False
