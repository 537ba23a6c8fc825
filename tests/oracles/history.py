"""What histories must answer, in plain Python over lists: every answer looks at every event that ever arrived.

It shares no code with mitra.history. Events, labels and aggregates are simple records; `_answer` is the definition.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from typing import Any

Value = float | int | str | bool | None


@dataclass(frozen=True)
class PastEvent:
    """An event as a test describes it: `values` by field name, without id and time."""

    kind: str
    time_ms: int
    id: str
    content: int
    values: dict[str, Value]


@dataclass(frozen=True)
class Label:
    """A label of an event."""

    id: str
    event_time_ms: int
    value: float
    known_at_ms: int
    version: int


@dataclass(frozen=True)
class Question:
    """An aggregate: `window` is ("over", ms), ("last", n), ("session", ms) or ("ever", 0); `where` takes an event's values."""

    function: str
    field: str | None
    window: tuple[str, int]
    delay_ms: int = 0
    where: Callable[[dict[str, Value]], bool | None] | None = None
    event: str | None = None
    parameter: float | None = None
    pair: tuple[str, tuple[str, ...], str] | None = None


@dataclass
class OracleHistory:
    """One entity's history. `absent_legit_after_ms`: when silence means legit, None for never."""

    label_name: str = "fraud"
    absent_legit_after_ms: int | None = None
    events: list[PastEvent] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def note(self, label: Label) -> None:
        """Keep a label, unless that version of it is there already."""
        if not any(other.id == label.id and other.version == label.version for other in self.labels):
            self.labels.append(label)

    def touch(self, event: PastEvent, questions: list[Question]) -> tuple[str, int, list[Any]]:
        """Append an event; return its status, its number of arrival and the answers as of it (none for a conflict)."""
        for place, old in enumerate(self.events):
            if old.id == event.id:
                if old.content != event.content:
                    return "conflict", place + 1, []
                return "duplicate", place + 1, self._answers(questions, place)
        self.events.append(event)
        place = len(self.events) - 1
        return "new", place + 1, self._answers(questions, place)

    def _answers(self, questions: list[Question], place: int) -> list[Any]:
        """Answer questions as of the event that arrived at `place`."""
        order = sorted((event.time_ms, i) for i, event in enumerate(self.events))
        past = [i for at, i in order if (at, i) <= (self.events[place].time_ms, place)]
        return [self._answer(q, place, past) for q in questions]

    def _answer(self, q: Question, place: int, past: list[int]) -> Any:
        """Answer a question out of the events up to the one at `place`, in their order."""
        me = self.events[place]
        t = me.time_ms
        past = [i for i in past if self.events[i].time_ms <= t - q.delay_ms]
        matching = [i for i in past if self._matches(q, self.events[i])]
        kind, size = q.window
        if kind == "over":
            matching = [i for i in matching if self.events[i].time_ms > t - q.delay_ms - size]
        elif kind == "last":
            matching = matching[-size:]
        elif kind == "session":
            matching = self._session(matching, t - q.delay_ms, size)
        if q.function in {"previous", "seconds_since"}:
            before = [i for i in matching if i != place]
            if not before:
                return None
            newest = self.events[before[-1]]
            return newest.values.get(q.field) if q.function == "previous" else (t - newest.time_ms) / 1000.0
        events = [self.events[i] for i in matching]
        if q.function == "first":
            return events[0].values.get(q.field) if events else None
        if q.function == "open":
            return float(sum(self._is_open(q, i, place) for i in matching))
        if q.pair is not None:
            return of_values(q, [(self.events[i].time_ms, self._elapsed(q, i)) for i in matching])
        if q.function == "periodicity":
            return rhythm([event.time_ms for event in events], q.parameter)
        if q.function in {"most_common", "trend", "quantile"}:
            return of_values(q, [(event.time_ms, event.values.get(q.field)) for event in events])
        if q.field is None:
            return float(len(events))
        if q.field == self.label_name:
            values = [self._label(event, t) for event in events]
        else:
            values = [event.values.get(q.field) for event in events]
        return reduce(q.function, [value for value in values if value is not None])

    def _session(self, matching: list[int], until: int, gap: int) -> list[int]:
        """Return those that belong to the session that lasts until then: no gap is longer."""
        held: list[int] = []
        for i in reversed(matching):
            if until - self.events[i].time_ms > gap:
                break
            until = self.events[i].time_ms
            held.insert(0, i)
        return held

    def _elapsed(self, q: Question, end: int) -> float | None:
        """Return the seconds from the newest event before one that began what it ends."""
        begin, _, name = q.pair
        here = self.events[end]
        began = [
            (event.time_ms, i)
            for i, event in enumerate(self.events)
            if event.kind == begin
            and event.values.get(name) == here.values.get(name) is not None
            and self._after((end, i))
        ]
        return (here.time_ms - max(began)[0]) / 1000.0 if began else None

    def _is_open(self, q: Question, begin: int, place: int) -> bool:
        """Tell whether nothing that had come by `place`, and is behind the event, ends it."""
        _, ends, name = q.pair
        value = self.events[begin].values.get(name)
        return value is not None and not any(
            event.kind in ends
            and event.values.get(name) == value
            and self._after((i, begin))
            and self._after((place, i), same=True)
            for i, event in enumerate(self.events)
        )

    def _after(self, two: tuple[int, int], *, same: bool = False) -> bool:
        """Tell whether one event is behind another in the history's order."""
        one, other = two
        later, earlier = (self.events[one].time_ms, one), (self.events[other].time_ms, other)
        return later > earlier or (same and later == earlier)

    @staticmethod
    def _matches(q: Question, event: PastEvent) -> bool:
        if q.event is not None and event.kind != q.event:
            return False
        return q.where is None or q.where(event.values) is True

    def _label(self, event: PastEvent, t: int) -> float | None:
        known = [label for label in self.labels if label.id == event.id and label.known_at_ms <= t]
        if known:
            return max(known, key=lambda label: label.version).value
        after = self.absent_legit_after_ms
        return 0.0 if after is not None and event.time_ms <= t - after else None


