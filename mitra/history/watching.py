"""Sequences: whether an event completes one in the rows of its entity.

What a step asks of an event alone is a condition like those of aggregates: its bit lies with the row. An event is answered from the
rows that had arrived with it, up to its own. Where it came late, events behind it are looked at again: what they complete only now is
told as late.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mitra.history.batch import CONFLICT, DUPLICATE, Found
from mitra.history.columns import LOW_HALF, ROWS
from mitra.history.entity import Record
from mitra.history.memory import ARRIVAL, FIELDS, ID, META, TIME
from mitra.history.plan import Plan
from mitra.history.texts import text_of
from mitra.history.work import Work
from rules.plan import Value
from rules.sequences.asked import SequenceAsked, Taken, match_text
from rules.sequences.check import CompiledStep
from rules.sequences.match import Match, TooMuchError

_Array = NDArray[np.int64]
_Flags = NDArray[np.int64]
_Bools = NDArray[np.bool_]

LATE_LOOK = 4
"""Events behind a late one that are looked at again: those of a busy entity may be thousands, and one tells what there is to tell."""


@dataclass(slots=True)
class Answers:
    """What a batch's sequences came to: texts by (touch, column), None where the search was broken off; and all matches."""

    texts: dict[tuple[int, int], str | None] = field(default_factory=dict)
    found: list[Found] = field(default_factory=list)


class Rows:
    """The rows of one entity that had arrived by some number of arrival, in order."""

    def __init__(self, work: Work, record: Record, arrival: int | None) -> None:
        """Pick the rows; None: all that there are."""
        self._work = work
        self._record = record
        size = int(work.cache.info[record.handle, ROWS])
        columns = record.words.reshape(-1, record.cap)[:, :size]
        if arrival is not None and (columns[ARRIVAL] > arrival).any():
            columns = columns[:, columns[ARRIVAL] <= arrival]
        self._columns: _Array = columns
        self.times: Sequence[int] = columns[TIME]
        layout = work.plan.layout
        self._names = layout.events
        self._numeric = {name: FIELDS + place for place, name in enumerate(layout.numeric)}
        self._texts = {name: FIELDS + len(layout.numeric) + place for place, name in enumerate(layout.text)}
        self._flags = FIELDS + len(layout.numeric) + len(layout.text)
        self._fitting: dict[tuple[int, int], list[int]] = {}

    def event(self, row: int) -> str:
        """Return an event's type; that of one whose type the pipeline no longer has is empty."""
        kind = int(self._columns[META, row]) & LOW_HALF
        return self._names[kind] if kind < len(self._names) else ""

    def fits(self, step: CompiledStep, row: int) -> bool:
        """Tell whether a step may take an event, as far as that says itself."""
        word, mask = self._work.plan.conditions.mask_of_step(step)
        return word < 0 or bool(self._columns[self._flags + word, row] & mask)

    def rows(self, step: CompiledStep, start: int, stop: int) -> list[int]:
        """Return the rows from `start` up to, not with, `stop` that a step may take."""
        word, mask = self._work.plan.conditions.mask_of_step(step)
        if word < 0:
            return list(range(start, stop))
        found = self._fitting.get((word, mask))
        if found is None:  # many searches ask the same of the same rows
            found = self._fitting[word, mask] = np.flatnonzero(self._columns[self._flags + word] & mask).tolist()
        return found[bisect_left(found, start) : bisect_left(found, stop)]

    def value(self, row: int, field: str) -> Value:
        """Return the value of an event's field."""
        column = self._texts.get(field)
        if column is not None:
            hashed = int(self._columns[column, row])
            return text_of(self._work, self._record, hashed) if hashed else None
        number = float(self._columns[self._numeric[field], row : row + 1].view(np.float64)[0])
        return None if number != number else number

    def row_of(self, time_ms: int, arrival: int) -> int | None:
        """Return the row of an event, None if it has been folded away."""
        found = np.flatnonzero((self._columns[ARRIVAL] == arrival) & (self._columns[TIME] == time_ms))
        return int(found[0]) if len(found) else None

    def taken(self, asked: SequenceAsked, match: Match) -> list[Taken]:
        """Return the events of a match."""
        steps = asked.compiled.pattern.steps
        return [
            Taken(
                steps[place].name,
                self.event(row),
                int(self.times[row]),
                int(self._columns[ARRIVAL, row]),
                int(self._columns[ID, row]),
            )
            for row, place in match.taken
        ]


