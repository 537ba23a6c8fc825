"""Which outcome wins: lists, rules and the model, in one table.

| what there is | the outcome |
| --- | --- |
| an entity is on an immutable block list | block |
| else, on an allow list | allow |
| else, a block or review rule fired, or an entity is on a block or watch list | the strongest of those, of the allow \
rules and of the model: block, review, allow |
| else, an allow rule fired | allow, whatever the model says |
| else | the model's |
"""

from collections.abc import Collection
from typing import Literal

import msgspec

Outcome = Literal["allow", "review", "block"]
OUTCOMES: tuple[Outcome, ...] = ("allow", "review", "block")
"""From weak to strong: an outcome's place here is how it is reckoned with."""

ALLOW, REVIEW, BLOCK = range(3)

ListKind = Literal["block", "allow", "watch"]

MODEL = "model"
RULES = "rules"


class ListDeclaration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A list of entities `by`; who is on it isn't said here. Only a block list may be `immutable`."""

    name: str
    kind: ListKind
    by: str
    immutable: bool = False
    reason: str = ""

    @property
    def mark(self) -> str:
        """What a transaction is marked with where one of its entities is on the list."""
        return f"list:{self.name}"

    @property
    def outcome(self) -> int:
        """The place in OUTCOMES that the list asks for: watched is reviewed."""
        return {"block": BLOCK, "allow": ALLOW, "watch": REVIEW}[self.kind]


def combine(rules: int | None, lists: Collection[ListDeclaration], model: int) -> tuple[int, str]:
    """Return the outcome, and who decided: `model`, `rules`, or a list's mark.

    `rules` is the strongest outcome of the live rules that fired, None if none did; `lists` are those that hold an
    entity of the transaction. Of equally strong ones, rules go before lists, and both before the model.
    """
    for one in lists:
        if one.kind == "block" and one.immutable:
            return BLOCK, one.mark
    for one in lists:
        if one.kind == "allow":
            return ALLOW, one.mark
    asked = [] if rules is None else [(rules, RULES)]
    asked += [(one.outcome, one.mark) for one in lists]
    if not asked:
        return model, MODEL
    if any(outcome != ALLOW for outcome, _ in asked):
        asked.append((model, MODEL))
    return max(asked, key=lambda one: one[0])  # the first of the strongest
