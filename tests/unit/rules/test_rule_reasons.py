"""Reasons: templates with expressions in braces, their mistakes' places, and how values read."""

import pytest

from mitra.errors import ProblemsError
from rules import ExpressionProblem, Rule, RuleSet
from rules.plan import Value, ValueType
from rules.reasons import shown
from tests.factories.expressions import SATURDAY_NIGHT_MS, schema

FEATURES = {"usual": 'mean(amount, by=customer, over="30d")'}
VALUES: dict[str, Value] = {"amount": 120.0, "country": "DE", "items": 3, "usual": 17.123, "online": True}


def reason(text: str, values: dict[str, Value] = VALUES) -> str:
    made = RuleSet.compile([Rule(id="r", when="True", outcome="review", reason=text)], FEATURES, schema())
    (fired,) = made.judge([values.get(one.name) for one in made.signals], SATURDAY_NIGHT_MS, {}).fired
    return fired["reason"]


def places(text: str) -> list[tuple[int, int, int, str]]:
    with pytest.raises(ProblemsError) as caught:
        RuleSet.compile([Rule(id="r", when="True", outcome="review", reason=text)], FEATURES, schema())
    found = []
    for problem in caught.value.problems:
        assert isinstance(problem, ExpressionProblem)
        assert problem.path == "rules.r.reason"
        assert problem.text == text
        found.append((problem.span.line, problem.span.column, problem.span.end_column, problem.message))
    return found


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("no braces", "no braces"),
        ("{amount}", "120"),
        ("{amount}{items}", "1203"),
        ("{amount} is {amount / usual} × the usual {usual}", "120 is 7.01 × the usual 17.12"),
        ("{{amount}}", "{amount}"),
        ("{{{amount}}}", "{120}"),
        ("at {hour(time)} h in {country}", "at 23 h in DE"),
        ("{device_id}", "missing"),
        ('{default(device_id, "}{")}', "}{"),
        (r"""{default(device_id, 'a\'}"')}""", "a'}\""),
        ("{amount\n > 100} and {online}", "True and True"),
        ("{ amount }", "120"),
        ("a\nb {amount}", "a\nb 120"),
    ],
)
def test_braces_are_filled(text: str, filled: str):
    assert reason(text) == filled


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{ammount}", [(1, 2, 9, "unknown name ammount")]),
        ("big: {amount} of {usuall}", [(1, 19, 25, "unknown name usuall")]),
        ("a\nbc {amount +\n nix}", [(3, 2, 5, "unknown name nix")]),
        ("Ω {Ω}", [(1, 4, 5, "unknown name Ω")]),
        ("{x} {y}", [(1, 2, 3, "unknown name x"), (1, 6, 7, "unknown name y")]),
        ("oops {amount", [(1, 6, 7, "a brace is opened and not closed")]),
        ("oops amount}", [(1, 12, 13, "a brace is closed that was not opened")]),
        ("{}", [(1, 2, 3, "the expression is empty")]),
        ("{amount, items}", [(1, 2, 3, "one expression is wanted, not several")]),
        ("{time}", [(1, 2, 6, "a time can't be reckoned with")]),
        ("{amount:.2f}", [(1, 8, 9, "a format behind : is not part of the language")]),
        ("{amount!r}", [(1, 8, 9, "invalid syntax")]),
        ("{country.__class__}", [(1, 2, 19, "a dot reaches into nothing here: values have no parts")]),
        ("{amount}" * 17, [(1, 130, 131, "a reason has at most 16 values")]),
    ],
)
def test_mistakes_have_their_place_in_the_whole_text(text: str, found: list[tuple[int, int, int, str]]):
    assert places(text) == found


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "number", "missing"),
        (0.0, "number", "0"),
        (-0.0, "number", "0"),
        (120.5, "number", "120.5"),
        (120.456, "number", "120.46"),
        (-7.999, "number", "-8"),
        (0.123456, "number", "0.123"),
        (0.000012345, "number", "1.23e-05"),
        (1e15, "number", "1e+15"),
        (1.7e308, "number", "1.7e+308"),
        (999_999_999_999.25, "number", "999999999999.25"),
        (5, "integer", "5"),
        (5.0, "integer", "5"),
        (1.0, "boolean", "True"),
        (False, "boolean", "False"),
        (0, "boolean", "False"),
        ("x" * 300, "string", "x" * 200 + "…"),
        ("a\x1b[2J\nb", "string", "a·[2J·b"),
        ("Ελλάδα", "string", "Ελλάδα"),
    ],
)
def test_values_read_as_a_person_reads(value: Value, kind: ValueType, text: str):
    assert shown(value, kind) == text
