"""A pattern as plain data: the steps of a sequence, whose they are, and within what time. Its bytes are state and messages."""

from typing import Literal, get_args

import msgspec

Skip = Literal["none", "to_next", "past_last"]
SKIPS: tuple[Skip, ...] = get_args(Skip)


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step: an event of type `event` (None: of any) for which `when` holds (empty: always).

    It is taken `least` to `most` times (None: without end). `strict`: nothing of the entity lies between it and what was taken
    before it. An `absent` step is one that mustn't come: between its neighbours, or at the end until the time is up.
    """

    name: str
    event: str | None = None
    when: str = ""
    least: int = 1
    most: int | None = 1
    optional: bool = False
    absent: bool = False
    strict: bool = False


class Pattern(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Steps in the history of one entity `by`; the last event is at most `within_ms` after the first."""

    by: str
    within_ms: int
    steps: tuple[Step, ...]
    skip: Skip = "none"

    @property
    def taken(self) -> tuple[Step, ...]:
        """The steps that take events."""
        return tuple(step for step in self.steps if not step.absent)

    @property
    def awaits_absence(self) -> bool:
        """Whether the match is complete only when the time is up."""
        return self.steps[-1].absent
