"""Every example in docs/expressions.md: expressions compile, results are results, and errors read as they are shown."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

from rules import ExpressionsError, check_expressions, compile_features
from tests.factories.expressions import PAYMENT, VALUES, matched_schema, orders_schema, schema

TEXT = (Path(__file__).parents[3] / "docs" / "expressions.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ROWS = re.findall(r"^\| `(.+?)` \| (missing|True|False|-?[\d.]+|\"\w*\") \|", TEXT, re.MULTILINE)
EXPRESSIONS = [one for kind, body in FENCES if kind == "python" for one in body.split("\n\n")]
ERRORS = [body for kind, body in FENCES if kind == "text"]


def test_the_page_has_examples_of_each_kind():
    assert len(ROWS) > 40
    assert len(EXPRESSIONS) > 10
    assert len(ERRORS) >= 3


def test_the_payment_of_the_page_is_that_of_the_tests():
    (shown,) = (json.loads(body) for kind, body in FENCES if kind == "json")
    assert [shown.get(field.name) for field in PAYMENT.fields] == list(VALUES)


@pytest.mark.parametrize(("expression", "result"), ROWS, ids=[expression for expression, _ in ROWS])
def test_results_are_as_shown(expression: str, result: str):
    expected = None if result == "missing" else ast.literal_eval(result)
    made = compile_features({"f": expression}, schema())
    (found,) = made.function(VALUES, (), VALUES[1])  # type: ignore[arg-type]
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_examples_compile(expression: str):
    known = matched_schema() if "matched(" in expression or "sequence_match" in expression else schema()
    check_expressions({"f": expression}, known, "features")


def test_features_compile_together():
    for kind, body in FENCES:
        if kind == "yaml":
            known = orders_schema() if "order_id" in body else schema()
            assert compile_features(yaml.safe_load(body), known).names


@pytest.mark.parametrize("shown", ERRORS)
def test_errors_read_as_shown(shown: str):
    place = re.search(r"--> features\.(\w+):", shown)
    source = re.search(r"^1 \| (.*)$", shown, re.MULTILINE)
    assert place
    assert source
    with pytest.raises(ExpressionsError) as caught:
        compile_features({place[1]: source[1]}, schema())
    (problem,) = caught.value.problems
    assert problem.render() == shown.rstrip("\n")
