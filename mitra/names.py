"""The texts that a bucket's records name by number: of rules, models, features, entities, as pipelines and changes call them.

An entry is a tuple of texts. Entries are only ever added, so a number stands for the same as long as the state lives. Under
`NUL names NUL page` lie 64 entries in their order: a version byte, then MessagePack. What events bring is never an entry.
"""

import msgspec

from mitra.errors import MitraError
from mitra.history import Store
from mitra.versioned import rest_of

STATE_VERSION = 1
PAGE = 64
"""Entries a page: a new one rewrites its page."""

Entry = tuple[str, ...]

_HEAD = bytes((STATE_VERSION,))
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Entry]).decode


class UnknownNamesError(MitraError):
    """A page of names has a version that this release doesn't read."""


class Names:
    """The entries of one bucket; `number` adds, `keep` writes what was added."""

    def __init__(self, store: Store | None = None) -> None:
        """Read what the store has; without one there are no entries yet."""
        self._entries: list[Entry] = []
        if store is not None:
            while (data := store.get(_key(len(self._entries) // PAGE))) is not None:
                self._entries += _decode(rest_of(data, STATE_VERSION, "a page of names has", UnknownNamesError))
                if len(self._entries) % PAGE:
                    break
        self._numbers = {entry: number for number, entry in enumerate(self._entries)}
        self._written = len(self._entries)

    def __getitem__(self, number: int) -> Entry:
        """Return an entry. Raises IndexError for one that isn't there."""
        return self._entries[number]

    def number(self, entry: Entry) -> int:
        """Return an entry's number; one that is new gets the next."""
        number = self._numbers.get(entry)
        if number is None:
            number = self._numbers[entry] = len(self._entries)
            self._entries.append(entry)
        return number

    def keep(self, store: Store) -> None:
        """Write the entries that have been added since."""
        count = len(self._entries)
        if count == self._written:
            return
        pages = range(self._written // PAGE, -(-count // PAGE))
        store.put_all({_key(page): _HEAD + _encode(self._entries[page * PAGE : (page + 1) * PAGE]) for page in pages})
        self._written = count


def _key(page: int) -> str:
    return f"\0names\0{page}"
