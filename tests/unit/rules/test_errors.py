"""What is said of wrong expressions, kept in files: the expressions above a line of =====, the rendered error below.

After a change that is meant, write the files anew and read the difference:
MITRA_WRITE_GOLDEN=1 .venv/bin/python -m pytest tests/unit/rules/test_errors.py
"""

import os
from pathlib import Path

import pytest
import yaml

from rules import ExpressionProblem, ExpressionsError, compile_features
from tests.factories.expressions import schema

FOLDER = Path(__file__).parents[2] / "golden" / "expressions"
LINE = "=====\n"
CASES = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_errors_are_rendered_as_kept(case: Path):
    given, line, kept = case.read_text(encoding="utf-8").partition(LINE)
    assert line, f"{case} has no line of ====="
    with pytest.raises(ExpressionsError) as caught:
        compile_features(yaml.safe_load(given), schema())
    rendered = f"{caught.value}\n"
    if os.environ.get("MITRA_WRITE_GOLDEN"):
        case.write_text(given + LINE + rendered, encoding="utf-8")
        kept = rendered
    assert rendered == kept


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_every_wrong_expression_of_a_case_is_told(case: Path):
    given = yaml.safe_load(case.read_text(encoding="utf-8").partition(LINE)[0])
    with pytest.raises(ExpressionsError) as caught:
        compile_features(given, schema())
    told = {problem.path for problem in caught.value.problems}
    # A circle is told once, where it begins; what refers to it isn't to blame.
    expected = ("first", "alone") if case.stem == "circle" else given
    assert told == {f"features.{name}" for name in expected}


def test_problems_know_their_place():
    with pytest.raises(ExpressionsError) as caught:
        compile_features({"good": "amount", "bad": "amount +\n  Ω * ammount"}, schema(), subject="rules")
    first, second = caught.value.problems
    assert isinstance(first, ExpressionProblem)
    assert isinstance(second, ExpressionProblem)
    assert (first.path, first.span.line, first.span.column, first.span.end_column) == ("rules.bad", 2, 3, 4)
    assert (second.span.line, second.span.column, second.span.end_column) == (2, 7, 14)
    assert caught.value.subject == "rules"


def test_what_does_not_print_is_shown_as_a_dot():
    with pytest.raises(ExpressionsError) as caught:
        compile_features({"bad": 'amount > "\x1b[2J"'}, schema())
    assert "\x1b" not in str(caught.value)
    assert '1 | amount > "·[2J"' in str(caught.value)


def test_tabs_keep_the_caret_under_its_character():
    with pytest.raises(ExpressionsError) as caught:
        compile_features({"bad": "\tammount"}, schema())
    assert "1 | \tammount\n  | \t^^^^^^^" in str(caught.value)
