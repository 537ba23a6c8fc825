"""A rule read from a mapping: what it may say, and what is said of what it may not."""

import msgspec
import pytest

from mitra.decision import OUTCOMES as DECIDED
from rules import OUTCOMES, Rule, read_rule, rule_mapping

GOOD = {"id": "big", "when": "amount > 100", "outcome": "review"}


def problems(**given: object) -> list[str]:
    rule, found = read_rule({**GOOD, **given}, "rule")
    assert (rule is None) == bool(found)
    return [one.render() for one in found]


def test_a_rule_needs_three_things():
    rule, found = read_rule(GOOD, "rule")
    assert rule == Rule(id="big", when="amount > 100", outcome="review")
    assert found == []
    assert (rule.mode, rule.percent, rule.by, rule.tags, rule.version, rule.reason) == ("live", None, None, (), 0, "")


def test_a_rule_can_say_all_of_this():
    given = {
        **GOOD,
        "reason": "{amount} is big",
        "mode": "shadow",
        "percent": 12.5,
        "by": "terminal",
        "from": "2026-01-31T08:00:00+01:00",
        "until": 1769850000000,
        "tags": ["cards", "2026"],
    }
    rule, found = read_rule(given, "rule")
    assert found == []
    assert rule == Rule(
        id="big",
        when="amount > 100",
        outcome="review",
        reason="{amount} is big",
        mode="shadow",
        percent=12.5,
        by="terminal",
        from_ms=1769842800000,
        until_ms=1769850000000,
        tags=("cards", "2026"),
    )
    assert read_rule(rule_mapping(rule), "")[0] == rule


def test_outcomes_are_those_of_decisions():
    assert OUTCOMES == DECIDED


def test_everything_wrong_is_told_at_once():
    _, found = read_rule({"id": "a b", "outcome": "stop", "percent": 0, "tags": "x", "mod": "live"}, "rule")
    assert [one.render() for one in found] == [
        'rule.id: found "a b"; allowed: letters, digits, _ and -, at most 64',
        "rule.when: is missing; allowed: a text",
        'rule.outcome: found "stop"; allowed: allow, review, block',
        (
            "rule.percent: found 0; allowed: a number over 0, up to 100, with at most 2 decimals\n"
            "  to stop a rule, give it the mode paused"
        ),
        'rule.tags: found "x"; allowed: a list of at most 32 texts of up to 64 characters\n  put it in square brackets',
        (
            "rule.mod: is not known here; allowed: id, when, outcome, reason, mode, percent, by, tags, from, until\n"
            "  did you mean mode?"
        ),
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"id": 7}, "rule.id: found 7; allowed: letters, digits, _ and -, at most 64\n  put it in quotes"),
        ({"id": "x" * 65}, '…" (65 characters); allowed'),
        ({"id": "ok\n"}, "rule.id: found"),
        ({"when": True}, "rule.when: found true; allowed: a text\n  put it in quotes to make it a text"),
        ({"when": "  "}, "rule.when: found"),
        ({"when": "amount > '\ud800'"}, "without halves of surrogate pairs"),
        ({"when": ["a"]}, "rule.when: found a list of 1"),
        ({"outcome": "blok"}, "did you mean block?"),
        ({"outcome": None}, "rule.outcome: found nothing"),
        ({"outcome": ["block"]}, "rule.outcome: found a list of 1"),
        ({"mode": {}}, "rule.mode: found a mapping of 0"),
        ({"reason": "x" * 1001}, "at most 1,000 characters"),
        ({"percent": 100.5}, "rule.percent: found 100.5"),
        ({"percent": 1.005}, "rule.percent: found 1.005"),
        ({"percent": 0.001}, "rule.percent: found 0.001"),
        ({"percent": True}, "rule.percent: found true"),
        ({"percent": "5%"}, "without quotes"),
        ({"percent": float("nan")}, "rule.percent: found nan"),
        ({"by": "customer"}, "rule.by: says nothing without percent"),
        ({"from": "2026-01-31"}, "add the zone: Z for UTC, or an offset: 2026-01-31T00:00:00Z"),
        ({"from": "2026-01-31T08:00"}, "add the zone: Z for UTC, or an offset: 2026-01-31T08:00Z"),
        ({"from": "soon"}, 'rule.from: found "soon"; allowed: a time like'),
        ({"from": 1.5}, "rule.from: found 1.5"),
        ({"until": -1}, "between 1970 and 2200"),
        ({"until": 10**5000}, "a whole number of over 18 digits"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "between 1970 and 2200"),
        ({"from": 5, "until": 5}, "rule.until: is not after from, so that the rule is never active"),
        ({"tags": [1]}, "rule.tags: found a list of 1; allowed: a list"),
        ({"tags": ["x" * 65]}, "rule.tags"),
        ({"tags": ["x"] * 33}, "rule.tags"),
        ({"version": 2}, "the version is given when the change is taken: leave it out"),
        ({"examples": []}, "examples stay in the file"),
        ({"x" * 500: 1}, f"rule.{'x' * 60}…: is not known here"),
    ],
)
def test_what_a_rule_may_not_say(given: dict[str, object], said: str):
    (found,) = problems(**given)
    assert said in found


@pytest.mark.parametrize(("value", "said"), [(5, "found 5"), (None, "found nothing"), ([GOOD], "found a list of 1")])
def test_a_rule_is_a_mapping(value: object, said: str):
    rule, (problem,) = read_rule(value, "rule")
    assert rule is None
    assert said in problem.message


@pytest.mark.parametrize("empty", [{"reason": ""}, {"reason": None}, {"percent": None}, {"tags": []}, {"from": None}])
def test_nothing_said_is_the_default(empty: dict[str, object]):
    rule, found = read_rule({**GOOD, **empty}, "rule")
    assert found == []
    assert rule == Rule(**GOOD)


def test_a_rule_is_plain_data():
    rule = Rule(**GOOD, version=3, tags=("a",), until_ms=5)
    data = msgspec.json.encode(rule)
    assert data == b'{"id":"big","version":3,"when":"amount > 100","outcome":"review","until_ms":5,"tags":["a"]}'
    assert msgspec.json.decode(data, type=Rule) == rule
