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
from heapq import merge
from typing import NamedTuple, Protocol

from rules.plan import Value
from rules.sequences.ahead import Ahead, Outlook
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
    """Where a search is: the row taken last, by which step, how often that took one by now, and what is still spoken of.

    Where a step is taken without end, `times` goes no further than its least. Of the earlier steps' events `bound` has those that
    conditions still to be asked speak of: what can't be told apart any more is looked at once.
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
        self._once = self._steps[self._last].step.most == 1
        """Whether the last step takes one event, which is the one that a search is about."""
        self._ahead = Outlook(self._steps, self._last)

    @property
    def within_ms(self) -> int:
        """The most time between the first event and the last."""
        return self._within_ms

    @property
    def awaits_absence(self) -> bool:
        """Whether matches are complete only when the time is up."""
        return bool(self._closing)

    @property
    def chained(self) -> bool:
        """Whether which matches are given rests on those before: an event may matter for matches far behind it."""
        return self._skip == "past_last"

    @property
    def ends_once(self) -> bool:
        """Whether the last step takes one event, and is taken by no event but the last."""
        return self._once

    @property
    def last_step(self) -> CompiledStep:
        """The step that takes the last event."""
        return self._steps[self._last]

    def ending_at(self, events: Events, row: int, without: int = -1) -> list[Match]:
        """Return the matches whose last event is at `row`, of the events up to it, those with the earliest first event first.

        `without` is a row that is passed over as if it weren't there. Raises TooMuchError.
        """
        search = _Search(self, events, row, without)
        if row == without or not search.own(self._last, row) or not search.comes_before(row):
            return []
        if self.chained:
            return [match for match in search.disjoint() if match.last == row]
        found = []
        for first in reversed(search.firsts(row)):
            match = search.between(first, row)
            if match is None:
                continue
            if self._skip == "none":
                return [match]
            if not any(search.between(first, earlier) for earlier in search.rows(self._last) if first <= earlier < row):
                found.append(match)
        return found[::-1]

    def only_with(self, events: Events, last: int, row: int) -> list[Match]:
        """Return the matches whose last event is at `last` where there are none without the event at `row`. Raises TooMuchError."""
        matches = self.ending_at(events, last)
        # A match that doesn't take the event is there without it, unless it is given only because of others.
        if not matches or (self._skip == "none" and all(at != row for at, _ in matches[0].taken)):
            return []
        return [] if self.ending_at(events, last, without=row) else matches

    def due_ms(self, events: Events, match: Match) -> int:
        """Return the time up to which nothing absent may come, for the match to be complete."""
        return events.times[match.first] + self._within_ms

    def stays_absent(self, events: Events, match: Match, size: int) -> bool:
        """Tell whether nothing that mustn't come behind a match has come in time, among `size` events."""
        until = bisect_right(events.times, self.due_ms(events, match), 0, size)
        search = _Search(self, events, until - 1)
        bound = {self._steps[place].step.name: row for row, place in match.taken}
        return not any(
            search.takes(place, row, bound)
            for place in self._closing
            for row in events.rows(self._steps[place], match.last + 1, until)
        )

    def given(self, events: Events, size: int) -> list[Match]:
        """Return the matches that are given of the first `size` events, when all of them have come. Raises TooMuchError."""
        if self.chained:
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
        self._failed_from: dict[tuple[int, int, int, tuple[tuple[str, int], ...]], int] = {}
        """By the last row and a state without its row: the least row from which nothing was found."""
        self._visits = 0

    def own(self, place: int, row: int) -> bool:
        """Tell whether a step may take an event, as far as that says itself."""
        return row != self._without and self._events.fits(self._steps[place], row)

    def takes(self, place: int, row: int, bound: dict[str, int]) -> bool:
        """Tell whether a step takes an event that it may take, with what the steps in `bound` took last."""
        linked = self._steps[place].linked
        return linked is None or self._holds(linked, row, bound)

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
        if not self._matcher.chained:
            return bisect_left(times, times[self._row] - within_ms, 0, self._row + 1)
        row = self._row
        while row and times[row] - times[row - 1] <= within_ms:
            row -= 1
        return row

    def comes_before(self, row: int) -> bool:
        """Tell whether the step before the last may have taken an event, with nothing absent between that and `row`.

        A look at what events say themselves, which spares most searches that find nothing.
        """
        matcher, taking = self._matcher, self._matcher._taking  # noqa: SLF001
        if len(taking) == 1 or not matcher._once or self._steps[taking[-2]].step.optional:  # noqa: SLF001
            return True
        since = -1
        for place in range(taking[-2] + 1, taking[-1]):
            if self._steps[place].linked is None:
                came = self.rows(place)
                at = bisect_left(came, row)
                since = max(since, came[at - 1] if at else -1)
        rows = self.rows(taking[-2])
        return bisect_left(rows, since) < bisect_left(rows, row)

    def firsts(self, last: int) -> list[int]:
        """Return the rows that a match up to `last` may begin with: behind them come enough for each step that needs some."""
        matcher = self._matcher
        before = last + 1
        for place in reversed(matcher._taking):  # noqa: SLF001
            step = self._steps[place].step
            if step.optional:
                continue
            rows = self.rows(place)
            at = bisect_left(rows, before) - step.least
            if at < 0:
                return []
            before = rows[at]
        rows = self.rows(matcher._taking[0])  # noqa: SLF001
        return rows[: bisect_right(rows, before)]

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

    def between(self, first: int, last: int) -> Match | None:
        """Return the match with these ends whose events come first, None if there is none."""
        times = self._events.times
        place = self._matcher._taking[0]  # noqa: SLF001
        if times[last] - times[first] > self._matcher.within_ms or not self.own(place, first):
            return None
        state = self._after(None, first, place, last)
        if state is None:
            return None
        taken = [(first, place)]
        if self._complete(state, last):
            return Match(tuple(taken))
        ways, states = [self._ways(state, last)], [state]
        while ways:
            following = next(ways[-1], None)
            if following is None:
                ways.pop()
                taken.pop()
                self._fail(states.pop(), last)
                continue
            taken.append((following.row, following.step))
            if self._complete(following, last):
                return Match(tuple(taken))
            ways.append(self._ways(following, last))
            states.append(following)
        return None

    def _after(self, state: _State | None, row: int, place: int, last: int) -> _State | None:
        """Return where a search up to `last` is that takes one more event, None where that is known to lead nowhere."""
        step = self._steps[place].step
        enough = step.least if step.most is None else step.most
        times = min(state.times + 1, enough) if state is not None and state.step == place else 1
        ahead = self._matcher._ahead.of(place, times)  # noqa: SLF001
        bound = {} if state is None else dict(state.bound)
        settled = state is not None and self._matcher._ahead.of(state.step, state.times).settled  # noqa: SLF001
        bound[step.name] = row
        if ahead.settled and not settled and not self.takes(self._matcher._last, last, bound):  # noqa: SLF001
            return None
        found = _State(row, place, times, tuple((name, at) for name, at in bound.items() if name in ahead.named))
        return None if (last, found) in self._failed else found

    def _fail(self, state: _State, last: int) -> None:
        """Note that nothing was found behind a state."""
        self._failed.add((last, state))
        key = last, state.step, state.times, state.bound
        self._failed_from[key] = min(state.row, self._failed_from.get(key, state.row))

    def _complete(self, state: _State, last: int) -> bool:
        step = self._steps[state.step].step
        return state.row == last and state.step == self._matcher._last and state.times >= step.least  # noqa: SLF001

    def _ways(self, state: _State, last: int) -> Iterator[_State]:
        """Yield what may be taken next up to `last`, the earlier event first, then the earlier step."""
        ahead = self._matcher._ahead.of(state.step, state.times)  # noqa: SLF001
        if state.row >= last:
            return
        bound = dict(state.bound)
        for row, place, absent in self._candidates(state, ahead, last):
            self._visits += 1
            if self._visits > MAX_VISITS:
                raise TooMuchError
            asked = place == self._matcher._last and ahead.settled  # noqa: SLF001
            if (asked or self.takes(place, row, bound)) and not self._came(absent, state.row, row, bound):
                following = self._after(state, row, place, last)
                if following is not None:
                    yield following

    def _candidates(self, state: _State, ahead: Ahead, last: int) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        """Yield the events that may be taken next, as far as they say themselves, with step and absent steps before, in order."""
        until = last
        if not ahead.strict:
            # Behind another event with the same before it nothing was found: what follows that needn't be looked at again, unless
            # something absent lay between the two.
            failed = self._failed_from.get((last, state.step, state.times, state.bound), last)
            if failed > state.row or not ahead.absent:
                until = failed
        found = []
        for place, absent in ahead.nexts:
            if self._steps[place].step.strict:
                following = state.row + 1 + (state.row + 1 == self._without)
                if following <= last and self.own(place, following):
                    found.append([(following, place, absent)])
            elif place == self._matcher._last and self._matcher._once:  # noqa: SLF001
                if last <= until:
                    found.append([(last, place, absent)])
            else:
                rows = self.rows(place)
                behind = rows[bisect_right(rows, state.row) : bisect_right(rows, until)]
                found.append([(row, place, absent) for row in behind])
        return iter(found[0]) if len(found) == 1 else merge(*found)

    def _came(self, absent: tuple[int, ...], since: int, row: int, bound: dict[str, int]) -> bool:
        """Tell whether something came that mustn't, between what was taken last, at `since`, and `row`."""
        for place in absent:
            rows = self.rows(place)
            behind, until = bisect_right(rows, since), bisect_left(rows, row)
            if behind < until and any(self.takes(place, between, bound) for between in rows[behind:until]):
                return True
        return False