def of_values(q: Question, seen: list[tuple[int, Any]]) -> Any:
    """Answer what is asked of (time, value) of some events, leaving out missing values."""
    present = [(time, value) for time, value in seen if value is not None]
    if q.function in {"most_common", "trend", "quantile"}:
        return of_series(q, present)
    return reduce(q.function, [value for _, value in present])


def of_series(q: Question, seen: list[tuple[int, Any]]) -> Any:
    """Answer what is asked of (time, value) of some events, in their order."""
    if q.function == "most_common":
        values = [value for _, value in seen]
        return max(
            values, key=lambda v: (values.count(v), max(i for i, w in enumerate(values) if w == v)), default=None
        )
    if q.function == "quantile":
        ranked = sorted(float(value) for _, value in seen)
        if not ranked:
            return None
        place = q.parameter * (len(ranked) - 1)
        above = ranked[min(math.floor(place) + 1, len(ranked) - 1)]
        return ranked[math.floor(place)] + (above - ranked[math.floor(place)]) * (place - math.floor(place))
    points = [(Fraction(time), Fraction(float(value))) for time, value in seen]
    if len({time for time, _ in points}) < 2:
        return None
    mean_time, mean = (sum(column) / len(points) for column in zip(*points, strict=True))
    slope = sum((t - mean_time) * (x - mean) for t, x in points) / sum((t - mean_time) ** 2 for t, _ in points)
    return float(slope * 86_400_000)


def rhythm(times: list[int], period: float) -> float | None:
    """Return the mean over all pairs of events of the cosine of their distance, a whole turn being the period; not below 0."""
    if len(times) < 3:
        return None
    turns = [math.cos(2 * math.pi * ((a - b) % period) / period) for a, b in combinations(times, 2)]
    return max(0.0, math.fsum(turns) / len(turns))


def reduce(function: str, values: list[Any]) -> float | None:
    """Reduce the present values of a window."""
    if function == "count":
        return float(len(values))
    if function == "distinct":
        return float(len(set(values)))
    numbers = [float(value) for value in values]
    if function == "sum":
        return math.fsum(numbers)
    if not numbers:
        return None
    if function == "min":
        return min(numbers)
    if function == "max":
        return max(numbers)
    mean = math.fsum(numbers) / len(numbers)
    if function == "mean":
        return mean
    assert function == "std"
    return math.sqrt(math.fsum((x - mean) ** 2 for x in numbers) / len(numbers))
