"""The example's ready rules catch what they are meant for among honest look-alikes, on seeds that nobody looked at to write them.

`python -m bench.ready_rules` measures them on larger samples.
"""

from functools import cache

import pytest

from bench.ready_rules import MEANT, RECALL, Figures, measure

SEEDS = (41, 42, 43)
SELDOM = "compromised-terminal"
"""Fires once or twice on a sample of this size: what it is worth shows on more."""


@cache
def figures(seed: int) -> Figures:
    return measure(seed, customers=400, days=36)


def caught(rule: str) -> float:
    """Return how much of what it is meant for a rule caught, over all seeds."""
    found = [figures(seed) for seed in SEEDS]
    return sum(one.caught[rule] for one in found) / sum(one.of[MEANT[rule]] for one in found)


@pytest.mark.parametrize("rule", [rule for rule in MEANT if rule != SELDOM])
def test_nine_in_ten_of_what_a_rule_fires_on_are_frauds(rule: str) -> None:
    found = [figures(seed) for seed in SEEDS]
    fired = sum(one.fired[rule] for one in found)
    assert fired >= 5
    assert sum(one.right[rule] for one in found) >= 0.9 * fired


@pytest.mark.parametrize("rule", RECALL)
def test_impossible_travel_and_takeovers_are_caught(rule: str) -> None:
    assert caught(rule) >= RECALL[rule]


def test_awakened_accounts_are_caught_and_most_of_what_mules_get() -> None:
    assert caught("dormant-account") >= 0.95
    assert caught("mule-fan-in") >= 0.6


@pytest.mark.parametrize("seed", SEEDS)
def test_card_testing_is_caught_by_its_fourth_payment(seed: int) -> None:
    assert figures(seed).testing
    assert all(place is not None and place <= 4 for place in figures(seed).testing)
