"""The columns of a stored event: which fields of the pipeline's event types are kept, and as what.

A layout is stored once per bucket and named by its fingerprint in every header, so that rows written under an older
layout can be read by name: a field that was added is missing in them, one that was removed or retyped is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import msgspec

from mitra.hashing import text_hash
from mitra.schema import EventType

GONE_KIND = 255
"""The kind of a stored event whose type the pipeline no longer has."""

NumericType = Literal["number", "integer", "boolean"]


class _Stored(msgspec.Struct, array_like=True):
    """A layout as it lies in state: event names in the order of their kinds, then the columns."""

    events: list[str]
    numeric: list[tuple[str, str]]
    text: list[str]
    time_fields: list[str]


_decode = msgspec.msgpack.Decoder(_Stored).decode


@dataclass(frozen=True)
class Layout:
    """The columns of a stored event, numbers first; ids and times have columns of their own.

    `events`: names of the event types, an event's `kind` is its place here. `numeric_types` runs along `numeric`.
    `time_fields`: the fields that hold an event's time, so that a condition may ask for them.
    """

    events: tuple[str, ...]
    numeric: tuple[str, ...]
    numeric_types: tuple[NumericType, ...]
    text: tuple[str, ...]
    time_fields: tuple[str, ...] = ()

    @classmethod
    def of(cls, events: Sequence[EventType]) -> Self:
        """Return the layout that holds the fields of all these event types, in declared order.

        A field that is an integer in one type and a number in another is a number.
        """
        numeric: dict[str, NumericType] = {}
        text: dict[str, None] = {}
        times: dict[str, None] = {}
        for event in events:
            times[event.time] = None
            for field in event.own:
                if field.name in (event.id, event.time):
                    continue
                if field.type == "string":
                    text[field.name] = None
                elif numeric.setdefault(field.name, field.type) != field.type:
                    numeric[field.name] = "number"
        names = tuple(event.name for event in events)
        return cls(names, tuple(numeric), tuple(numeric.values()), tuple(text), tuple(times))

    @cached_property
    def encoded(self) -> bytes:
        """The layout as stored in state."""
        pairs = [(name, str(kind)) for name, kind in zip(self.numeric, self.numeric_types, strict=True)]
        return msgspec.msgpack.encode(_Stored(list(self.events), pairs, list(self.text), list(self.time_fields)))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the layout that `encoded` was taken from."""
        stored = _decode(data)
        types = tuple(kind for _, kind in stored.numeric)
        names = tuple(name for name, _ in stored.numeric)
        return cls(tuple(stored.events), names, types, tuple(stored.text), tuple(stored.time_fields))  # type: ignore[arg-type]

    @cached_property
    def fingerprint(self) -> int:
        """The layout's name in state: a signed 64-bit hash of what it says."""
        return text_hash(self.encoded.hex())
