"""Sequences: whether an event completes one in the rows of its entity.

An event is answered from the rows that had arrived with it, up to its own. Where it came late, the events behind it are looked
at again: what they complete only now is told as late.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mitra.history.batch import CONFLICT, DUPLICATE, Found
from mitra.history.columns import LOW_HALF, ROWS
from mitra.history.entity import Record
from mitra.history.memory import ARRIVAL, FIELDS, ID, META, TIME
from mitra.history.texts import text_of
from mitra.history.work import Work
from rules.plan import Value
from rules.sequences.asked import SequenceAsked, Taken, match_text
from rules.sequences.match import Match, TooMuchError

_Array = NDArray[np.int64]


@dataclass(slots=True)
class Answers:
    """What a batch's sequences came to: texts by (touch, column), and all matches."""

    texts: dict[tuple[int, int], str | None] = field(default_factory=dict)
    found: list[Found] = field(default_factory=list)


class Incoming:
    """The events of a batch, each by itself: what the conditions on an event alone are asked of."""

    def __init__(self, work: Work) -> None:
        """Read the batch's columns."""
        events, layout = work.events, work.plan.layout
        self.times: Sequence[int] = events.time_ms.tolist()
        self._events = events
        self._names = layout.events
        self._kinds: list[int] = events.kind.tolist()
        self._numeric = {name: place for place, name in enumerate(layout.numeric)}
        self._texts = {name: place for place, name in enumerate(layout.text)}

    def event(self, row: int) -> str:
        """Return an event's type."""
        return self._names[self._kinds[row]]

    def value(self, row: int, field: str) -> Value:
        """Return the value of an event's field."""
        place = self._texts.get(field)
        if place is not None:
            return self._events.texts[row][place]
        number = float(self._events.numbers[row, self._numeric[field]])
        return None if number != number else number


class Rows:
    """The rows of one entity that had arrived by some number of arrival, in order."""

    def __init__(self, work: Work, record: Record, arrival: int | None) -> None:
        """Pick the rows; None: all that there are."""
        self._work = work
        self._record = record
        size = int(work.cache.info[record.handle, ROWS])
        columns = record.words.reshape(-1, record.cap)[:, :size]
        self._columns: _Array = columns
        self._places: list[int] | None = None
        if arrival is not None and (columns[ARRIVAL] > arrival).any():
            self._places = np.flatnonzero(columns[ARRIVAL] <= arrival).tolist()
        chosen = columns[TIME] if self._places is None else columns[TIME][self._places]
        self.times: Sequence[int] = chosen.tolist()
        layout = work.plan.layout
        self._names = layout.events
        self._numeric = {name: FIELDS + place for place, name in enumerate(layout.numeric)}
        self._texts = {name: FIELDS + len(layout.numeric) + place for place, name in enumerate(layout.text)}

    def _place(self, row: int) -> int:
        return row if self._places is None else self._places[row]

    def event(self, row: int) -> str:
        """Return an event's type; that of one whose type the pipeline no longer has is empty."""
        kind = int(self._columns[META, self._place(row)]) & LOW_HALF
        return self._names[kind] if kind < len(self._names) else ""

    def value(self, row: int, field: str) -> Value:
        """Return the value of an event's field."""
        place = self._place(row)
        column = self._texts.get(field)
        if column is not None:
            hashed = int(self._columns[column, place])
            return text_of(self._work, self._record, hashed) if hashed else None
        number = float(self._columns[self._numeric[field], place : place + 1].view(np.float64)[0])
        return None if number != number else number

    def arrival(self, row: int) -> int:
        """Return an event's number of arrival."""
        return int(self._columns[ARRIVAL, self._place(row)])

    def row_of(self, time_ms: int, arrival: int) -> int | None:
        """Return the row of an event, None if it has been folded away."""
        for row in range(len(self.times) - 1, -1, -1):
            if self.times[row] < time_ms:
                return None
            if self.times[row] == time_ms and self.arrival(row) == arrival:
                return row
        return None

    def taken(self, asked: SequenceAsked, match: Match) -> list[Taken]:
        """Return the events of a match."""
        steps = asked.compiled.pattern.steps
        return [
            Taken(
                steps[place].name,
                self.event(row),
                self.times[row],
                self.arrival(row),
                int(self._columns[ID, self._place(row)]),
            )
            for row, place in match.taken
        ]


def watch(
    work: Work,
    answers: Answers,
    records: Sequence[Record],
    start: int,
    stop: int,
    event: _Array,
    status: NDArray[np.uint8],
    arrival: _Array,
) -> None:
    """Look for sequences that touches `start` to `stop` complete; their rows are the newest work has done."""
    incoming: Incoming | None = None
    for touch in range(start, stop):
        record = records[touch]
        sequences = work.plan.by_entity[record.entity].sequences
        if not sequences or status[touch] == CONFLICT:
            continue
        incoming = incoming or Incoming(work)
        _watch_one(work, answers, record, touch, int(event[touch]), incoming, int(arrival[touch]), int(status[touch]))


def _watch_one(
    work: Work, answers: Answers, record: Record, touch: int, row: int, incoming: Incoming, arrival: int, status: int
) -> None:
    rows: Rows | None = None
    place: int | None = None
    for asked, column in work.plan.by_entity[record.entity].sequences:
        answers.texts[touch, column] = ""
        matcher = asked.matcher
        ends = matcher.may_end(incoming, row)
        late = status != DUPLICATE and (ends or matcher.may_take(incoming, row))
        if not ends and not late:
            continue
        if rows is None:
            rows = Rows(work, record, arrival)
            place = rows.row_of(incoming.times[row], arrival)
        if place is None:
            answers.texts[touch, column] = None
            continue
        try:
            if ends:
                matches = matcher.ending_at(rows, place)
                if matches:
                    answers.texts[touch, column] = match_text(rows.taken(asked, matches[-1]))
                if status != DUPLICATE:
                    answers.found += [Found(touch, asked.key, rows.taken(asked, one), late=False) for one in matches]
            if late and place + 1 < len(rows.times):
                answers.found += _completed_late(asked, rows, place, touch)
        except TooMuchError:
            answers.texts[touch, column] = None


def _completed_late(asked: SequenceAsked, rows: Rows, place: int, touch: int) -> list[Found]:
    """Return the matches that later events complete only now that the one at `place` has come."""
    matcher, found = asked.matcher, []
    until = rows.times[place] + matcher.within_ms
    for last in range(place + 1, len(rows.times)):
        if rows.times[last] > until:
            break
        matches = matcher.ending_at(rows, last)
        if matches and not matcher.ending_at(rows, last, without=place):
            found += [Found(touch, asked.key, rows.taken(asked, one), late=True) for one in matches]
    return found
