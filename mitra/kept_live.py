"""What was last told of an entity's live features, and when time alone may change them.

    NUL live-told NUL header     a version byte, then [as of, next due time or None, values]

The due times lie in slots of their own beside those of sequences (see `kept_dues`). An entity has one at a time: it is looked at
when that has come, whatever came before, and due again when its next event crosses the edge of a window.
"""

import msgspec

from mitra.errors import MitraError
from mitra.history import Store
from mitra.history.store import header_key
from mitra.kept_dues import Due, KeptDues
from mitra.versioned import rest_of
from rules.plan import Value

STATE_VERSION = 1
_HEAD = bytes((STATE_VERSION,))


class UnknownLiveError(MitraError):
    """What was told of live features has a version that this release doesn't read."""


class LastTold(msgspec.Struct, array_like=True):
    """What was told of an entity, and the due time that is kept for it."""

    as_of_ms: int
    due_ms: int | None
    values: list[Value]


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(LastTold)


class KeptLive:
    """The told features and due times of one bucket."""

    def __init__(self, store: Store) -> None:
        """Read which slots there are."""
        self._dues = KeptDues(store, "live-due")

    @property
    def any(self) -> bool:
        """Whether anything is due ever."""
        return self._dues.any

    def told(self, entity: str, key: str, store: Store) -> LastTold | None:
        """Return what was told of an entity, None if nothing was."""
        data = store.get(_told_key(entity, key))
        if data is None:
            return None
        return _decoder.decode(rest_of(data, STATE_VERSION, "what was told of live features has", UnknownLiveError))

    def tell(self, found: dict[tuple[str, str], LastTold], store: Store) -> None:
        """Keep what is told of entities. One whose due time is kept already, or an earlier one, gets no other."""
        dues = []
        entries = {}
        for (entity, key), told in found.items():
            before = self.told(entity, key, store)
            kept_ms = (
                None if before is None or before.due_ms is None or before.due_ms <= told.as_of_ms else before.due_ms
            )
            if told.due_ms is not None and (kept_ms is None or told.due_ms < kept_ms):
                dues.append(Due(told.due_ms, "", entity, key, 0, 0))
            elif kept_ms is not None:
                told.due_ms = kept_ms
            entries[_told_key(entity, key)] = _HEAD + _encode(told)
        if entries:
            store.put_all(entries)
        self._dues.add(dues, store)

    def forget(self, entity: str, key: str, store: Store) -> None:
        """Keep nothing of an entity any more."""
        store.remove(_told_key(entity, key))

    def take(self, clock_ms: int, store: Store) -> list[tuple[str, str, LastTold]]:
        """Return the entities that are due by a time, in order, each once, with what was told of it."""
        taken: dict[tuple[str, str], LastTold] = {}
        for due in self._dues.take(clock_ms + 1, store):
            told = self.told(due.entity, due.key, store)
            # Not the due time of one that is due earlier by now, or was forgotten.
            if told is not None and told.due_ms == due.due_ms:
                taken[due.entity, due.key] = told
        return [(entity, key, told) for (entity, key), told in taken.items()]


def _told_key(entity: str, key: str) -> str:
    return f"\0live-told\0{header_key(entity, key)}"
