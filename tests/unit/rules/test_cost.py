"""Estimates grow with what a text holds, and count once what is answered once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import compile_features
from rules.cost import RULE_US, Estimate, aggregate_us, tree_us
from rules.expression import Expression
from tests.factories.expressions import schema

CONDITIONS = (
    "amount > 1",
    'country in ["DE", "FR"]',
    "hour(at) < 6",
    "distance_km(lat, lon, 1, 2) > 3",
    "not online",
    'count(by=customer, over="1h") > 2',
    "round(amount / 7, 2) == 3",
)


def expression(text: str) -> Expression:
    return compile_features({"it": text}, schema()).expressions["it"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=5), st.sampled_from(CONDITIONS))
def test_a_longer_condition_never_costs_less(parts: list[str], more: str) -> None:
    for word in ("and", "or"):
        shorter, longer = (tree_us(expression(f" {word} ".join(held)).tree) for held in (parts, [*parts, more]))
        assert longer > shorter or (longer == shorter and more in parts)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sets(st.integers(1, 6), max_size=4)), max_size=6), st.integers(0, 6)
)
def test_more_rules_never_cost_less_and_a_shared_window_is_paid_once(
    rules: list[tuple[str, set[int]]], cut: int
) -> None:
    def total(held: list[tuple[str, set[int]]]) -> Estimate:
        found = Estimate()
        for number, (_, hours) in enumerate(held):
            texts = [f'count(by=customer, over="{one}h") > 1' for one in sorted(hours)] or ["amount > 1"]
            aggregates = [one for text in texts for one in expression(text).aggregates]
            found.add(str(number), RULE_US, aggregates)
        return found

    whole, part = total(rules), total(rules[:cut])
    assert whole.total_us >= part.total_us
    windows = {one for _, hours in rules for one in hours}
    (window,) = expression('count(by=customer, over="1h")').aggregates
    assert whole.total_us == pytest.approx(RULE_US * len(rules) + aggregate_us(window) * len(windows))
    assert sum(whole.by_name.values()) >= whole.total_us - 1e-9


@pytest.mark.parametrize(
    ("cheap", "dear"),
    [
        ('count(by=customer, over="1h")', 'count(by=customer, over="1h", where=amount > 5)'),
        ("count(by=customer, last=5)", "count(by=customer, last=500)"),
    ],
)
def test_an_aggregate_that_asks_for_more_costs_more(cheap: str, dear: str) -> None:
    (one,), (other,) = expression(cheap).aggregates, expression(dear).aggregates
    assert aggregate_us(one) < aggregate_us(other)


def test_what_is_answered_anyway_costs_nothing_more_and_the_dearest_are_named() -> None:
    (one,), (other,) = (expression(f'count(by=customer, over="{hours}h")').aggregates for hours in (1, 2))
    found = Estimate()
    found.answered_anyway([one])
    found.add("known", 1.0, [one])
    found.add("new", 1.0, [other])
    found.add("newer", 1.5, [one, other])
    assert found.total_us == pytest.approx(3.5 + aggregate_us(other))
    assert [name for name, _ in found.dearest(2)] == ["newer", "known"]
