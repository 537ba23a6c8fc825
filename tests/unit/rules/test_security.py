"""Hostile expressions: each is refused, in bounded time, by an error like any other."""

import builtins
import sys

import pytest

from rules import ExpressionsError, compile_features
from rules.code import _names
from tests.factories.expressions import schema

HOSTILE = [
    "__import__('os').system('true')",
    "__import__",
    "__builtins__",
    "__builtins__['eval']('1')",
    "().__class__.__bases__[0].__subclasses__()",
    "amount.__class__",
    "country.__class__.__mro__[-1]",
    "country.format(x=amount)",
    "'{0.__class__}'.format(amount)",
    "'%s' % amount",
    "f'{amount.__class__}'",
    "f'{amount!r}'",
    "(x := amount)",
    "lambda: 1",
    "(lambda: 1)()",
    "[x for x in country]",
    "{x for x in country}",
    "{x: x for x in country}",
    "(x for x in country)",
    "[*country]",
    "least(*[1, 2])",
    "default(**{'x': 1})",
    "default(x=1, y=2)",
    "eval('1')",
    "exec('1')",
    "compile('1', '', 'eval')",
    "open('/etc/passwd')",
    "getattr(amount, 'real')",
    "globals()",
    "vars()",
    "print(1)",
    "input()",
    "breakpoint()",
    "exit()",
    "type(amount)",
    "abs.__self__",
    "again(1)",
    "again",
    "offset_ms(1)",
    "day_of_month(1)",
    "F[0]",
    "F",
    "A",
    "T",
    "v0",
    "t1",
    "abs",
    "min(amount, 1)",
    "Exception",
    "None",
    "...",
    "b'x'",
    "1j",
    "amount ** amount",
    "9 ** 9 ** 9",
    "'x' * 1000000000",
    "1 << 100000000",
    "9" * 4000,
    "0x" + "f" * 4000,
    "1e999",
    "[1] * 10",
    "country[0]",
    "country[:]",
    "await amount",
    "(yield)",
    "(yield from amount)",
    "amount; amount",
    "amount\namount",
    "import os",
    "del amount",
    "amount = 1",
    "amount if online",
    "not",
    "\x00",
    "amount\x00",
    "\ud800",
    "'\\ud800'",
    "'\\N{SNOWMAN}' + 1",
    "# -*- coding: utf-7 -*-\n+AGE-",
    "`amount`",
    "amount) or (amount",
    ")(",
    "(" * 300 + "1" + ")" * 300,
    "(" * 90 + "amount" + ")" * 90 + ")",
    "[" * 300,
    "-" * 4000 + "1",
    "not " * 1000 + "online",
    "~" * 4000 + "1",
    "amount" + ".real" * 800,
    "abs(" * 99 + "amount" + ")" * 99,
    "+".join(["amount"] * 580),
    "*".join(["amount"] * 580),
    "1 if online else " * 230 + "1",
    "lambda:" * 570 + "1",
    "a" * 4096,
    "amount + " * 5000 + "1",
    "'" + "x" * 4000 + "'",
    "'" + "x" * 100_000 + "'",
    " " * 100_000,
    "f'" + "{" * 1000 + "'",
    "'''",
    "r'\\",
]


@pytest.mark.parametrize("attempt", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_hostile_expressions_are_refused(attempt: str):
    with pytest.raises(ExpressionsError):
        compile_features({"attempt": attempt}, schema())


@pytest.mark.parametrize("attempt", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_hostile_conditions_are_refused(attempt: str):
    with pytest.raises(ExpressionsError):
        compile_features(
            {"attempt": f'count(by=customer, over="1h", where={attempt})'}, schema(size=10**6, depth=10**6)
        )


def test_a_schema_without_bounds_still_has_some():
    wide = schema(size=10**7, depth=10**7)
    for attempt in (
        "abs(" * 99 + "amount" + ")" * 99,
        "+".join(["amount"] * 100_000),
        "(" * 10_000,
        "-" * 100_000 + "1",
    ):
        with pytest.raises(ExpressionsError):
            compile_features({"attempt": attempt}, wide)


def test_what_is_allowed_runs_at_the_edge_of_the_bounds():
    deepest = schema(size=10**6, depth=64)
    attempts = {
        "calls": "abs(" * 62 + "amount" + ")" * 62,
        "choices": "1 if online else (" * 62 + "amount" + ")" * 62,
        "logic": "(online and not (" * 30 + "online" + "))" * 30,
        "chain": " + ".join(["amount"] * 256),
        "long_or": " or ".join(f"amount == {number}" for number in range(10_000)),
        "divisions": "(1 + 1 / (" * 30 + "amount" + "))" * 30,
        "list": f"amount in {list(range(10_000))}",
    }
    compiled = compile_features(attempts, deepest)
    values = ["p", 0, "c", "t", None, 120.0, 3, "DE", True, None, None]
    found = dict(zip(compiled.computed, compiled.function(values, (), 0), strict=True))
    assert found["calls"] == 120.0
    assert found["chain"] == 256 * 120.0
    assert found["long_or"] is True
    assert found["list"] is True
    assert None not in found.values()


def test_features_that_square_each_other_stay_small():
    texts = {"f0": "items * items"} | {f"f{i}": f"f{i - 1} * f{i - 1}" for i in range(1, 100)}
    compiled = compile_features(texts, schema())
    found = compiled.function(["p", 0, "c", "t", None, 1.0, 12345, None, None, None, None], (), 0)
    assert found[0] == 12345**2
    assert found[2:] == (None,) * 98


def test_generated_code_can_name_little():
    assert set(_names("UTC", "result = abs(v0)")) == {
        *("abs", "min", "max", "round", "Exception", "log", "sqrt", "day_of_month", "distance_km", "__builtins__"),
    }
    assert _names("UTC", "")["__builtins__"] == {}
    function = compile_features({"f": "abs(amount)"}, schema()).function
    assert "eval" not in function.__globals__  # type: ignore[attr-defined]
    assert "eval" in vars(builtins)


def test_refusing_leaves_the_recursion_limit_alone():
    before = sys.getrecursionlimit()
    with pytest.raises(ExpressionsError):
        compile_features({"f": "-" * 4000 + "1"}, schema())
    assert sys.getrecursionlimit() == before
