"""Every example in docs/rules.md: rules compile, examples hold, and tables and errors are as they are shown."""

import json
import re
from itertools import product
from pathlib import Path

import pytest
import yaml

from mitra.document import read_document
from mitra.errors import ProblemsError
from rules import (
    OUTCOMES,
    ListDeclaration,
    Rule,
    RuleSet,
    check_rules,
    combine,
    read_rule,
    read_rule_file,
    run_examples,
)
from rules.plan import Value
from tests.factories.expressions import PAYMENT, VALUES, schema

TEXT = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
FILES = [body for kind, body in FENCES if kind == "yaml" and not body.startswith("features:")]
(FEATURES,) = [yaml.safe_load(body)["features"] for kind, body in FENCES if body.startswith("features:")]
SAYS = {"true": True, "false": False, "can't be decided": None}
PAGE: dict[str, Value] = dict(zip((field.name for field in PAYMENT.fields), VALUES, strict=True))


def table(heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, without its head."""
    below = TEXT.split(f"# {heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert rows
    return [[cell.strip() for cell in row.strip().strip("|").split(" | ")] for row in rows[0].splitlines()[2:]]


def judge(when: str, reason: str = "", **values: Value):
    made = RuleSet.compile([Rule(id="r", when=when, outcome="review", reason=reason)], FEATURES, schema())
    known = {**PAGE, **values}
    return made.judge([known.get(one.name) for one in made.signals], VALUES[1], {})  # type: ignore[arg-type]


def test_the_page_has_examples_of_each_kind():
    assert len(FILES) >= 5
    assert sum("examples:" in body for body in FILES) >= 1


@pytest.mark.parametrize("content", FILES)
def test_rules_compile_and_their_examples_hold(content: str):
    rules = read_rule_file(read_document(content), "page")
    check_rules({one.rule.id: one.rule for one in rules}, FEATURES, schema())
    assert run_examples(rules, FEATURES, schema()) == []


def test_the_first_rule_fires_as_shown():
    (first,) = read_rule_file(read_document(FILES[0]), "page")
    (shown,) = (json.loads(body) for kind, body in FENCES if kind == "json")
    rule = Rule(**{**{name: getattr(first.rule, name) for name in ("id", "when", "outcome", "reason")}, "version": 1})
    made = RuleSet.compile([rule], FEATURES, schema())
    known = {"amount": 620.0, "usual_amount": 87.5, "payments_1h": 4}
    assert made.judge([known[one.name] for one in made.signals], 0, {}).fired == [shown]


def test_the_page_has_every_key_and_no_other():
    _, (problem,) = read_rule({"id": "a", "when": "b", "outcome": "allow", "?": 1}, "")
    assert f"allowed: {', '.join(row[0].strip('`') for row in ordered(table('What a rule says')))}" in problem.message


def ordered(rows: list[list[str]]) -> list[list[str]]:
    """Return the rows with `tags` where messages have it."""
    names = "id when outcome reason mode percent by tags from until".split()
    return sorted(rows, key=lambda row: names.index(row[0].strip("`")))


@pytest.mark.parametrize(("reason", "reads"), table("Reasons"))
def test_reasons_read_as_shown(reason: str, reads: str):
    (fired,) = judge("True", reason.strip("`"), amount=620.0, usual_amount=87.5).fired
    assert fired["reason"] == reads


@pytest.mark.parametrize(("when", "says", "lacks"), table("Missing is neither true nor false"))
def test_missing_values_come_to_what_is_shown(when: str, says: str, lacks: str):
    judged = judge(when.strip("`"))
    assert bool(judged.fired) == (SAYS[says] is True)
    assert judged.not_evaluated == ({"r": [lacks.strip("`")]} if SAYS[says] is None else {})


LISTS = {
    "immutable block": ListDeclaration(name="immutable", kind="block", by="customer", immutable=True),
    "allow": ListDeclaration(name="allow", kind="allow", by="customer"),
    "block": ListDeclaration(name="block", kind="block", by="customer"),
    "watch": ListDeclaration(name="watch", kind="watch", by="customer"),
}


def among(cell: str, value: str) -> bool:
    return cell == "any" or value in re.split(r", | or ", cell)


def test_the_table_of_precedence_says_what_is_done():
    rows = table("Who decides")
    used = set()
    for on, rules, model in product(product((False, True), repeat=4), ("none", *OUTCOMES), OUTCOMES):
        lists = [name for name, there in zip(LISTS, on, strict=True) if there] or ["none"]
        fitting = [
            (number, row)
            for number, row in enumerate(rows)
            if row[0] in lists and among(row[1], rules) and among(row[2], model)
        ]
        number, row = fitting[0]
        used.add(number)
        strongest = None if rules == "none" else OUTCOMES.index(rules)  # type: ignore[arg-type]
        held = [LISTS[name] for name in lists if name != "none"]
        outcome, by = combine(strongest, held, OUTCOMES.index(model))
        assert OUTCOMES[outcome] == row[3], (lists, rules, model)
        assert by.split(":")[0] in row[4].split(" or "), (lists, rules, model, by)
    assert used == set(range(len(rows)))


@pytest.mark.parametrize("shown", [body for kind, body in FENCES if kind == "text" and "-->" in body])
def test_errors_read_as_shown(shown: str):
    source = re.search(r"^1 \| (.*)$", shown, re.MULTILINE)
    assert source
    with pytest.raises(ProblemsError) as caught:
        check_rules({"big": Rule(id="big", when=source[1], outcome="review")}, FEATURES, schema())
    (problem,) = caught.value.problems
    assert problem.render() == shown.rstrip("\n")


def test_an_example_that_does_not_hold_reads_as_shown():
    (shown,) = [body for kind, body in FENCES if kind == "text" and body.startswith("examples[")]
    content = """id: big
when: amount > 3 * usual_amount
outcome: review
examples:
- {event: {amount: 120}, given: {usual_amount: 50}, fires: true}
"""
    (problem,) = run_examples(read_rule_file(read_document(content), "page"), FEATURES, schema())
    assert problem.render() == shown.rstrip("\n")
