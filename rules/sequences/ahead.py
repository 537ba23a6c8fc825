"""What lies before a search for a pattern's matches: which steps may take the next event, and which events are still spoken of."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rules.sequences.check import CompiledStep

Next = tuple[int, tuple[int, ...]]
"""A step that may take the next event, and the absent ones that lie before it, by their places."""


class Ahead(NamedTuple):
    """What lies before a search that has taken so many events of a step, whichever they are.

    `strict` is whether one of `nexts` follows strictly, `absent` whether there are absent steps before one. `named` are the earlier
    steps that conditions still to be asked speak of. `settled`: all that the last event's condition speaks of has been taken, and
    the last event is known, so that it is asked at once.
    """

    nexts: tuple[Next, ...]
    strict: bool
    absent: bool
    named: frozenset[str]
    settled: bool


class Outlook:
    """What lies before a search at each place of a pattern."""

    def __init__(self, steps: Sequence[CompiledStep], last: int) -> None:
        """Take a pattern's steps, and the place of the last one that takes an event."""
        self._steps = steps
        self._last = last
        self._place = {one.step.name: place for place, one in enumerate(steps)}
        self._known: dict[tuple[int, int], Ahead] = {}

    def of(self, place: int, times: int) -> Ahead:
        """Return what lies before a search whose step at `place` took an event `times` times by now."""
        found = self._known.get((place, times))
        if found is None:
            found = self._known[place, times] = self._look(place, times)
        return found

    def _look(self, place: int, times: int) -> Ahead:
        step = self._steps[place].step
        again = step.most is None or times < step.most
        nexts: list[Next] = [(place, ())] if again else []
        if times >= step.least:
            nexts += self._following(place)
        asked = self._speaks_of([self._last])
        final = all(self._place[name] < place or (name == step.name and not again) for name in asked)
        settled = bool(asked) and final and place < self._last and self._steps[self._last].step.most == 1
        still = [*([place] if again else []), *range(place + 1, self._last + 1)]
        named = self._speaks_of([one for one in still if not (settled and one == self._last)])
        if times < step.least:
            named -= {step.name}  # it will be said of another event of the step
        strict = any(self._steps[one].step.strict for one, _ in nexts)
        return Ahead(tuple(nexts), strict, any(absent for _, absent in nexts), named, settled)

    def _following(self, place: int) -> Iterator[Next]:
        absent: tuple[int, ...] = ()
        for following in range(place + 1, len(self._steps)):
            step = self._steps[following].step
            if step.absent:
                absent += (following,)
                continue
            yield following, absent
            if not step.optional:
                return

    def _speaks_of(self, places: Iterable[int]) -> frozenset[str]:
        tests = [test for place in places if (test := self._steps[place].linked) is not None]
        return frozenset(name for test in tests for name, _ in test.fields if name is not None)
