"""The example's ready rules catch what they are meant for among honest look-alikes, on seeds that nobody looked at to write them.

`python -m bench.ready_rules` measures them on larger samples.
"""

from functools import cache

import pytest

from bench.ready_rules import IN_SHADOW, MEANT, Figures, measure

SEEDS = (41, 42, 43)


@cache
def figures(seed: int) -> Figures:
    return measure(seed, customers=400, days=36)


@pytest.mark.parametrize("rule", [rule for rule in MEANT if rule not in IN_SHADOW])
def test_nine_in_ten_of_what_a_rule_fires_on_are_frauds(rule: str) -> None:
    found = [figures(seed) for seed in SEEDS]
    fired = sum(one.fired[rule] for one in found)
    assert fired >= 5
    assert sum(one.right[rule] for one in found) >= 0.9 * fired


def test_impossible_travel_is_caught() -> None:
    found = [figures(seed) for seed in SEEDS]
    of = sum(one.of["impossible_travel"] for one in found)
    assert sum(one.caught["impossible-travel"] for one in found) >= 0.95 * of > 0


def test_awakened_accounts_are_caught_and_most_of_what_mules_get() -> None:
    found = [figures(seed) for seed in SEEDS]
    assert (
        sum(one.caught["dormant-account"] for one in found)
        >= 0.95 * sum(one.of["dormant_awakened"] for one in found)
        > 0
    )
    assert sum(one.caught["mule-fan-in"] for one in found) >= 0.6 * sum(one.of["mule_fan_in"] for one in found) > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_card_testing_is_caught_by_its_fourth_payment(seed: int) -> None:
    assert figures(seed).testing
    assert all(place is not None and place <= 4 for place in figures(seed).testing)
