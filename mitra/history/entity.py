"""One entity's history in memory, and the cache of those that were used last."""

from collections import OrderedDict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mitra.history.codec import Directory
from mitra.history.columns import ADDRESS, CAP, INFO_COLUMNS, NOTE_COUNT, NOTES, PAST, PAST_WORDS
from mitra.history.labels import Notes
from mitra.history.past import Past

_OVERHEAD_BYTES = 900  # of the objects around the rows
_PASSED = 64
_NAME_BYTES = 150  # of a text that was answered, with its place by hash
_NO_LATE: dict[int, dict[int, bytes]] = {}
_NO_NAMES: dict[int, str] = {}
_NO_NOTES: Notes = np.empty((0, 0), np.int64)
_NO_WORDS: NDArray[np.int64] = np.empty(0, np.int64)


class Record:
    """An entity's rows (words of `columns` × `cap`), and what its directory says; `handle` is its row of the cache's `info`.

    `texts` are those of the open rows as they are stored, `tail_texts` those of the last
    segment, None until they are wanted; `names` are texts by hash that were looked up.
    `notes` are the used rows of `note_room`.
    `late`: the segments, by number, that rows were inserted into since they were written, with the texts of those by hash.
    An empty `late` or `names` belongs to all entities that have none: it is replaced, never filled.
    `changed`: the directory is to be encoded again. `since` is the entry of the journal that changed the entity first since it was
    written, 0 if none did; `removed` are keys that are to go when it is written.
    """

    __slots__ = (
        "bucket", "cap", "changed", "directory", "entity", "extra", "grown", "handle", "key", "late", "names", "note_room", "notes", "past",
        "past_changed", "removed", "since", "tail_texts", "texts", "weighed", "words",
    )  # fmt: skip

    def __init__(self, key: str, bucket: int, entity: int, handle: int) -> None:
        """Start an entity without events."""
        self.key = key
        self.bucket = bucket
        self.entity = entity
        self.handle = handle
        self.cap = 0
        self.words = _NO_WORDS
        self.directory = Directory()
        self.extra = b""
        self.changed = True
        self.texts = b""
        self.tail_texts: bytes | None = None
        self.names = _NO_NAMES
        self.late = _NO_LATE
        self.removed: tuple[str, ...] = ()
        self.since = 0
        self.past_changed = False
        self.grown = True
        self.weighed = 0
        self.notes: Notes | None = None
        self.note_room = _NO_NOTES
        self.past: Past | None = None

    @property
    def size_bytes(self) -> int:
        """About how much memory the entity takes."""
        notes = int(self.note_room.nbytes)
        past = 0 if self.past is None else 2 * self.past.packed.nbytes
        names = len(self.names) * _NAME_BYTES
        return int(self.words.nbytes) + len(self.texts) + names + notes + past + _OVERHEAD_BYTES


class Cache:
    """Entities by their header's key, the least recently used first, and `info`: what the kernels know of each."""

    def __init__(self, limit_bytes: int) -> None:
        """Keep about `limit_bytes` of entities between batches; those of one batch are always kept until its end."""
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self.records: OrderedDict[str, Record] = OrderedDict()
        self.info = np.zeros((1024, INFO_COLUMNS), np.int64)
        self._free = list(range(1023, -1, -1))

    def add(self, key: str, bucket: int, entity: int) -> Record:
        """Start an entity without rows."""
        if not self._free:
            size = len(self.info)
            self.info = np.vstack([self.info, np.zeros((size, INFO_COLUMNS), np.int64)])
            self._free = list(range(2 * size - 1, size - 1, -1))
        record = Record(key, bucket, entity, self._free.pop())
        self.info[record.handle] = 0
        self.records[key] = record
        return record

    def reserve(self, record: Record, rows: int, columns: int) -> None:
        """Make room for so many rows."""
        if rows <= record.cap:
            return
        cap = capacity(rows)
        words = np.empty(cap * columns, np.int64)
        if record.cap:
            words.reshape(columns, cap)[:, : record.cap] = record.words.reshape(columns, record.cap)
        record.words = words
        record.cap = cap
        record.grown = True
        row = self.info[record.handle]
        row[ADDRESS] = words.__array_interface__["data"][0]
        row[CAP] = cap

    def set_notes(self, record: Record, notes: Notes) -> None:
        """Give an entity other notes."""
        record.grown = True
        record.note_room = record.notes = np.ascontiguousarray(notes)
        row = self.info[record.handle]
        row[NOTES] = record.note_room.__array_interface__["data"][0]
        row[NOTE_COUNT] = len(notes)

    def reserve_notes(self, record: Record, more: int, width: int) -> None:
        """Make room for more notes."""
        count = 0 if record.notes is None else len(record.notes)
        if record.notes is not None and count + more <= len(record.note_room):
            return
        room = np.empty((max(8, 2 * count) + more, width), np.int64)
        if record.notes is not None:
            room[:count] = record.notes
        self.set_notes(record, room)
        record.notes = room[:count]
        self.info[record.handle, NOTE_COUNT] = count

    def set_past(self, record: Record, past: Past) -> None:
        """Give an entity another past, or the same after it was packed again."""
        record.past = past
        record.grown = True
        row = self.info[record.handle]
        row[PAST] = past.packed.__array_interface__["data"][0]
        row[PAST_WORDS] = len(past.packed)

    def used(self, records: Iterable[Record]) -> None:
        """Note that entities were used, and the size of those that have grown."""
        to_end = self.records.move_to_end
        for record in records:
            to_end(record.key)
            if record.grown:
                record.grown = False
                size = record.size_bytes
                self.size_bytes += size - record.weighed
                record.weighed = size

    def drop(self, record: Record) -> None:
        """Forget an entity."""
        if self.records.get(record.key) is record:
            del self.records[record.key]
            self.size_bytes -= record.weighed
            self._free.append(record.handle)

    def keep_only(self, records: Iterable[Record]) -> None:
        """Forget all entities but these."""
        kept = {record.key: record for record in records}
        for record in [record for key, record in self.records.items() if key not in kept]:
            self.drop(record)

    def trim(self) -> None:
        """Forget the least recently used entities until the rest fits, but none that is still to be written.

        Looks at a few more than the room that is needed: those of another bucket, which are written with its own batches, may come first.
        """
        too_much = self.size_bytes - self.limit_bytes
        if too_much <= 0:
            return
        forgotten = []
        passed = 0
        for record in self.records.values():
            if too_much <= 0 or passed >= _PASSED:
                break
            if record.since:
                passed += 1
            else:
                too_much -= record.weighed
                forgotten.append(record)
        for record in forgotten:
            self.drop(record)


def capacity(rows: int) -> int:
    """Return the room to make for rows: 4, 6, 8, 12, 16, 24 … so that growing costs little and wastes at most a third."""
    cap = 4
    while cap < rows:
        cap = cap * 3 // 2 if cap & (cap - 1) == 0 else cap // 3 * 4
    return cap
