"""What goes into a call of `History.process` and what comes out, as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mitra.history.layout import Layout
from rules.sequences.asked import Taken

NEW, DUPLICATE, CONFLICT = 0, 1, 2

_Array = TypeVar("_Array", bound=NDArray[Any])

Texts = Sequence[Sequence[str | None]]


def as_read(array: _Array) -> _Array:
    """Return an array that can't be written, like those in a message: kernels are compiled for these, and once more for others."""
    array.flags.writeable = False
    return array


@dataclass(slots=True)
class Events:
    """n events as columns, the fields in the order of the layout.

    `kind`: uint8[n], place of the event's type in the layout. `numbers`: float64[n, F], NaN is missing.
    `text_hashes`: int64[n, T], 0 is missing; `texts[i][j]` is the text behind it and is asked for only when it is stored.
    """

    kind: NDArray[np.uint8]
    time_ms: NDArray[np.int64]
    id_hash: NDArray[np.int64]
    content_hash: NDArray[np.int64]
    numbers: NDArray[np.float64]
    text_hashes: NDArray[np.int64]
    texts: Texts


def no_events(layout: Layout) -> Events:
    """Return a batch of no events."""
    return Events(
        kind=np.empty(0, dtype=np.uint8),
        time_ms=np.empty(0, dtype=np.int64),
        id_hash=np.empty(0, dtype=np.int64),
        content_hash=np.empty(0, dtype=np.int64),
        numbers=np.empty((0, len(layout.numeric))),
        text_hashes=np.empty((0, len(layout.text)), dtype=np.int64),
        texts=[],
    )


@dataclass(slots=True)
class Touches:
    """m memberships in order of arrival: event `event[i]` belongs to the history of `key[i]`, an entity of type `entity[i]`."""

    entity: NDArray[np.uint8]
    event: NDArray[np.int32]
    key: Sequence[str]

    def some(self, places: Sequence[int]) -> "Touches":
        """Return those at `places`."""
        return Touches(self.entity[places], self.event[places], [self.key[place] for place in places])


@dataclass(slots=True)
class LabelNotes:
    """k labels of past events, for one entity each; `value` is 0.0 or 1.0.

    Versions of one event's label count from 1; a higher one supersedes from its own `known_at_ms` on.
    """

    entity: NDArray[np.uint8]
    key: Sequence[str]
    id_hash: NDArray[np.int64]
    event_time_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    known_at_ms: NDArray[np.int64]
    version: NDArray[np.int64]

    def by_name(self, names: Sequence[str], entities: Sequence[str]) -> "LabelNotes":
        """Return those of `entities`, numbered by them, where `names` are what the numbers here stand for."""
        if names == entities:
            return self
        number_of = np.array([entities.index(name) if name in entities else -1 for name in names], np.int64)
        numbers = number_of[self.entity]
        kept = np.flatnonzero(numbers >= 0)
        found = self.some(kept.tolist())
        found.entity = numbers[kept].astype(np.uint8)
        return found

    def some(self, places: Sequence[int]) -> "LabelNotes":
        """Return those at `places`."""
        return LabelNotes(
            self.entity[places], [self.key[place] for place in places], as_read(self.id_hash[places]),
            as_read(self.event_time_ms[places]), as_read(self.value[places]), as_read(self.known_at_ms[places]),
            as_read(self.version[places]),
        )  # fmt: skip


@dataclass(slots=True)
class Found:
    """A match of the sequence asked as `key`, completed with a touch. `late`: its last event had been answered before."""

    touch: int
    key: str
    taken: list[Taken]
    late: bool


@dataclass(slots=True)
class Result:
    """The answers, one row for each touch.

    `status`: uint8[m], NEW, DUPLICATE (same id and content: values as of the stored event) or CONFLICT (same id, other
    content: no values). `arrival`: int64[m], the event's number of arrival in that history, from 1; for a duplicate or
    a conflict the stored event's. `values`: float64[m, K] by `Plan.columns`, NaN is missing. `texts`: the text-valued
    columns in the same order, or None when no aggregate is a text. `approximate`: bool[m, K] marks values that
    used a tile's edge or a sketch, None when there is none. `found`: the matches of sequences, in order of touches.
    """

    status: NDArray[np.uint8]
    arrival: NDArray[np.int64]
    values: NDArray[np.float64]
    texts: list[list[str | None]] | None
    approximate: NDArray[np.bool_] | None
    found: list[Found] = field(default_factory=list)
