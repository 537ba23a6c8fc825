"""Verdicts on rules, from what a decision shows, against the judge that had all values before it."""

import random
from typing import Any

import pytest

from mitra.inquiry.known import known_values
from mitra.inquiry.verdicts import Payment, Verdict, verdict
from rules import Rule, RuleSet, Signal, compile_features
from rules.rule_check import compile_rules, entity_of
from tests.factories.expressions import PAYMENT, VALUES, schema

SCHEMA = schema()
HOUR_MS = 3_600_000
FEATURES = {
    "amount_": "amount",
    "count_1h": 'count(by=customer, over="1h")',
    "usual": 'mean(amount, by=customer, over="30d")',
    "risk": "default(mean(fraud, by=terminal, over='7d', delay='7d'), 0)",
    "night": "hour(time) < 6",
    "times_usual": "amount / usual",
    "abroad": "previous(country, by=customer) != country",
}
COMPILED = compile_features(FEATURES, SCHEMA)
TIME_MS = VALUES[1]
KEYS = {"customer": "c1", "terminal": "t1"}
RULES = [
    Rule(id="big", when="amount > 100 and times_usual > 3", outcome="review", reason="{amount} of {usual}"),
    Rule(id="busy", when='count(by=customer, over="60m") > 3', outcome="block", mode="shadow"),
    Rule(id="own", when='count(by=terminal, over="10m") > 3 and amount > 100', outcome="block"),
    Rule(id="risky", when="mean(fraud, by=terminal, over='7d', delay='7d') > 0.5 or risk > 0.7", outcome="block"),
    Rule(id="abroad", when="abroad or device_id == 'x'", outcome="review"),
    Rule(id="early", when="amount > 0", outcome="review", from_ms=TIME_MS + 1),
    Rule(id="over", when="amount > 0", outcome="review", until_ms=TIME_MS),
    Rule(id="rests", when="amount > 0", outcome="review", mode="paused"),
    Rule(id="snoozed", when="amount > 0", outcome="review"),
    Rule(id="few", when="amount > 0", outcome="review", percent=5.0),
    Rule(id="device", when="amount > 0", outcome="review", percent=100.0, by="device_country"),
    Rule(id="nightly", when="night", outcome="review"),
]
CODES = {rule.id: code for rule, code in compile_rules(RULES, FEATURES, SCHEMA)}


def drawn(chance: random.Random) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a payment's values and an answer for each aggregate that features and rules ask."""
    values = list(VALUES)
    values[4] = chance.choice([None, "x", "y"])
    values[5] = chance.choice([50.0, 120.0, 700.0])
    values[7] = chance.choice([None, "DE", "FR"])
    answers: dict[str, Any] = {}
    for one in (*COMPILED.aggregates, *(one for code in CODES.values() for one in code.condition.aggregates)):
        pool: list[Any] = [None, "DE", "FR"] if one.value_type == "string" else [0, 2, 5]
        if one.function == "mean":
            pool = [None, 0.0, 0.6, 0.8] if one.field == "fraud" else [None, 20.0, 100.0]
        answers.setdefault(one.key, chance.choice(pool))
    return tuple(values), answers


def judged(values: tuple[Any, ...], answers: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the features, and the decision as far as rules make it."""
    known: dict[Signal, Any] = {
        Signal("field", field.name): value for field, value in zip(PAYMENT.fields, values, strict=True)
    }
    known |= {Signal("aggregate", key): value for key, value in answers.items()}
    for name in ("amount_", "count_1h", "usual", "risk", "night", "times_usual", "abroad"):
        one = COMPILED.expressions[name]
        known[Signal("feature", name)] = one.function([known[signal] for signal in one.signals], TIME_MS)
    made = RuleSet.compile(RULES, FEATURES, SCHEMA)
    said = made.judge([known[signal] for signal in made.signals], TIME_MS, KEYS, {"snooze:snoozed"})
    features = {signal.name: value for signal, value in known.items() if signal.kind == "feature"}
    return features, {"rules": said.fired, "shadow": said.shadow, "not_evaluated": said.not_evaluated}


def verdicts(decision: dict[str, Any], values: Any, features: Any, keys: Any = KEYS) -> dict[str, Verdict]:
    known = known_values(COMPILED, PAYMENT, values, features, TIME_MS)
    payment = Payment(TIME_MS, keys, {"snooze:snoozed"}, known)
    return {rule.id: verdict(rule, CODES[rule.id], entity_of(rule, SCHEMA) or "", decision, payment) for rule in RULES}


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("shows", ["all", "features", "payment", "nothing"])
def test_what_is_concluded_never_contradicts_the_judge(seed: int, shows: str):
    values, answers = drawn(random.Random(seed))
    features, decision = judged(values, answers)
    found = verdicts(
        decision,
        values if shows in {"all", "payment"} else None,
        features if shows in {"all", "features"} else None,
    )
    fired = {one["id"]: one["reason"] for kind in ("rules", "shadow") for one in decision[kind]}
    for name, one in found.items():
        assert one.otherwise == "", (name, one)
        assert (one.said == "fires") == (name in fired)
        assert (one.said == "can't be decided") == (name in decision["not_evaluated"])
        if name in {"early", "over", "rests", "snoozed", "few", "device"}:
            assert one.said == "not asked"
    if shows == "all":
        assert [name for name, one in found.items() if one.unknown] == [
            name for name in ("own", "risky") if name == "own" or features["risk"] == 0
        ]


def test_values_that_were_not_written_down_are_not_taken_for_missing():
    values, answers = drawn(random.Random(1))
    features, decision = judged(values, {**answers, "count(by=terminal, over=10m)": 0})
    own = verdicts(decision, values, features)["own"]
    assert own.unknown == ("count(by=terminal, over=10m)",)
    assert own.said == "false"


def test_a_false_rule_says_which_of_its_conditions_are_false():
    values, answers = drawn(random.Random(0))
    values = (*values[:5], 50.0, *values[6:])
    features, decision = judged(values, {**answers, "mean(amount, by=customer, over=30d)": 20.0})
    big = verdicts(decision, values, features)["big"]
    assert (big.said, big.why) == ("false", "not (amount > 100) and not (times_usual > 3)")
    assert big.values == {"amount": "50", "times_usual": "2.5"}


def test_what_contradicts_the_decision_is_told():
    values, answers = drawn(random.Random(0))
    values = (*values[:5], 700.0, *values[6:])
    features, decision = judged(values, {**answers, "mean(amount, by=customer, over=30d)": 20.0})
    assert [one["id"] for one in decision["rules"]][:1] == ["big"] or decision["rules"]
    decision["rules"] = [one for one in decision["rules"] if one["id"] != "big"]
    assert verdicts(decision, values, features)["big"].otherwise == "by the values shown here it fires"


def test_a_replays_decision_without_reasons_gets_them_filled_in():
    values, answers = drawn(random.Random(0))
    values = (*values[:5], 700.0, *values[6:])
    features, decision = judged(values, {**answers, "mean(amount, by=customer, over=30d)": 20.0})
    bare = {**decision, "rules": [{"id": one["id"]} for one in decision["rules"]]}
    assert verdicts(bare, values, features)["big"].why == "700 of 20"


def test_without_keys_it_says_that_nobody_knows_who_is_in_the_percent():
    values, answers = drawn(random.Random(0))
    features, decision = judged(values, answers)
    few = verdicts(decision, None, features, None)["few"]
    assert "isn't known here" in few.why
