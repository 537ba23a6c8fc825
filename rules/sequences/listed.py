"""Events of one entity as mappings, in order: what the examples of sequences are."""

from collections.abc import Mapping, Sequence

from rules.plan import Value
from rules.sequences.check import CompiledStep


class Listed:
    """Events, each with its type under `event`, and their times."""

    def __init__(self, events: Sequence[Mapping[str, Value]], times: Sequence[int]) -> None:
        """Keep both."""
        self.times = times
        self._events = events

    def event(self, row: int) -> str:
        """Return an event's type."""
        return str(self._events[row]["event"])

    def value(self, row: int, field: str) -> Value:
        """Return the value of an event's field."""
        return self._events[row].get(field)

    def fits(self, step: CompiledStep, row: int) -> bool:
        """Tell whether a step may take an event, as far as that says itself."""
        if self.event(row) not in step.events:
            return False
        own = step.own
        return own is None or own.predicate([self._own(row, name, step) for name in own.fields]) is True

    def _own(self, row: int, name: str, step: CompiledStep) -> Value:
        return self.times[row] if name in step.times else self.value(row, name)

    def rows(self, step: CompiledStep, start: int, stop: int) -> list[int]:
        """Return the rows from `start` up to, not with, `stop` that a step may take."""
        return [row for row in range(start, stop) if self.fits(step, row)]
