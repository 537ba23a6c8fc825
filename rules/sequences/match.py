"""Finds a pattern's matches among an entity's events.

Events are in order of (time, arrival). A match takes events for the pattern's steps, in the steps' order:

- each event is of the step's type and its condition holds, with the fields of the events that earlier steps took last;
- the last is at most `within` after the first; strictly following ones have nothing between them;
- between the two events around an absent step lies none that the absent step would take.

Of several matches with the same first and the same last event one is given: the one whose events, one after the other, come
first; an event that two steps could take goes to the earlier step. `skip` says which of the rest are given:

- none: for each last event one match, that with the latest first event;
- to_next: for each first event one match, that which is complete first;
- past_last: going through first events in order, each match begins behind the last event of the one before.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from rules.plan import Value
from rules.sequences.check import CompiledPattern, CompiledStep, Test

MAX_VISITS = 50_000
"""Events looked at in one search: some tens of milliseconds, which only patterns made for it come to."""


class Events(Protocol):
    """An entity's events in order of (time, arrival), by row."""

    times: Sequence[int]

    def fits(self, step: CompiledStep, row: int) -> bool:
        """Tell whether a step may take an event, as far as that says itself."""

    def rows(self, step: CompiledStep, start: int, stop: int) -> list[int]:
        """Return the rows from `start` up to, not with, `stop` that a step may take, as far as they say themselves."""

    def value(self, row: int, field: str) -> Value:
        """Return the value of an event's field, None where it is missing or its type has none of that name."""


class TooMuchError(Exception):
    """A search that looked at more than MAX_VISITS events."""


class Match(NamedTuple):
    """The rows that were taken, each with the place of its step in the pattern, in order."""

    taken: tuple[tuple[int, int], ...]

    @property
    def first(self) -> int:
        """The row it begins with."""
        return self.taken[0][0]

    @property
    def last(self) -> int:
        """The last row that was taken."""
        return self.taken[-1][0]


class _State(NamedTuple):
    """Where a search is: the row taken last, by which step, how often that took one by now, and what conditions can speak of.

    Where a step is taken without end, `times` goes no further than its least.
    """

    row: int
    step: int
    times: int
    bound: tuple[tuple[str, int], ...]


class Matcher:
    """A compiled pattern, ready to search: made once, used for every event."""

    def __init__(self, compiled: CompiledPattern) -> None:
        """Lay out the steps."""
        self._steps = compiled.steps
        self._skip = compiled.pattern.skip
        self._within_ms = compiled.pattern.within_ms
        self._taking = [place for place, one in enumerate(self._steps) if not one.step.absent]
        self._last = self._taking[-1]
        self._closing = list(range(self._last + 1, len(self._steps)))
        linked = [test for one in self._steps if (test := one.linked) is not None]
        self._named = {name for test in linked for name, _ in test.fields if name is not None}

    @property
    def within_ms(self) -> int:
        """The most time between the first event and the last."""
        return self._within_ms

    @property
    def awaits_absence(self) -> bool:
        """Whether matches are complete only when the time is up."""
        return bool(self._closing)

    @property
    def last_step(self) -> CompiledStep:
        """The step that takes the last event."""
        return self._steps[self._last]

    def ending_at(self, events: Events, row: int, without: int = -1) -> list[Match]:
        """Return the matches whose last event is at `row`, of the events up to it, those with the earliest first event first.

        `without` is a row that is passed over as if it weren't there. Raises TooMuchError.
        """
        search = _Search(self, events, row, without)
        if row == without or not search.own(self._last, row):
            return []
        if self._skip == "past_last":
            return [match for match in search.disjoint() if match.last == row]
        found = []
        for first in reversed(search.rows(self._taking[0])):
            match = search.between(first, row)
            if match is None:
                continue
            if self._skip == "none":
                return [match]
            if not any(search.between(first, earlier) for earlier in search.rows(self._last) if first <= earlier < row):
                found.append(match)
        return found[::-1]

    def due_ms(self, events: Events, match: Match) -> int:
        """Return the time up to which nothing absent may come, for the match to be complete."""
        return events.times[match.first] + self._within_ms

    def stays_absent(self, events: Events, match: Match, size: int) -> bool:
        """Tell whether nothing that mustn't come behind a match has come in time, among `size` events."""
        until = bisect_right(events.times, self.due_ms(events, match), 0, size)
        search = _Search(self, events, until - 1)
        state = search.state_of(match)
        return not any(
            search.takes(place, row, state)
            for place in self._closing
            for row in events.rows(self._steps[place], match.last + 1, until)
        )

    def given(self, events: Events, size: int) -> list[Match]:
        """Return the matches that are given of the first `size` events, when all of them have come. Raises TooMuchError."""
        if self._skip == "past_last":
            return list(_Search(self, events, size - 1, whole=True).disjoint())
        return [match for row in range(size) for match in self.ending_at(events, row)]


