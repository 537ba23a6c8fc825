"""The records that a lane holds back until the control log is active: no payment is judged by an empty rule set.

Key `count`: how many batches are held, as decimal digits. Keys 0, 1, …: a version byte, then the source records of a batch as
a MessagePack array.
"""

from collections.abc import Iterator, Sequence

import msgspec

from mitra.errors import MitraError
from mitra.history import Store
from mitra.versioned import rest_of

STATE_VERSION = 1

_COUNT_KEY = "count"
_HEAD = bytes((STATE_VERSION,))
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[str]).decode


class UnknownRecordsError(MitraError):
    """A held batch has a version that this release doesn't read."""


class HeldRecords:
    """Batches of source records in the order in which they came."""

    def __init__(self, store: Store) -> None:
        """See how many there are."""
        self._store = store
        self.batches = int(store.get(_COUNT_KEY) or b"0")

    def hold(self, records: Sequence[str]) -> None:
        """Keep one more batch."""
        self._store.put_all({str(self.batches): _HEAD + _encode(records), _COUNT_KEY: b"%d" % (self.batches + 1)})
        self.batches += 1

    def release(self) -> Iterator[list[str]]:
        """Yield all batches, and forget them."""
        held, self.batches = self.batches, 0
        for number in range(held):
            data = self._store.get(str(number)) or b""
            yield _decode(rest_of(data, STATE_VERSION, "a held batch has", UnknownRecordsError))
            self._store.remove(str(number))
        self._store.remove(_COUNT_KEY)
