"""The journal of a bucket: what came in lately, so that an entity that many batches touch is written once and not with each.

Every batch is put into the journal as it came, which is a tenth of the bytes of the entities it touches. An entity that it
changes is *dirty* until its bytes are written: when more events have come since its first change than the journal is to hold.
A restored bucket is its entities as they were written, and the journal applied to them; each header says up to where it has it.
"""

from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np

from mitra.errors import MitraError
from mitra.hashing import text_hash
from mitra.history.batch import Events, LabelNotes, Touches, as_read
from mitra.history.layout import GONE_KIND, Layout
from mitra.history.store import JOURNAL_KEY, Store, journal_key
from mitra.versioned import rest_of

VERSION = 1
TRIM = 64  # entries are removed when so many can be: what is written of the journal's beginning is then next to nothing


class JournalStateError(MitraError):
    """The journal in state was written by a newer release, or isn't whole."""


class _Labels(msgspec.Struct, array_like=True, gc=False):
    """Labels as columns, see `LabelNotes`."""

    entities: bytes
    keys: Sequence[str]
    ids: bytes
    times_ms: bytes
    values: bytes
    known_at_ms: bytes
    versions: bytes


class Entry(msgspec.Struct, array_like=True, gc=False):
    """One call of `History.process`: columns as in `Events` and `Touches`, the texts without their hashes.

    `entities` names what the touches' numbers stand for, `layout` the columns: another plan reads both by name.
    """

    layout: int
    entities: Sequence[str]
    clock_ms: int
    kinds: bytes
    times_ms: bytes
    ids: bytes
    contents: bytes
    numbers: bytes
    texts: Sequence[Sequence[str | None]]
    touch_entities: bytes
    touch_events: bytes
    keys: Sequence[str]
    labels: _Labels | None


class _Begin(msgspec.Struct, array_like=True):
    """The number of the journal's first entry."""

    first: int


_VERSION = bytes([VERSION])
_encode = msgspec.msgpack.Encoder().encode
_decode_entry = msgspec.msgpack.Decoder(Entry).decode
_decode_begin = msgspec.msgpack.Decoder(_Begin).decode
_WHAT = "a bucket's journal has"


class Journal:
    """The journal of one bucket: entries `first` to `next` - 1 lie in the store. Numbers count from 1."""

    def __init__(self, store: Store) -> None:
        """Find the journal that a store holds; `stored` are its entries, to be applied."""
        data = store.get(JOURNAL_KEY)
        self.first = 1 if data is None else _decode_begin(rest_of(data, VERSION, _WHAT, JournalStateError)).first
        self.next = self.first
        self.stored: list[Entry] = []
        self._sizes: deque[tuple[int, int]] = deque()
        self._events = 0
        self._too_old = 0
        while (data := store.get(journal_key(self.next))) is not None:
            entry = _decode_entry(rest_of(data, VERSION, _WHAT, JournalStateError))
            self.stored.append(entry)
            self._count(entry)

    def _count(self, entry: Entry) -> None:
        events = len(entry.texts) + (0 if entry.labels is None else len(entry.labels.keys))
        self._sizes.append((self.next, events))
        self._events += events
        self.next += 1

    def append(self, entries: dict[str, bytes], entry: Entry) -> None:
        """Add the next entry to what is written."""
        entries[journal_key(self.next)] = _VERSION + _encode(entry)
        self._count(entry)

    def too_old(self, events: int) -> int:
        """Return the number of the newest entry that has as many `events` behind it; 0 if none has."""
        if not events:
            self._too_old = self.next - 1
        while self._sizes and self._events - self._sizes[0][1] >= events:
            self._too_old, size = self._sizes.popleft()
            self._events -= size
        return self._too_old

    def trim(self, needed: int, entries: dict[str, bytes], removed: list[str]) -> None:
        """Remove the entries before number `needed`, when they are many."""
        if needed - self.first >= TRIM:
            removed += [journal_key(number) for number in range(self.first, needed)]
            self.first = needed
            entries[JOURNAL_KEY] = _VERSION + _encode(_Begin(needed))


def entry_of(
    layout: Layout, entities: Sequence[str], clock_ms: int, events: Events, touches: Touches, labels: LabelNotes | None
) -> Entry:
    """Return a batch as the journal has it."""
    noted = None
    if labels is not None:
        noted = _Labels(
            labels.entity.tobytes(), labels.key, labels.id_hash.tobytes(), labels.event_time_ms.tobytes(), labels.value.tobytes(),
            labels.known_at_ms.tobytes(), labels.version.tobytes(),
        )  # fmt: skip
    return Entry(
        layout.fingerprint, entities, clock_ms, events.kind.tobytes(), events.time_ms.tobytes(), events.id_hash.tobytes(),
        events.content_hash.tobytes(), events.numbers.tobytes(), events.texts, touches.entity.tobytes(),
        touches.event.tobytes(), touches.key, noted,
    )  # fmt: skip


def batch_of(
    entry: Entry, old: Layout, layout: Layout, entities: Sequence[str]
) -> tuple[Events, Touches, LabelNotes | None]:
    """Return a batch of the journal in the columns of `layout`, with `entities` numbered as the plan's.

    As with rows in state, a field that `old` didn't have is missing. What entities that are gone were touched by is left out.
    """
    kinds = np.frombuffer(entry.kinds, np.uint8)
    place = {name: number for number, name in enumerate(layout.events)}
    kind_of = np.array([place.get(name, GONE_KIND) for name in old.events], np.uint8)
    count = len(kinds)
    numbers = np.frombuffer(entry.numbers, np.float64).reshape(count, len(old.numeric))
    wanted = [(layout.numeric.index(name), column) for column, name in enumerate(old.numeric) if name in layout.numeric]
    shown = np.full((count, len(layout.numeric)), np.nan)
    for to, column in wanted:
        shown[:, to] = numbers[:, column]
    at = [old.text.index(name) if name in old.text else -1 for name in layout.text]
    texts = [[None if column < 0 else row[column] for column in at] for row in entry.texts]
    hashes = np.array([[0 if text is None else text_hash(text) for text in row] for row in texts], np.int64)
    same = old.fingerprint == layout.fingerprint
    contents = np.frombuffer(entry.contents, np.int64)
    events = Events(
        kind=kind_of[kinds],
        time_ms=np.frombuffer(entry.times_ms, np.int64),
        id_hash=np.frombuffer(entry.ids, np.int64),
        content_hash=contents if same else as_read(np.zeros(count, np.int64)),
        numbers=as_read(shown),
        text_hashes=as_read(hashes.reshape(count, len(layout.text))),
        texts=texts,
    )
    number_of = np.array([entities.index(name) if name in entities else -1 for name in entry.entities], np.int64)
    touched = number_of[np.frombuffer(entry.touch_entities, np.uint8)]
    rows = np.frombuffer(entry.touch_events, np.int32)
    kept = np.flatnonzero(touched >= 0)
    touches = Touches(touched[kept].astype(np.uint8), rows[kept], [entry.keys[i] for i in kept.tolist()])
    return events, touches, None if entry.labels is None else _labels_of(entry.labels).by_name(entry.entities, entities)


def _labels_of(labels: _Labels) -> LabelNotes:
    return LabelNotes(
        entity=np.frombuffer(labels.entities, np.uint8),
        key=labels.keys,
        id_hash=np.frombuffer(labels.ids, np.int64),
        event_time_ms=np.frombuffer(labels.times_ms, np.int64),
        value=np.frombuffer(labels.values, np.float64),
        known_at_ms=np.frombuffer(labels.known_at_ms, np.int64),
        version=np.frombuffer(labels.versions, np.int64),
    )
