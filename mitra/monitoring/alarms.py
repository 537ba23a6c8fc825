"""Alarms with hysteresis: on from one bound, off only below a lower one, so that a value in between changes nothing."""

from collections.abc import Iterable
from typing import NamedTuple


class Bounds(NamedTuple):
    """A value of `raises` or more is an alarm, one below `clears` is none."""

    raises: float
    clears: float


class Change(NamedTuple):
    """What became of some alarms in one window."""

    raised: list[str]
    cleared: list[str]
    on: list[str]


class Alarms:
    """Which alarms are on, by (what about, whom)."""

    def __init__(self, on: Iterable[tuple[str, str]] = ()) -> None:
        """Start with those that are `on`."""
        self.on = set(on)

    def judge(self, about: str, whom: str, value: float | None, bounds: Bounds) -> bool:
        """Take a value and return whether the alarm is on; None says nothing, so all stays as it is."""
        key = (about, whom)
        if value is not None:
            if value >= bounds.raises:
                self.on.add(key)
            elif value < bounds.clears:
                self.on.discard(key)
        return key in self.on

    def change(self, about: str, before: Iterable[tuple[str, str]]) -> Change:
        """Return what has changed about something since the alarms `before`."""
        was = {whom for what, whom in before if what == about}
        now = {whom for what, whom in self.on if what == about}
        return Change(sorted(now - was), sorted(was - now), sorted(now))
