"""What is usual, and who decided."""

from itertools import product
from typing import Any

import pytest

from mitra.inquiry.decided_by import decided_by
from mitra.inquiry.usual import Usual, usual
from rules import OUTCOMES, ListDeclaration, combine


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], None),
        ([None, None], Usual(0, 2)),
        ([3, 1.5, None, 9], Usual(3, 1, 3.0, 1.5, 9)),
        ([True, False, True], Usual(3, 0, most_frequent=True, times=2)),
        (["DE", None, "FR", "DE"], Usual(3, 1, most_frequent="DE", times=2)),
    ],
)
def test_what_is_usual(values: list[Any], found: Usual | None):
    assert usual(values) == found


LISTS = {
    "immutable": ListDeclaration(name="immutable", kind="block", by="c", immutable=True),
    "block": ListDeclaration(name="block", kind="block", by="c"),
    "allow": ListDeclaration(name="allow", kind="allow", by="c"),
    "watch": ListDeclaration(name="watch", kind="watch", by="c"),
}


def test_who_decided_is_among_those_named_and_alone_where_all_is_known():
    for on, rule, model in product(product((False, True), repeat=4), (None, 0, 1, 2), (0, 1, 2)):
        held = [one for one, there in zip(LISTS.values(), on, strict=True) if there]
        outcome, by = combine(rule, held, model)
        hits = [{"id": one.mark, "outcome": OUTCOMES[one.outcome]} for one in held]
        fired = [] if rule is None else [{"id": "r", "outcome": OUTCOMES[rule]}]
        decision = {"rules": [*hits, *fired], "outcome": OUTCOMES[outcome], "model": "m@1"}
        assert decided_by(decision, LISTS, model) == [by]
        assert by in decided_by(decision, LISTS, None)
        assert by in decided_by(decision, {}, None)


def test_what_no_table_gives_is_decided_by_nobody():
    assert decided_by({"rules": [], "outcome": "block", "model": None}, {}, None) == []
