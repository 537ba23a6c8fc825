"""What each change makes of the live set, and which are refused, naming what stands against them."""

from typing import Any

import pytest

from control_stream.limits import ControlLimits
from control_stream.live_set import Context, Delta, LiveSet, UnknownLiveSetError
from control_stream.refusal import Refused
from mitra.decision import DECISION_COLUMNS
from tests.factories.control import CONTEXT, FEATURES, RULE, change, rule
from tests.factories.expressions import schema


def made(*changes: tuple[str, dict[str, Any]], live: LiveSet | None = None, context: Context = CONTEXT) -> LiveSet:
    live = live or LiveSet()
    for kind, body in changes:
        live = live.apply(change(kind, **body), context)
    return live


def refused(live: LiveSet, kind: str, context: Context = CONTEXT, /, **body: Any) -> Refused:
    with pytest.raises(Refused) as found:
        live.apply(change(kind, **body), context)
    return found.value


PUT = ("rule.put", {"rule": RULE})
LIST = ("list.put", {"name": "mules", "kind": "block", "by": "customer"})
FEATURE = ("feature.put", {"name": "double", "text": "amount * 2"})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        *((column, "column of every decision") for column in sorted(DECISION_COLUMNS)),
        ("customer", "an entity"),
        ("login", "an event type"),
        ("country", "a field"),
        ("fraud", "the label's name"),
        ("time", "the event's time"),
        ("big", "a feature of the pipeline"),
    ],
)
def test_a_feature_that_would_hide_something_is_refused(name: str, why: str) -> None:
    assert why in refused(LiveSet(), "feature.put", name=name, text="amount * 2").reason


def test_versions_count_up_over_a_retire_and_the_same_rule_again_is_the_same_version() -> None:
    live = made(PUT)
    assert live.rules["big_at_night"].version == 1
    assert made(PUT, live=live) == live
    live = made(("rule.put", {"rule": rule(outcome="block")}), live=live)
    assert live.rules["big_at_night"].version == 2
    live = made(("rule.retire", {"rule": "big_at_night"}), live=live)
    assert live.rules == {}
    assert made(PUT, live=live).rules["big_at_night"].version == 3


def test_a_mode_changes_no_version_and_a_share_goes_with_it() -> None:
    live = made(PUT, ("rule.mode", {"rule": "big_at_night", "mode": "live", "percent": 10, "by": "terminal"}))
    found = live.rules["big_at_night"]
    assert (found.version, found.mode, found.percent, found.by) == (1, "live", 10, "terminal")
    more = made(("rule.mode", {"rule": "big_at_night", "mode": "live", "percent": 50}), live=live)
    assert (more.rules["big_at_night"].percent, more.rules["big_at_night"].by) == (50, "terminal")
    full = made(("rule.mode", {"rule": "big_at_night", "mode": "shadow"}), live=live)
    assert (full.rules["big_at_night"].percent, full.rules["big_at_night"].by) == (None, None)


def test_a_set_is_never_changed_by_a_change() -> None:
    live = made(PUT, LIST, FEATURE)
    before = live.encode()
    made(("rule.retire", {"rule": "big_at_night"}), ("feature.retire", {"name": "double"}), live=live)
    assert live.encode() == before


def test_a_rule_may_read_a_feature_put_at_run_time() -> None:
    live = made(FEATURE, ("rule.put", {"rule": rule(when="double > 10")}))
    found = refused(live, "feature.retire", name="double")
    assert (found.place, found.reason) == ("name", '"double" is still read by rule big_at_night')


def test_a_feature_read_by_another_or_by_a_reason_stays() -> None:
    live = made(
        FEATURE,
        ("feature.put", {"name": "more", "text": "double + 1"}),
        ("rule.put", {"rule": rule(reason="twice is {double}")}),
        ("rule.put", {"rule": rule(id="other", when='country == "double"', reason="")}),
    )
    assert refused(live, "feature.retire", name="double").reason == (
        '"double" is still read by feature more, rule big_at_night'
    )


def test_a_feature_that_nothing_reads_goes() -> None:
    assert made(FEATURE, ("feature.retire", {"name": "double"})) == LiveSet()


def test_a_replaced_feature_must_still_fit_the_rules() -> None:
    live = made(FEATURE, ("rule.put", {"rule": rule(when="double > 10")}))
    found = refused(live, "feature.put", name="double", text='"a text"')
    assert found.place.startswith("rules.big_at_night.when:1:")


