"""Every way to take events for a pattern's variables that a query for MATCH_RECOGNIZE leaves open, tried one after the other.

An engine that knows no order among ways may give any of them. `fits(step, event, bound)` says whether a step could take an event.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Event = dict[str, Any]
Fits = Callable[[Any, Event, dict[str, Event]], bool]
Way = tuple[tuple[int, int], ...]
"""(place of the take, row of its event) each."""


def ways(takes: Sequence[Any], events: Sequence[Event], within: int, fits: Fits) -> Iterator[Way]:
    """Yield every way from every first event."""
    for row, event in enumerate(events):
        if fits(takes[0].one, event, {}):
            yield from _behind(takes, 0, 1, ((0, row),), events, within, fits)


def _behind(
    takes: Sequence[Any], place: int, count: int, way: Way, events: Sequence[Event], within: int, fits: Fits
) -> Iterator[Way]:
    """Yield the ways that go on from one that has `count` events for the take at `place`."""
    take, row = takes[place], way[-1][1]
    bound = {takes[at].name: events[taken] for at, taken in way}
    if place == len(takes) - 1 and count >= take.least:
        yield way
    if take.open_end and (take.most is None or count < take.most):
        yield from _taken(takes, place, count + 1, row + 1, way, events, within, fits)
    if place == len(takes) - 1 or count < take.least:
        return
    following = takes[place + 1]
    for at in _reached(takes, place, row, events, bound, fits):
        yield from _taken(takes, place + 1, 1, at, way, events, within, fits)
        if following.one.step.optional:
            yield from _taken(takes, place + 2, 1, at, way, events, within, fits)


def _taken(
    takes: Sequence[Any], place: int, count: int, row: int, way: Way, events: Sequence[Event], within: int, fits: Fits
) -> Iterator[Way]:
    """Yield the ways on which the take at `place` has the event at `row`, if it may."""
    bound = {takes[at].name: events[taken] for at, taken in way}
    if row >= len(events) or events[row]["time"] - events[way[0][1]]["time"] > within:
        return
    if fits(takes[place].one, events[row], bound):
        yield from _behind(takes, place, count, (*way, (place, row)), events, within, fits)


def _reached(
    takes: Sequence[Any], place: int, row: int, events: Sequence[Event], bound: dict[str, Event], fits: Fits
) -> Iterator[int]:
    """Yield the rows that the gap behind a take leads to."""
    following = takes[place + 1]
    yield row + 1
    if following.strict:
        return
    kept_out = [*following.absent, *([following.one] if following.eager else [])]
    if following.one.step.optional and takes[place + 2].eager:
        kept_out.append(takes[place + 2].one)
    for at in range(row + 1, len(events)):
        if any(fits(one, events[at], bound) for one in kept_out):
            return
        yield at + 1
