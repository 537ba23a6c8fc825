"""Rules judged: what fires, what lacks what, who a rule applies to and when."""

from itertools import permutations

import pytest

from mitra.errors import ProblemsError
from rules import ExpressionsError, ListDeclaration, Rule, RuleSet, Signal
from rules.plan import Value
from rules.rollout import slot_of
from tests.factories.expressions import SATURDAY_NIGHT_MS, schema

FEATURES = {
    "usual": 'mean(amount, by=customer, over="30d")',
    "night": "hour(time) < 6",
    "times_usual": "amount / usual",
}
LISTS = (
    ListDeclaration(name="stolen", kind="block", by="customer", reason="reported stolen"),
    ListDeclaration(name="sanctions", kind="block", by="customer", immutable=True),
    ListDeclaration(name="friends", kind="allow", by="customer"),
    ListDeclaration(name="odd", kind="watch", by="terminal"),
)
MEAN_KEY = "mean(amount, by=customer, over=30d)"
KEYS = {"customer": "c1", "terminal": "t1"}
USUAL = 'mean(amount, by=customer, over="30d")'


def rule(id: str, when: str, outcome: str = "review", **rest) -> Rule:
    return Rule(id=id, when=when, outcome=outcome, **{"version": 1, **rest})


def compiled(*rules: Rule) -> RuleSet:
    return RuleSet.compile(rules, FEATURES, schema(), LISTS)


def judge(made: RuleSet, values: dict[str, Value], *, time_ms: int = SATURDAY_NIGHT_MS, keys=KEYS, marks=()):
    """Judge with values by name; what isn't given is missing."""
    assert values.keys() <= {signal.name for signal in made.signals}
    return made.judge([values.get(signal.name) for signal in made.signals], time_ms, keys, marks)


def test_a_true_rule_fires_with_its_version_and_reason():
    made = compiled(rule("big", "amount > 100", "block", version=3, reason="{amount} is over {50 * 2}, {{really}}"))
    assert made.signals == (Signal("field", "amount"),)
    judged = judge(made, {"amount": 120.0})
    assert judged.fired == [{"id": "big", "version": 3, "outcome": "block", "reason": "120 is over 100, {really}"}]
    assert (judged.outcome, judged.shadow, judged.not_evaluated) == (2, [], {})


def test_a_false_rule_says_nothing():
    judged = judge(compiled(rule("big", "amount > 100")), {"amount": 100.0})
    assert (judged.fired, judged.shadow, judged.not_evaluated, judged.outcome) == ([], [], {}, None)


def test_a_missing_rule_names_what_it_lacks():
    made = compiled(rule("far", "times_usual > 3 or amount > 500"), rule("shy", "online", mode="shadow"))
    judged = judge(made, {"amount": 120.0})
    assert judged.not_evaluated == {"far": ["times_usual"], "shy": ["online"]}
    assert judge(made, {"amount": 501.0, "online": False}).not_evaluated == {}


def test_a_rule_without_signals_is_judged_by_the_clock():
    made = compiled(rule("late", "hour(time) == 23"), rule("always", "True"))
    assert made.signals == ()
    assert [one["id"] for one in judge(made, {}).fired] == ["always", "late"]
    assert [one["id"] for one in judge(made, {}, time_ms=0).fired] == ["always"]


def test_what_rules_and_reasons_read_is_laid_out_once():
    made = compiled(
        rule("a", f"amount > 3 * {USUAL}", reason="usual: {usual}"),
        rule("b", f"amount > 9 and {USUAL} < 2", reason="{count(by=terminal, over='1h')} in an hour"),
        rule("c", "night"),
    )
    busy = "count(by=terminal, over=1h)"
    assert sorted(one.name for one in made.signals) == sorted(["amount", MEAN_KEY, "usual", busy, "night"])
    assert [one.key for one in made.aggregates] == [MEAN_KEY, busy]
    assert made.features == ("usual", "night")


def test_booleans_may_come_as_numbers():
    made = compiled(rule("night", "night", reason="{night}"), rule("day", "not night"))
    assert [one["reason"] for one in judge(made, {"night": 1.0}).fired] == ["True"]
    assert [one["id"] for one in judge(made, {"night": 0.0}).fired] == ["day"]


def test_a_paused_rule_is_neither_read_nor_judged_but_checked():
    made = compiled(rule("big", "amount > 100", mode="paused"))
    assert made.signals == ()
    assert judge(made, {}).fired == []
    with pytest.raises(ProblemsError, match=r"rules\.big\.when"):
        compiled(rule("big", "ammount > 100", mode="paused"))


def test_a_shadow_rule_says_what_it_would_have_said():
    judged = judge(compiled(rule("big", "amount > 100", "block", mode="shadow")), {"amount": 120.0})
    assert judged.shadow == [{"id": "big", "version": 1, "outcome": "block", "reason": ""}]
    assert (judged.fired, judged.outcome) == ([], None)


