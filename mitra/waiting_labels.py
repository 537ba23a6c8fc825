"""Labels that came before their transaction: they wait up to a horizon, then they are dead letters.

Stored in a bucket's `waiting` store: the labels of a transaction under its id; the ids that fall due in one hour under that
hour, in pages, so that a page is rewritten and not the list; and how many wait at all, so that a bucket in which none does
pays nothing for looking. Deadlines are on the wall clock.
"""

import msgspec

from mitra.errors import MitraError
from mitra.history import Store
from mitra.versioned import rest_of

HOUR_MS = 3_600_000
_PAGE = 256
_COUNT = "\0count"
_OLDEST = "\0oldest"


class WaitingLabel(msgspec.Struct, array_like=True):
    """One label that waits: what it says, when it is due, where it was read and its bytes."""

    value: float
    known_at_ms: int
    version: int
    source: str
    due_hour: int
    topic: int
    partition: int
    offset: int
    raw: bytes


WAITING_VERSION = 1
_HEAD = bytes((WAITING_VERSION,))
_encode = msgspec.msgpack.Encoder().encode
_labels_decoder = msgspec.msgpack.Decoder(list[WaitingLabel])
_ids_decoder = msgspec.msgpack.Decoder(list[str])


class UnknownWaitingError(MitraError):
    """Labels that wait, or the list of them, have a version that this release doesn't read."""


def _rest(data: bytes) -> memoryview:
    return rest_of(data, WAITING_VERSION, "waiting labels have", UnknownWaitingError)


def encode_labels(labels: list[WaitingLabel]) -> bytes:
    """Return the bytes of the labels of one transaction: a version byte, then MessagePack."""
    return _HEAD + _encode(labels)


def decode_labels(data: bytes | None) -> list[WaitingLabel]:
    """Read labels back; none where nothing is stored. Raises UnknownWaitingError for a version not known."""
    return [] if data is None else _labels_decoder.decode(_rest(data))


def encode_ids(ids: list[str]) -> bytes:
    """Return the bytes of a page of ids: a version byte, then MessagePack."""
    return _HEAD + _encode(ids)


def decode_ids(data: bytes | None) -> list[str]:
    """Read a page back; empty where nothing is stored. Raises UnknownWaitingError for a version not known."""
    return [] if data is None else _ids_decoder.decode(_rest(data))


def _labels_key(transaction_id: str) -> str:
    # No id, whatever it holds, may name what else lies in the store: those keys begin with NUL.
    return f"={transaction_id}"


def _page_key(hour: int, page: int) -> str:
    return f"\0due\0{hour}\0{page}"


def _size_key(hour: int) -> str:
    return f"\0size\0{hour}"


def _number(store: Store, key: str) -> int:
    data = store.get(key)
    return 0 if data is None else int.from_bytes(data, "little")


class WaitingLabels:
    """The waiting labels of the buckets of one subtask."""

    def __init__(self) -> None:
        """Know nothing of any bucket yet: its count is read when it is first needed."""
        self._counts: dict[int, int] = {}

    def _count(self, bucket: int, store: Store) -> int:
        if bucket not in self._counts:
            self._counts[bucket] = _number(store, _COUNT)
        return self._counts[bucket]

    def hold(self, bucket: int, store: Store, transaction_id: str, label: WaitingLabel) -> int:
        """Keep a label until its transaction comes; return the wall clock at which it is due, in milliseconds."""
        labels = decode_labels(store.get(_labels_key(transaction_id)))
        if all(label.version != other.version for other in labels):
            labels.append(label)
            size = _number(store, _size_key(label.due_hour))
            key = _page_key(label.due_hour, size // _PAGE)
            ids = decode_ids(store.get(key))
            count = self._count(bucket, store) + 1
            store.put_all(
                {
                    _labels_key(transaction_id): encode_labels(labels),
                    key: encode_ids([*ids, transaction_id]),
                    _size_key(label.due_hour): (size + 1).to_bytes(8, "little"),
                    _COUNT: count.to_bytes(8, "little"),
                    _OLDEST: min(label.due_hour, _number(store, _OLDEST) or label.due_hour).to_bytes(8, "little"),
                }
            )
            self._counts[bucket] = count
        return (label.due_hour + 1) * HOUR_MS

    def take(self, bucket: int, store: Store, transaction_id: str) -> list[WaitingLabel]:
        """Return the labels that waited for a transaction, which wait no more."""
        if not self._count(bucket, store):
            return []
        labels = decode_labels(store.get(_labels_key(transaction_id)))
        if not labels:
            return []
        store.remove(_labels_key(transaction_id))
        self._lower(bucket, store, len(labels))
        return labels

    def expire(self, bucket: int, store: Store, now_ms: float) -> list[tuple[str, WaitingLabel]]:
        """Return the labels that fell due by now and whose transaction has not come; every hour since the last call is served."""
        last = int(now_ms) // HOUR_MS
        first = _number(store, _OLDEST) or last
        expired = [entry for hour in range(first, last) for entry in _expire_hour(store, hour)]
        if last > first:
            store.put_all({_OLDEST: last.to_bytes(8, "little")})
        if expired:
            self._lower(bucket, store, len(expired))
        return expired

    def _lower(self, bucket: int, store: Store, by: int) -> None:
        count = self._count(bucket, store) - by
        store.put_all({_COUNT: count.to_bytes(8, "little")})
        self._counts[bucket] = count


def _expire_hour(store: Store, hour: int) -> list[tuple[str, WaitingLabel]]:
    expired: list[tuple[str, WaitingLabel]] = []
    size = _number(store, _size_key(hour))
    for page in range(-(-size // _PAGE)):
        for transaction_id in dict.fromkeys(decode_ids(store.get(_page_key(hour, page)))):
            labels = decode_labels(store.get(_labels_key(transaction_id)))
            kept = [label for label in labels if label.due_hour != hour]
            expired += [(transaction_id, label) for label in labels if label.due_hour == hour]
            if kept:
                store.put_all({_labels_key(transaction_id): encode_labels(kept)})
            elif labels:
                store.remove(_labels_key(transaction_id))
        store.remove(_page_key(hour, page))
    if size:
        store.remove(_size_key(hour))
    return expired
