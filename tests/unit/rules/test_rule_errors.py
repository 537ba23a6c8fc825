"""What is said of wrong rule files, kept in files: the rules above a line of =====, what is told of them below.

After a change that is meant, write the files anew and read the difference:
MITRA_WRITE_GOLDEN=1 .venv/bin/python -m pytest tests/unit/rules/test_rule_errors.py
"""

import os
from pathlib import Path

import pytest

from mitra.document import read_document
from mitra.errors import ProblemsError
from rules import check_rules, read_rule_file, run_examples
from tests.factories.expressions import schema

FOLDER = Path(__file__).parents[2] / "golden" / "rules"
LINE = "=====\n"
CASES = sorted(FOLDER.glob("*.txt"))
FEATURES = {"usual": 'mean(amount, by=customer, over="30d")', "times_usual": "amount / usual"}


def told(text: str, name: str) -> str:
    """Return all that is told of a file: of its form, or of its rules, or of its examples."""
    try:
        rules = read_rule_file(read_document(text), name)
        check_rules({one.rule.id: one.rule for one in rules}, FEATURES, schema())
        problems = run_examples(rules, FEATURES, schema())
    except ProblemsError as error:
        return f"{error}\n"
    return f"{ProblemsError(name, problems)}\n"


def test_there_are_cases():
    assert len(CASES) >= 4


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_errors_are_rendered_as_kept(case: Path):
    given, line, kept = case.read_text(encoding="utf-8").partition(LINE)
    assert line, f"{case} has no line of ====="
    rendered = told(given, f"{case.stem}.yaml")
    if os.environ.get("MITRA_WRITE_GOLDEN"):
        case.write_text(given + LINE + rendered, encoding="utf-8")
        kept = rendered
    assert rendered == kept
