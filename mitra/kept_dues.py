"""When a bucket's histories are to be looked at again, because something didn't come: due times in slots of the bucket's state.

    NUL due                          a version byte, then the numbers of the slots that there are
    NUL due NUL slot NUL chunk       a version byte, then [[due ms, sequence, entity, key, time ms, arrival], …]

A slot is ten seconds of event time. A batch adds a chunk to each slot that it has due times in; a slot is read when its time has
come, and what is left of it is written again. There is no half-matched state: an entry says where to look, not what was seen.
"""

import heapq
from typing import NamedTuple

import msgspec

from mitra.errors import MitraError
from mitra.history import Store
from mitra.versioned import rest_of

STATE_VERSION = 1
SLOT_MS = 10_000

_HEAD = bytes((STATE_VERSION,))
_WHAT = "due times have"


class Due(NamedTuple):
    """When it will be known that a sequence's match is complete: behind `due_ms`. The match's last event is that at (`time_ms`, `arrival`)."""

    due_ms: int
    sequence: str
    entity: str
    key: str
    time_ms: int
    arrival: int


class UnknownDuesError(MitraError):
    """Due times have a version that this release doesn't read."""


_encode = msgspec.msgpack.Encoder().encode
_decode_slots = msgspec.msgpack.Decoder(list[int]).decode
_decode_dues = msgspec.msgpack.Decoder(list[Due]).decode


class KeptDues:
    """The due times of one bucket. Slots whose time has not come are known by number alone."""

    def __init__(self, store: Store, name: str = "due") -> None:
        """Read which slots there are; `name` tells these due times from others of the bucket."""
        self._key = f"\0{name}"
        data = store.get(self._key)
        slots = [] if data is None else _decode_slots(rest_of(data, STATE_VERSION, _WHAT, UnknownDuesError))
        self._chunks: dict[int, int | None] = dict.fromkeys(slots)
        """The number of chunks of each slot, None where it hasn't been counted."""
        self._open: dict[int, list[Due]] = {}

    @property
    def any(self) -> bool:
        """Whether anything is due ever."""
        return bool(self._chunks)

    def add(self, dues: list[Due], store: Store) -> None:
        """Keep due times."""
        by_slot: dict[int, list[Due]] = {}
        for due in dues:
            by_slot.setdefault(due.due_ms // SLOT_MS, []).append(due)
        entries: dict[str, bytes] = {}
        for slot, found in by_slot.items():
            chunk = self._count(slot, store)
            entries[self._chunk_key(slot, chunk)] = _HEAD + _encode(found)
            if slot not in self._chunks:
                entries[self._key] = b""
            self._chunks[slot] = chunk + 1
            if slot in self._open:
                for due in found:
                    heapq.heappush(self._open[slot], due)
        if self._key in entries:
            entries[self._key] = self._slots()
        if entries:
            store.put_all(entries)

    def take(self, clock_ms: int, store: Store) -> list[Due]:
        """Return the due times before `clock_ms`, in order, and keep them no more."""
        taken: list[Due] = []
        for slot in sorted(slot for slot in self._chunks if slot * SLOT_MS < clock_ms):
            left = self._opened(slot, store)
            before = len(taken)
            while left and left[0].due_ms < clock_ms:
                taken.append(heapq.heappop(left))
            if len(taken) > before:
                self._rewrite(slot, store)
        return taken

    def _opened(self, slot: int, store: Store) -> list[Due]:
        found = self._open.get(slot)
        if found is None:
            found = self._open[slot] = []
            for chunk in range(self._count(slot, store)):
                data = store.get(self._chunk_key(slot, chunk)) or b""
                found += _decode_dues(rest_of(data, STATE_VERSION, _WHAT, UnknownDuesError))
            heapq.heapify(found)
        return found

    def _rewrite(self, slot: int, store: Store) -> None:
        """Write what is left of a slot as one chunk, or let the slot go."""
        left = self._open[slot]
        for chunk in range(bool(left), self._count(slot, store)):
            store.remove(self._chunk_key(slot, chunk))
        if left:
            store.put_all({self._chunk_key(slot, 0): _HEAD + _encode(left)})
            self._chunks[slot] = 1
            return
        del self._chunks[slot], self._open[slot]
        if self._chunks:
            store.put_all({self._key: self._slots()})
        else:
            store.remove(self._key)

    def _count(self, slot: int, store: Store) -> int:
        if slot not in self._chunks:
            return 0
        count = self._chunks[slot]
        if count is None:
            count = 0
            while store.get(self._chunk_key(slot, count)) is not None:
                count += 1
            self._chunks[slot] = count
        return count

    def _slots(self) -> bytes:
        return _HEAD + _encode(sorted(self._chunks))

    def _chunk_key(self, slot: int, chunk: int) -> str:
        return f"{self._key}\0{slot}\0{chunk}"