class Screen:
    """Which sequences of an entity an event can be of use to, by its bits; made once for a plan."""

    def __init__(self, plan: Plan, entity: int) -> None:
        """Take what the sequences' steps ask of an event by itself."""
        sequences = plan.by_entity[entity].sequences
        steps = [[step for step in one.compiled.steps if not step.step.absent] for one, _ in sequences]
        shape = len(steps), max(map(len, steps))
        self._words, self._masks = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._always, self._leading = np.zeros(shape, np.bool_), np.ones(shape, np.bool_)
        self._all = np.arange(len(steps))
        self._last = np.array([len(taking) - 1 for taking in steps])
        for number, taking in enumerate(steps):
            for place, step in enumerate(taking):
                word, mask = plan.conditions.mask_of_step(step)
                self._always[number, place] = word < 0
                self._words[number, place], self._masks[number, place] = max(word, 0), mask
            matcher = sequences[number][0].matcher
            if matcher.ends_once and not matcher.chained:
                self._leading[number, self._last[number]] = False

    def of(self, flags: _Flags) -> tuple[_Bools, _Bools, _Bools]:
        """Return bool[events, sequences] each: is of use as any event of a match, as the last, so that a later one completes it."""
        fits = np.broadcast_to(self._always, (len(flags), *self._always.shape))
        if flags.shape[1]:
            fits = fits | (flags[:, self._words] & self._masks != 0)
        takes: _Bools = fits.any(axis=2)
        leads: _Bools = (fits & self._leading).any(axis=2)
        return takes, fits[:, self._all, self._last], leads


def watch(
    work: Work,
    answers: Answers,
    records: Sequence[Record],
    start: int,
    stop: int,
    event: _Array,
    status: NDArray[np.uint8],
    arrival: _Array,
    flags: _Flags,
) -> None:
    """Look for sequences that touches `start` to `stop` complete, whose rows are there; `flags` are the events' bits."""
    screened: dict[int, tuple[_Bools, _Bools, _Bools]] = {}
    for touch in range(start, stop):
        record = records[touch]
        entity = record.entity
        sequences = work.plan.by_entity[entity].sequences
        if not sequences or status[touch] == CONFLICT:
            continue
        answers.texts.update(((touch, column), "") for _, column in sequences)
        found = screened.get(entity)
        if found is None:
            screen = work.shared.screens.get(entity)
            if screen is None:
                screen = work.shared.screens[entity] = Screen(work.plan, entity)
            found = screened[entity] = screen.of(flags)
        takes, ends_of, leads_of = found
        row = int(event[touch])
        wanted = np.flatnonzero(takes[row]).tolist()
        if wanted:
            ends, leads = ends_of[row], leads_of[row]
            rows = Rows(work, record, int(arrival[touch]))
            time_ms = int(work.events.time_ms[row])
            place = rows.row_of(time_ms, int(arrival[touch]))
            again = status[touch] == DUPLICATE
            for number in wanted:
                asked, column = sequences[number]
                late = bool(leads[number]) and place is not None and place + 1 < len(rows.times) and not again
                if ends[number] or late:
                    _look(
                        answers,
                        rows,
                        touch,
                        place,
                        asked,
                        column,
                        ends=bool(ends[number]),
                        late=late,
                        again=bool(again),
                    )


def _look(
    answers: Answers,
    rows: Rows,
    touch: int,
    place: int | None,
    asked: SequenceAsked,
    column: int,
    *,
    ends: bool,
    late: bool,
    again: bool,
) -> None:
    """Look for what one event completes of one sequence; what an event that comes `again` completes was told before."""
    if place is None:
        answers.texts[touch, column] = None
        return
    try:
        if ends:
            matches = asked.matcher.ending_at(rows, place)
            if matches:
                answers.texts[touch, column] = match_text(rows.taken(asked, matches[-1]))
            if not again:
                answers.found += [Found(touch, asked.key, rows.taken(asked, one), late=False) for one in matches]
        if late:
            answers.found += _completed_late(asked, rows, place, touch)
    except TooMuchError:
        answers.texts[touch, column] = None


def _completed_late(asked: SequenceAsked, rows: Rows, place: int, touch: int) -> list[Found]:
    """Return the matches that later events complete only now that the one at `place` has come."""
    matcher, found = asked.matcher, []
    until = len(rows.times)
    if not matcher.chained:
        until = int(np.searchsorted(rows.times, rows.times[place] + matcher.within_ms, side="right"))
    for last in rows.rows(matcher.last_step, place + 1, until)[:LATE_LOOK]:
        found += [
            Found(touch, asked.key, rows.taken(asked, one), late=True) for one in matcher.only_with(rows, last, place)
        ]
    return found
