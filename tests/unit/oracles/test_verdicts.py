"""What the crash test holds decisions against finds what a crash could break."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.crash.verdicts import wrong
from tests.simulation.facts import Event
from tests.simulation.oracle import Entity, features
from tests.simulation.rulebook import Case, Rulebook
from tests.simulation.world import START_MS

EVENTS = [
    Event("payment", f"p{n}", START_MS + n * 1000, "c0", None, country="DE", amount=50.0 + 10 * n) for n in range(4)
]
Decisions = list[dict[str, Any]]


def book() -> Rulebook:
    """Return a log whose second revision gives the only rule another reason."""
    found = Rulebook()
    for number in (1, 2):
        rule = {"id": "large", "when": "amount > 60", "outcome": "block", "reason": f"as of {number}"}
        found.read(json.dumps({"change": "rule.put", "id": f"change-{number}", "rule": rule}).encode())
    return found


def right() -> Decisions:
    """Return what should come of the events: the first two under revision 1, the others under 2, the last one twice."""
    history, made = Entity(), []
    for event, revision in zip(EVENTS, (1, 1, 2, 2), strict=True):
        _, _, past = history.touch(event)
        pasts = {"customer": past}
        values = features(pasts)
        verdict = book().lives[revision].judge(Case(event, pasts, values), "allow")
        told = {"transaction_id": event.id, "event_time": event.time_ms, "revision": revision, "features": values}
        made.append({**told, **verdict, "late": False, "degraded": [], "approximate": [], "duplicate": False})
    again = {name: value for name, value in made[-1].items() if name != "features"}
    return [*made, {**again, "duplicate": True}]


def sent() -> list[list[Event]]:
    return [[*EVENTS, EVENTS[-1]]]


def test_what_is_right_passes_once_or_again() -> None:
    made = right()
    assert wrong(sent(), made, book()) == []
    assert wrong(sent(), [*made, *made], book()) == []


def lose_one(made: Decisions) -> None:
    del made[1]


def lose_the_duplicates(made: Decisions) -> None:
    del made[-1]


def decide_what_nobody_sent(made: Decisions) -> None:
    made.append({**made[0], "transaction_id": "nobody"})


def count_one_twice(made: Decisions) -> None:
    made[2]["features"]["customer_ever"] += 1


def lose_a_feature(made: Decisions) -> None:
    del made[2]["features"]["customer_ever"]


def stamp_another_revision(made: Decisions) -> None:
    made[2]["revision"] = 1


def stamp_no_revision(made: Decisions) -> None:
    made[2]["revision"] = 3


def judge_again_by_the_older_rules(made: Decisions) -> None:
    made.append({**deepcopy(made[2]), "rules": [{**made[2]["rules"][0], "version": 1, "reason": "as of 1"}]})


def judge_by_no_rules(made: Decisions) -> None:
    made[3] |= {"rules": [], "outcome": "allow"}


@pytest.mark.parametrize(
    "harm",
    [
        lose_one, lose_the_duplicates, decide_what_nobody_sent, count_one_twice, lose_a_feature, stamp_another_revision,
        stamp_no_revision, judge_again_by_the_older_rules, judge_by_no_rules,
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(harm: Callable[[Decisions], None]) -> None:
    made = deepcopy(right())
    harm(made)
    assert wrong(sent(), made, book())