@pytest.mark.parametrize(
    ("from_ms", "until_ms", "active"),
    [(None, None, True), (5, None, True), (6, None, False), (None, 6, True), (None, 5, False), (5, 6, True)],
)
@pytest.mark.parametrize("when", ["amount > 100", "online"])
def test_a_schedule_holds_from_its_beginning_and_before_its_end(from_ms, until_ms, active, when):
    made = compiled(rule("big", when, from_ms=from_ms, until_ms=until_ms))
    judged = judge(made, {"amount": 120.0} if when != "online" else {}, time_ms=5)
    assert bool(judged.fired or judged.not_evaluated) is active


def test_a_snoozed_rule_is_not_asked():
    made = compiled(rule("big", "amount > 100"), rule("odd", "online"), rule("more", "amount > 110"))
    judged = judge(made, {"amount": 120.0}, marks={"snooze:big", "snooze:odd"})
    assert [one["id"] for one in judged.fired] == ["more"]
    assert judged.not_evaluated == {}


def test_a_rollout_asks_the_slot_of_its_entity():
    slot = slot_of("big", "c1")
    inside, outside = (slot + 1) / 100, slot / 100
    for percent, applies in ((inside, True), (outside, False), (100.0, True)):
        for values in ({"amount": 120.0}, {}):
            judged = judge(compiled(rule("big", "amount > 100", percent=percent)), values)
            assert bool(judged.fired or judged.not_evaluated) is applies
    by_terminal = compiled(rule("big", "amount > 100", percent=100.0, by="terminal"))
    assert judge(by_terminal, {"amount": 120.0}).fired
    assert not judge(by_terminal, {"amount": 120.0}, keys={"customer": "c1"}).fired


def test_lists_are_hits_with_their_reasons():
    made = compiled(rule("big", "amount > 100", "allow"))
    judged = judge(made, {"amount": 120.0}, marks={"list:stolen", "list:odd", "list:unheard_of"})
    assert judged.fired == [
        {"id": "list:odd", "version": 0, "outcome": "review", "reason": ""},
        {"id": "list:stolen", "version": 0, "outcome": "block", "reason": "reported stolen"},
        {"id": "big", "version": 1, "outcome": "allow", "reason": ""},
    ]
    assert judged.outcome == 0
    assert judged.combined(0) == (2, "list:stolen")


def test_the_order_of_rules_is_no_part_of_the_judgement():
    rules = [rule(id, "amount > 100") for id in "cab"]
    for order in (rules, rules[::-1]):
        assert [one["id"] for one in judge(compiled(*order), {"amount": 120.0}).fired] == ["a", "b", "c"]


def test_a_value_of_a_wrong_type_stops_nobody():
    made = compiled(rule("big", "amount > 100"), rule("de", 'country == "DE"'))
    judged = judge(made, {"amount": "a lot", "country": "DE"})
    assert [one["id"] for one in judged.fired] == ["de"]
    assert judged.not_evaluated == {"big": ["amount > 100"]}


def test_an_unchanged_text_is_not_compiled_again():
    first = compiled(rule("big", "amount > 100"), rule("night", "night"))
    second = compiled(rule("big", "amount > 100", version=2), rule("new", "amount > 1"), rule("night", "night"))
    assert first._rules[0].code is second._rules[0].code
    other_type = {**FEATURES, "night": "hour(time)"}
    with pytest.raises(ProblemsError, match="when wants a boolean, not a number"):
        RuleSet.compile([rule("night", "night")], other_type, schema())


def test_wrong_features_are_told_as_such():
    with pytest.raises(ExpressionsError, match="features: 1 problem"):
        RuleSet.compile([], {"bad": "ammount"}, schema())


def test_no_rules_say_nothing():
    judged = judge(compiled(), {})
    assert (judged.fired, judged.shadow, judged.not_evaluated, judged.outcome) == ([], [], {}, None)
    assert judged.combined(1) == (1, "model")


def test_what_a_rule_lacks_is_the_reader_s_to_keep():
    made = compiled(rule("shy", "not online"))
    judge(made, {}).not_evaluated["shy"].append("mine")
    assert judge(made, {}).not_evaluated == {"shy": ["online"]}


@pytest.mark.parametrize("outcomes", list(permutations(["allow", "review", "block"])))
def test_the_strongest_of_the_rules_that_fire_is_the_outcome(outcomes: tuple[str, ...]):
    live = [rule(id, "True", outcome) for id, outcome in zip("abc", outcomes, strict=True)]
    assert judge(compiled(*live), {}).outcome == 2
    weaker = [one for one in live if one.outcome != "block"]
    assert judge(compiled(*weaker, rule("z", "True", "block", mode="shadow")), {}).outcome == 1


def test_a_key_that_is_no_unicode_has_a_slot():
    made = compiled(rule("big", "amount > 100", percent=100.0))
    assert judge(made, {"amount": 120.0}, keys={"customer": "\ud800"}).fired
