"""A topic read from its end backwards, in pieces, until who asked has what they want or the bound is reached."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mitra.errors import MitraError

Progress = Callable[[str, int, int], None]
"""(what is going on, how much of it is done, of how much); the whole is 0 while it isn't known."""

_PIECE = 40_000
_POLLED = 5_000
_SILENT_S = 10.0


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back to look: to a time, by the records' timestamps, or over so many of the newest records; at least one is given."""

    since_ms: int | None = None
    newest: int | None = None


class Backwards:
    """The records of a topic, the newest piece first. `count` and `oldest_ms` tell how far it has come.

    `whole`: everything that the topic still has was looked at.
    """

    def __init__(
        self, reader: Any, reach: Reach, step: str, progress: Progress, *, until_ms: int | None = None
    ) -> None:
        """Take a consumer that is assigned the topic's partitions; what was written after `until_ms` is passed over."""
        self._reader = reader
        self._step, self._progress = step, progress
        places = sorted(reader.assignment())
        self._firsts = reader.beginning_offsets(places)
        ends = reader.end_offsets(places)
        if until_ms is not None:
            ends |= self._at(places, until_ms + 1, ends)
        self._ends = dict(ends)
        self._highs: dict[Any, int] = dict(ends)
        since = reach.since_ms
        self._lows: dict[Any, int] = dict(self._firsts if since is None else self._at(places, since, ends))
        self._newest = reach.newest
        self.count = 0
        self.oldest_ms: int | None = None

    def __iter__(self) -> Iterator[Any]:
        """Go over the records; within a piece the newest comes first."""
        total = sum(max(0, self._highs[place] - self._lows[place]) for place in self._highs)
        total = total if self._newest is None else min(total, self._newest)
        while any(self._highs[place] > self._lows[place] for place in self._highs):
            if self._newest is not None and self.count >= self._newest:
                return
            self._progress(self._step, min(self.count, total), total)
            piece = sorted(self._piece(), key=lambda one: one.timestamp, reverse=True)
            self.count += len(piece)
            for record in piece:
                self.oldest_ms = record.timestamp if self.oldest_ms is None else min(self.oldest_ms, record.timestamp)
            yield from piece

    @property
    def whole(self) -> bool:
        """Whether everything that the topic still has was looked at."""
        return all(self._highs[place] <= self._firsts[place] for place in self._highs)

    def _at(self, places: list[Any], time_ms: int, ends: dict[Any, int]) -> dict[Any, int]:
        found = self._reader.offsets_for_times(dict.fromkeys(places, time_ms))
        return {place: ends[place] if found.get(place) is None else found[place].offset for place in places}

    def _piece(self) -> list[Any]:
        """Read the next records before those that were read, of every partition some."""
        open_ = [place for place, high in self._highs.items() if high > self._lows[place]]
        width = max(1, _PIECE // len(open_))
        ends = {place: self._highs[place] for place in open_}
        for place in open_:
            self._highs[place] = max(self._lows[place], self._highs[place] - width)
        for place in self._highs:
            # A partition that is through is left standing at its end, where it gives nothing.
            self._reader.seek(place, self._highs[place] if place in ends else self._ends[place])
        found: list[Any] = []
        deadline = time.monotonic() + _SILENT_S
        while any(self._reader.position(place) < end for place, end in ends.items()):
            batch = self._reader.poll(timeout_ms=200, max_records=_POLLED)
            for place, records in batch.items():
                found += [one for one in records if place in ends and one.offset < ends[place]]
            if batch:
                deadline = time.monotonic() + _SILENT_S
            elif time.monotonic() > deadline:
                topic = open_[0].topic
                raise MitraError(f"Kafka gives nothing of {topic} for {_SILENT_S:.0f} s; is a broker down?")
        return found