@pytest.mark.parametrize(
    ("kind", "body", "place", "reason", "hint"),
    [
        ("rule.put", {"rule": rule(when="amout > 1")}, "rules.big_at_night.when:1:1", "amout", "did you mean amount?"),
        ("rule.put", {"rule": rule(when="amount")}, "rules.big_at_night.when:1:1", "^^^^^^", ""),
        ("rule.put", {"rule": rule(reason="{amout}")}, "rules.big_at_night.reason:1:2", "amout", "amount"),
        ("rule.put", {"rule": rule(percent=5, by="custmer")}, "rules.big_at_night.by", "custmer", "customer"),
        ("rule.retire", {"rule": "big_at_nigt"}, "rule", "no rule", "did you mean big_at_night?"),
        ("rule.mode", {"rule": "x", "mode": "live"}, "rule", "no rule", "the rules are big_at_night"),
        ("rule.mode", {"rule": "big_at_night", "mode": "live", "percent": 5, "by": "depot"}, "rules.big_at_night.by", "depot", ""),
        ("list.put", {"name": "n", "kind": "watch", "by": "depot"}, "by", 'payment events have no entity "depot"', "customer"),
        ("list.put", {"name": "n", "kind": "watch", "by": "x"}, "by", 'no entity "x"', "the entities are customer"),
        ("list.put", {"name": "mules", "kind": "watch", "by": "terminal"}, "by", "is of customer", "another name"),
        ("list.add", {"name": "mule", "entries": [{"key": "a"}]}, "name", "no list", "did you mean mules?"),
        ("list.remove", {"name": "xyz", "keys": ["a"]}, "name", "no list", "list.put"),
        ("snooze", {"rule": "x", "by": "customer", "key": "a", "until": 1}, "rule", "no rule", ""),
        ("snooze", {"rule": "big_at_night", "by": "x", "key": "a", "until": 1}, "by", "no entity", ""),
        ("feature.put", {"name": "big", "text": "1"}, "name", "of the pipeline", "another name"),
        ("feature.put", {"name": "country", "text": "1"}, "features.country:1:1", "a field of payment", ""),
        ("feature.put", {"name": "a", "text": "b + 1"}, "features.a:1:1", "b", ""),
        ("feature.retire", {"name": "big"}, "name", "of the pipeline", "pipeline file"),
        ("feature.retire", {"name": "doubel"}, "name", "no feature", "did you mean double?"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(kind: str, body: dict[str, Any], place: str, reason: str, hint: str) -> None:
    found = refused(made(PUT, LIST, FEATURE), kind, **body)
    assert found.place == place
    assert reason in found.reason
    assert hint in found.hint


def test_what_is_live_has_a_limit() -> None:
    context = Context(schema(), FEATURES, ControlLimits(rules=1, features=1, lists=1))
    live = made(PUT, LIST, FEATURE, context=context)
    assert "at most 1" in refused(live, "rule.put", context, rule=rule(id="other")).reason
    assert "at most 1" in refused(live, "list.put", context, name="other", kind="block", by="customer").reason
    assert "at most 1" in refused(live, "feature.put", context, name="other", text="1").reason
    made(("rule.put", {"rule": rule(outcome="block")}), ("feature.put", {"name": "double", "text": "3"}), live=live, context=context)  # fmt: skip


def test_a_difference_makes_one_set_of_the_other_and_back() -> None:
    old = made(PUT, LIST, FEATURE)
    new = made(
        ("rule.put", {"rule": rule(id="other")}),
        ("rule.retire", {"rule": "big_at_night"}),
        ("feature.retire", {"name": "double"}),
        ("list.put", {"name": "mules", "kind": "block", "by": "customer", "immutable": True}),
        live=old,
    )
    there, back = Delta.decode(Delta.between(old, new).encode()), Delta.between(new, old)
    assert old.patched(there) == new
    assert new.patched(back).rules == old.rules
    assert new.patched(back).features == old.features
    assert new.patched(back).lists == old.lists


def test_bytes_read_back_and_those_of_another_release_are_refused() -> None:
    live = made(PUT, LIST, FEATURE)
    assert LiveSet.decode(live.encode()) == live
    with pytest.raises(UnknownLiveSetError, match="version=9, this release reads 1"):
        LiveSet.decode(b"\x09" + live.encode()[1:])
    with pytest.raises(UnknownLiveSetError, match="0 bytes"):
        Delta.decode(b"")


def test_a_set_can_be_held_against_another_pipeline() -> None:
    live = made(PUT, LIST, FEATURE)
    live.check(CONTEXT)
    with pytest.raises(Refused, match="big"):
        live.check(Context(schema(), {"amount": "amount"}))
    with pytest.raises(Refused, match="double"):
        live.check(Context(schema(), {**FEATURES, "double": "1"}))


def test_a_rule_that_would_take_too_long_is_refused_with_the_estimate() -> None:
    context = Context(schema(), FEATURES, budget_us=5)
    live = made(("rule.put", {"rule": {"id": "cheap", "when": "amount > 5", "outcome": "review"}}), context=context)
    dear = 'distinct(country, by=customer, over="3h", where=amount > 5) > 2'
    put = {"id": "dear", "when": dear, "outcome": "review"}
    live = made(("rule.put", {"rule": {**put, "mode": "paused"}}), live=live, context=context)
    mode = refused(live, "rule.mode", context, rule="dear", mode="shadow")
    assert (mode.place, mode.reason) == (
        "mode",
        (
            "rules would take about 6.0 µs of each transaction, 5.8 of them by this change; allowed: control.rules_budget_us = 5. "
            "By themselves the dearest take: rule dear 5.8, rule cheap 0.2 µs"
        ),
    )
    assert (
        refused(
            made(context=context), "feature.put", Context(schema(), FEATURES, budget_us=4), name="far", text=dear
        ).place
        == "text"
    )
    # What is over already, since an upgrade, may still become less.
    over = Context(schema(), FEATURES, budget_us=1)
    assert "dear" not in made(("rule.retire", {"rule": "dear"}), live=live, context=over).rules
    live = made(("rule.mode", {"rule": "dear", "mode": "live"}), live=live)
    assert (
        made(("rule.mode", {"rule": "cheap", "mode": "paused"}), live=live, context=over).rules["cheap"].mode
        == "paused"
    )
    assert (
        refused(live, "rule.put", over, rule={"id": "more", "when": "amount > 6", "outcome": "review"}).place == "rule"
    )