class _Search:
    """One look at the events up to a row, with what is found out about them."""

    def __init__(self, matcher: Matcher, events: Events, row: int, without: int = -1, *, whole: bool = False) -> None:
        self._whole = whole
        self._matcher = matcher
        self._steps = matcher._steps  # noqa: SLF001 - the two are one
        self._events = events
        self._row = row
        self._without = without
        self._rows: dict[int, list[int]] = {}
        self._failed: set[tuple[int, _State]] = set()
        self._visits = 0

    def own(self, place: int, row: int) -> bool:
        """Tell whether a step may take an event, as far as that says itself."""
        return row != self._without and self._events.fits(self._steps[place], row)

    def takes(self, place: int, row: int, state: _State | None) -> bool:
        """Tell whether a step takes an event that it may take, with what was taken before."""
        linked = self._steps[place].linked
        return linked is None or self._holds(linked, row, {} if state is None else dict(state.bound))

    def _holds(self, test: Test, row: int, bound: dict[str, int]) -> bool:
        events = self._events
        values: list[Value] = []
        for step, name in test.fields:
            at = row if step is None else bound.get(step)
            values.append(None if at is None else events.value(at, name))
        return test.evaluate(values, events.times[row]) is True

    def rows(self, place: int) -> list[int]:
        """Return the rows within the time that a step may take, as far as they say themselves."""
        known = self._rows.get(place)
        if known is None:
            known = self._events.rows(self._steps[place], self._start(), self._row + 1)
            if self._without in known:
                known.remove(self._without)
            self._rows[place] = known
        return known

    def _start(self) -> int:
        """Return the first row that matters: that within the time, or, where matches depend on those before, behind a gap."""
        times, within_ms = self._events.times, self._matcher.within_ms
        if self._whole:
            return 0
        if self._matcher._skip != "past_last":  # noqa: SLF001
            return bisect_left(times, times[self._row] - within_ms, 0, self._row + 1)
        row = self._row
        while row and times[row] - times[row - 1] <= within_ms:
            row -= 1
        return row

    def disjoint(self) -> Iterator[Match]:
        """Yield matches that begin behind one another's ends."""
        taking = self._matcher._taking  # noqa: SLF001
        free = 0
        for first in self.rows(taking[0]):
            if first < free:
                continue
            ends = (self.between(first, last) for last in self.rows(taking[-1]) if last >= first)
            match = next((one for one in ends if one is not None), None)
            if match is not None:
                yield match
                free = match.last + 1

    def state_of(self, match: Match) -> _State:
        """Return where a search is that has taken a match."""
        state = None
        for row, place in match.taken:
            state = self._after(state, row, place)
        assert state is not None, "a match has events"
        return state

    def _after(self, state: _State | None, row: int, place: int) -> _State:
        step = self._steps[place].step
        name, enough = step.name, step.least if step.most is None else step.most
        times = min(state.times + 1, enough) if state is not None and state.step == place else 1
        bound = () if state is None else state.bound
        if name in self._matcher._named:  # noqa: SLF001
            bound = (*(one for one in bound if one[0] != name), (name, row))
        return _State(row, place, times, bound)

    def between(self, first: int, last: int) -> Match | None:
        """Return the match with these ends whose events come first, None if there is none."""
        times = self._events.times
        place = self._matcher._taking[0]  # noqa: SLF001
        if times[last] - times[first] > self._matcher.within_ms or not self.own(place, first):
            return None
        state = self._after(None, first, place)
        taken, ways = [(first, place)], [self._ways(state, last)]
        states = [state]
        if self._complete(state, last):
            return Match(tuple(taken))
        while ways:
            following = next(ways[-1], None)
            if following is None:
                ways.pop()
                taken.pop()
                self._failed.add((last, states.pop()))
                continue
            if (last, following) in self._failed:
                continue
            taken.append((following.row, following.step))
            if self._complete(following, last):
                return Match(tuple(taken))
            ways.append(self._ways(following, last))
            states.append(following)
        return None

    def _complete(self, state: _State, last: int) -> bool:
        step = self._steps[state.step].step
        return state.row == last and state.step == self._matcher._last and state.times >= step.least  # noqa: SLF001

    def _ways(self, state: _State, last: int) -> Iterator[_State]:
        """Yield what may be taken next up to `last`, the earlier event first, then the earlier step."""
        nexts = list(self._nexts(state))
        if not nexts or state.row >= last:
            return
        relaxed = [(place, absent) for place, absent in nexts if not self._steps[place].step.strict]
        found = [
            (row, place, absent) for place, absent in relaxed for row in self._behind(self.rows(place), state.row, last)
        ]
        following = state.row + 1 + (state.row + 1 == self._without)
        if following <= last:
            strict = [(place, absent) for place, absent in nexts if self._steps[place].step.strict]
            found += [(following, place, absent) for place, absent in strict if self.own(place, following)]
        self._visits += len(found) >> 5  # sorting costs a little too
        for row, place, absent in sorted(found):
            self._visits += 1
            if self._visits > MAX_VISITS:
                raise TooMuchError
            if self.takes(place, row, state) and not self._came(absent, state, row):
                yield self._after(state, row, place)

    def _nexts(self, state: _State) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield the steps that may take the next event, each with the absent ones that lie before it."""
        step = self._steps[state.step].step
        if step.most is None or state.times < step.most:
            yield state.step, ()
        if state.times < step.least:
            return
        absent: tuple[int, ...] = ()
        for place in range(state.step + 1, len(self._steps)):
            following = self._steps[place].step
            if following.absent:
                absent += (place,)
                continue
            yield place, absent
            if not following.optional:
                return

    @staticmethod
    def _behind(rows: list[int], row: int, last: int) -> list[int]:
        return rows[bisect_right(rows, row) : bisect_right(rows, last)]

    def _came(self, absent: tuple[int, ...], state: _State, row: int) -> bool:
        """Tell whether something came that mustn't, between what was taken last and `row`."""
        return any(
            self.takes(place, between, state)
            for place in absent
            for between in self._behind(self.rows(place), state.row, row - 1)
        )
