"""The precedence of outcomes, as a table; and who is in a rollout."""

from itertools import product

import pytest

from rules import OUTCOMES, ListDeclaration, combine
from rules.rollout import applies, slot_of

STOLEN = ListDeclaration(name="stolen", kind="block", by="customer")
SANCTIONS = ListDeclaration(name="sanctions", kind="block", by="customer", immutable=True)
FRIENDS = ListDeclaration(name="friends", kind="allow", by="customer")
ODD = ListDeclaration(name="odd", kind="watch", by="customer")

TABLE = [
    # rules     lists                     model      outcome    decided by
    (None, [], "allow", "allow", "model"),
    (None, [], "review", "review", "model"),
    (None, [], "block", "block", "model"),
    ("allow", [], "allow", "allow", "rules"),
    ("allow", [], "review", "allow", "rules"),
    ("allow", [], "block", "allow", "rules"),
    ("review", [], "allow", "review", "rules"),
    ("review", [], "review", "review", "rules"),
    ("review", [], "block", "block", "model"),
    ("block", [], "allow", "block", "rules"),
    ("block", [], "block", "block", "rules"),
    (None, [ODD], "allow", "review", "list:odd"),
    (None, [ODD], "block", "block", "model"),
    ("allow", [ODD], "allow", "review", "list:odd"),
    ("allow", [ODD], "block", "block", "model"),
    ("review", [ODD], "allow", "review", "rules"),
    ("block", [ODD], "allow", "block", "rules"),
    (None, [STOLEN], "allow", "block", "list:stolen"),
    ("allow", [STOLEN], "allow", "block", "list:stolen"),
    ("review", [ODD, STOLEN], "review", "block", "list:stolen"),
    ("block", [STOLEN], "block", "block", "rules"),
    (None, [FRIENDS], "block", "allow", "list:friends"),
    ("block", [FRIENDS, STOLEN, ODD], "block", "allow", "list:friends"),
    (None, [FRIENDS, SANCTIONS], "allow", "block", "list:sanctions"),
    ("allow", [SANCTIONS], "allow", "block", "list:sanctions"),
    ("block", [STOLEN, SANCTIONS, FRIENDS, ODD], "block", "block", "list:sanctions"),
]


@pytest.mark.parametrize(("rules", "lists", "model", "outcome", "by"), TABLE)
def test_the_table(rules, lists, model, outcome, by):
    found = combine(None if rules is None else OUTCOMES.index(rules), lists, OUTCOMES.index(model))
    assert found == (OUTCOMES.index(outcome), by)


def naive(rules, lists, model) -> int:
    """The same, as it is told."""
    if any(one.immutable for one in lists):
        return 2
    if any(one.kind == "allow" for one in lists):
        return 0
    asked = [*([] if rules is None else [rules]), *({"block": 2, "watch": 1}[one.kind] for one in lists)]
    if not asked:
        return model
    return 0 if max(asked) == 0 else max(*asked, model)


def test_every_combination_is_as_it_is_told():
    for rules, model, *on in product((None, 0, 1, 2), range(3), *[(False, True)] * 4):
        lists = [one for one, there in zip((STOLEN, SANCTIONS, FRIENDS, ODD), on, strict=True) if there]
        assert combine(rules, lists, model)[0] == naive(rules, lists, model)


def test_slots_never_change():
    assert [slot_of("big", key) for key in ("c1", "c2", "", "Ελλάδα")] == [7209, 8311, 3340, 8024]
    assert slot_of("other", "c1") != slot_of("big", "c1")


def test_who_is_in_stays_in_when_the_percent_grows():
    keys = [f"c{number}" for number in range(20_000)]
    before: set[str] = set()
    for percent in (0.01, 1.0, 5.0, 33.33, 99.99, 100.0):
        inside = {key for key in keys if applies("big", key, percent)}
        assert before <= inside
        assert abs(len(inside) / 200 - percent) < 1
        before = inside
    assert len(before) == len(keys)


def test_an_event_without_the_key_is_never_in():
    assert not applies("big", None, 100.0)


def test_every_percent_of_two_decimals_is_its_number_of_slots():
    slots = {slot_of("big", str(number)): str(number) for number in range(300_000)}
    for hundredths in range(1, 10_000):
        percent = hundredths / 100
        assert applies("big", slots[hundredths - 1], percent)
        assert not applies("big", slots[hundredths], percent)
