"""Which entities have been idle so long that nothing reaches their events any more: a list for each day, per bucket.

An entity stands in the list of one day, chosen when it is new; its header says which. When the day has come, it is
swept if its newest event is old enough, else it moves to the list of the day on which that may be. So a bucket's state is
never walked through, and an event of an active entity costs nothing here. Lists are chunks of keys that only grow at their
end, and a batch looks at a few entities, or twice as many as are new in it.
"""

import msgspec

from mitra.history.plan import DAY_MS
from mitra.history.store import DAYS_KEY, Store, day_key

CHUNK_KEYS = 64
LOOKS = 16  # entities that are looked at together


class _Days(msgspec.Struct, array_like=True):
    """The days that have lists: day -> chunks, and how many keys the last chunk holds."""

    days: dict[int, tuple[int, int]] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode_days = msgspec.msgpack.Decoder(_Days).decode
_decode_keys = msgspec.msgpack.Decoder(list[str]).decode


def due_day(newest_ms: int, keep_ms: int) -> int:
    """Return the first day on which nothing reaches an entity whose newest event is of that time."""
    return (newest_ms + keep_ms) // DAY_MS + 1


class DayIndex:
    """The lists of one bucket during one batch; `entries` gets what is to be written, `removed` what is to go."""

    def __init__(
        self, store: Store, entries: dict[str, bytes], removed: list[str], days: dict[int, tuple[int, int]] | None
    ) -> None:
        """Go on with the days of the batch before, or read them from the store."""
        self._store = store
        self._entries = entries
        self._removed = removed
        if days is None:
            data = store.get(DAYS_KEY)
            days = {} if data is None else _decode_days(data).days
        self.days = days

    def add(self, day: int, keys: list[str]) -> None:
        """Put entities into a day's list."""
        chunks, size = self.days.get(day, (0, CHUNK_KEYS))
        while keys:
            if size >= CHUNK_KEYS:
                chunks, size = chunks + 1, 0
            key = day_key(day, chunks - 1)
            here = self._keys(key) if size else []
            here += keys[: CHUNK_KEYS - size]
            keys = keys[CHUNK_KEYS - size :]
            size = len(here)
            self._entries[key] = _encode(here)
        self.days[day] = chunks, size
        self._entries[DAYS_KEY] = _encode(_Days(self.days))

    def take(self, clock_ms: int) -> list[tuple[int, str]]:
        """Take the next entities off the lists of days that have come, LOOKS at most: the day and the header's key."""
        today = clock_ms // DAY_MS
        first = min(self.days, default=today + 1)
        if first > today:
            return []
        chunks, _ = self.days[first]
        key = day_key(first, chunks - 1)
        keys = self._keys(key)
        taken, left = keys[-LOOKS:], keys[:-LOOKS]
        if left:
            self._entries[key] = _encode(left)
            self.days[first] = chunks, len(left)
        else:
            self._removed.append(key)
            self._entries.pop(key, None)
            if chunks > 1:
                self.days[first] = chunks - 1, CHUNK_KEYS
            else:
                del self.days[first]
        self._entries[DAYS_KEY] = _encode(_Days(self.days))
        return [(first, name) for name in taken]

    def _keys(self, key: str) -> list[str]:
        data = self._entries.get(key)
        if data is None:
            data = self._store.get(key)
        return [] if data is None else _decode_keys(data)
