"""Sequences on the control topic: put, mode and retire, apart from rules and under the same ids."""

from typing import Any

import pytest

from control_stream.live_set import LiveSet
from control_stream.refusal import Refused
from tests.factories.control import CONTEXT, RULE, Job, change

SEQUENCE: dict[str, Any] = {
    "id": "twice",
    "by": "customer",
    "within": "1h",
    "steps": [
        {"step": "first", "when": "amount > 5"},
        {"step": "second", "event": "payment", "when": "amount > first.amount"},
    ],
    "outcome": "review",
}


def made(*changes: tuple[str, dict[str, Any]], live: LiveSet | None = None) -> LiveSet:
    live = live or LiveSet()
    for kind, body in changes:
        live = live.apply(change(kind, **body), CONTEXT)
    return live


PUT = ("sequence.put", {"sequence": SEQUENCE})


def test_a_sequence_comes_changes_and_goes_like_a_rule() -> None:
    live = made(PUT)
    assert live.rules["twice"].version == 1
    assert made(PUT, live=live) is live
    live = made(("sequence.put", {"sequence": {**SEQUENCE, "within": "2h"}}), live=live)
    assert live.rules["twice"].version == 2
    live = made(("sequence.mode", {"sequence": "twice", "mode": "shadow", "percent": 5}), live=live)
    assert (live.rules["twice"].mode, live.rules["twice"].percent) == ("shadow", 5.0)
    assert LiveSet.decode(live.encode()) == live
    assert made(("sequence.retire", {"sequence": "twice"}), live=live).rules == {}


@pytest.mark.parametrize(
    ("kind", "body", "place", "reason"),
    [
        ("rule.put", {"rule": {**RULE, "id": "twice"}}, "rule.id", '"twice" is a sequence'),
        ("rule.mode", {"rule": "twice", "mode": "paused"}, "rule", '"twice" is a sequence'),
        ("rule.retire", {"rule": "twice"}, "rule", '"twice" is a sequence'),
        ("sequence.put", {"sequence": {**SEQUENCE, "id": RULE["id"]}}, "sequence.id", "is a rule"),
        ("sequence.retire", {"sequence": RULE["id"]}, "sequence", "is a rule"),
        ("sequence.mode", {"sequence": "twce", "mode": "live"}, "sequence", 'there is no sequence "twce"'),
        ("sequence.put", {"sequence": {**SEQUENCE, "by": "custmer"}}, "sequences.twice.by", "no entity"),
    ],
)
def test_what_is_refused_is_named(kind: str, body: dict[str, Any], place: str, reason: str) -> None:
    live = made(PUT, ("rule.put", {"rule": RULE}))
    with pytest.raises(Refused) as caught:
        live.apply(change(kind, **body), CONTEXT)
    assert caught.value.place == place
    assert reason in caught.value.reason


def test_sequences_are_rolled_back_with_the_rest() -> None:
    job = Job()
    job.push("sequence.put", sequence=SEQUENCE)
    job.answer()
    job.push("sequence.retire", sequence="twice")
    job.answer()
    assert job.govern.live.rules == {}
    job.push("rollback", to=1)
    job.answer()
    pattern = job.govern.live.rules["twice"].pattern
    assert pattern is not None
    assert [step.name for step in pattern.steps] == ["first", "second"]


def test_a_feature_that_a_sequence_reads_stays() -> None:
    with_when = {**SEQUENCE, "when": "double > 4"}
    live = made(("feature.put", {"name": "double", "text": "amount * 2"}), ("sequence.put", {"sequence": with_when}))
    with pytest.raises(Refused, match="double"):
        live.apply(change("feature.retire", name="double"), CONTEXT)
