"""Writes what batches changed: into the journal at once, each entity itself when the journal has held its changes for long enough."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mitra.history import codec, sealing
from mitra.history.columns import EXTRA_BYTES, HEADER_WORDS, NOTES_CHANGED, ROWS, SEALED
from mitra.history.entity import Record
from mitra.history.journal import Journal
from mitra.history.labels import INLINE_NOTES
from mitra.history.sealing import rewrite_late, seal
from mitra.history.store import conditions_key, labels_key, layout_key, tiles_key
from mitra.history.stored_rows import encode_headers
from mitra.history.work import Shared, Work

_Array = NDArray[np.int64]

OPEN_FAR = 256
"""An entity with so many open rows is written at once: what is asked of open rows is asked of all of them."""
AHEAD = 2
"""So many times the entities that a batch touches are written with it at most.

More fall due at once where many were changed at once: by a batch of a backlog, before payments came at their pace again.
"""
LEAST = 16
"""So many may always be written."""
LEFT_BEHIND = 64
"""Of what an older plan has left, so many entities are written with a batch."""


def write(work: Work, journal: Journal, most: int) -> None:
    """Write what is due after a batch: what the journal has held while `most` newer events came; all there is when `most` is 0.

    What is too much for one batch stays due. Entries of the journal that nobody needs any more are removed.
    """
    shared = work.shared
    newest = journal.next - 1
    work.changed_by(newest)
    dirty = shared.dirty[work.bucket]
    too_old = journal.too_old(most)
    share = max(LEAST, AHEAD * len(work.touched)) if most else None
    due = [record for record in islice(dirty.values(), share) if record.since <= too_old]
    chosen = {record.key: record for record in due}
    chosen.update((record.key, record) for record in _in_the_way(work, share))
    chosen.update((record.key, record) for record in work.at_once)
    chosen.update((record.key, record) for record in _far_open(work))
    encode(work, list(chosen.values()), newest)
    for name in chosen:
        dirty.pop(name, None)
    if work.touched:
        describe(work)
    for older in shared.older:
        left = older.dirty.get(work.bucket, {})
        _write_older(work, older, list(islice(left.values(), LEFT_BEHIND)))
    shared.older = [older for older in shared.older if any(older.dirty.values())]
    everyone = (one.dirty.get(work.bucket, {}) for one in (shared, *shared.older))
    needed = min((next(iter(one.values())).since for one in everyone if one), default=journal.next)
    journal.trim(needed, work.entries, work.removed)
    put(work)


def _in_the_way(work: Work, most: int | None) -> list[Record]:
    """Return the bucket's entities that memory is short of room for and that can't be forgotten before they are written.

    They are those that weren't used for longest: another payment of theirs isn't near, and nobody else is written sooner for it.
    """
    found = []
    too_much = work.cache.size_bytes - work.cache.limit_bytes
    for record in islice(work.cache.records.values(), most):
        if too_much <= 0:
            break
        if record.key in work.touched or (record.since and record.bucket != work.bucket):
            continue
        too_much -= record.weighed
        if record.since:
            found.append(record)
    return found


def _far_open(work: Work) -> list[Record]:
    """Return the entities of a batch that have too many open rows."""
    records = list(work.touched.values())
    info = work.cache.info
    handles = np.array([record.handle for record in records], np.int64)
    return [records[i] for i in np.flatnonzero(info[handles, ROWS] - info[handles, SEALED] > OPEN_FAR).tolist()]


def settle(work: Work, older: Shared, name: str) -> None:
    """Write an entity that an older plan has left, before it is read under the one at hand."""
    record = older.dirty.get(work.bucket, {}).get(name)
    if record is not None:
        at_once = Work(work.shared, work.bucket, work.store, work.events, work.counted)
        _write_older(at_once, older, [record])
        put(at_once)


def _write_older(work: Work, older: Shared, records: Sequence[Record]) -> None:
    """Add entities of an older plan to what is written, and forget them."""
    if not records:
        return
    mine = Work(older, work.bucket, work.store, work.events)
    encode(mine, records, work.counted)
    describe(mine)
    work.entries.update(mine.entries)
    work.removed += mine.removed
    for record in records:
        del older.dirty[work.bucket][record.key]
        older.cache.drop(record)


def put(work: Work) -> None:
    """Write what was gathered, then take away what goes."""
    if work.entries:
        work.store.put_all(work.entries)
    for key in work.removed:
        work.store.remove(key)


def encode(work: Work, records: Sequence[Record], counted: int) -> None:
    """Add entities to what is written; their headers say that entry `counted` of the journal is counted in."""
    if not records:
        return
    info = work.cache.info
    handles = np.array([record.handle for record in records], np.int64)
    for i in np.flatnonzero(info[handles, ROWS] - info[handles, SEALED] > sealing.OPEN_MOST).tolist():
        seal(work, records[i])
    for i in np.flatnonzero(info[handles, NOTES_CHANGED]).tolist():
        _place_notes(work, records[i])
    for record in records:
        if record.late:
            rewrite_late(work, record)
        if record.past_changed and record.past is not None:
            work.entries[tiles_key(record.key)] = record.past.encode()
            record.past_changed = False
        if record.changed or record.directory.counted != counted:
            record.directory.counted = counted
            record.extra = codec.encode_directory(record.directory)
            record.changed = False
            info[record.handle, EXTRA_BYTES] = len(record.extra)
        if record.removed:
            work.removed += record.removed
            record.removed = ()
        record.since = 0
    info[handles, NOTES_CHANGED] = 0
    _headers(work, records, handles)


def _place_notes(work: Work, record: Record) -> None:
    """Put an entity's labels into its header when they are few, else under a key of their own."""
    notes = record.notes
    assert notes is not None
    directory = record.directory
    few = len(notes) <= INLINE_NOTES
    directory.labels = notes.tobytes() if few else b""
    if not few:
        work.entries[labels_key(record.key)] = notes.tobytes()
    elif directory.labels_apart:
        work.removed.append(labels_key(record.key))
    record.changed = record.changed or few or not directory.labels_apart
    directory.labels_apart = not few


def _headers(work: Work, records: Sequence[Record], handles: _Array) -> None:
    """Add the entities' headers to what is written."""
    info = work.cache.info
    open_rows = int((info[handles, ROWS] - info[handles, SEALED]).sum())
    size = open_rows * (work.shape.stored - 1) + HEADER_WORDS * len(handles)
    if size > len(work.shared.out):
        work.shared.out = np.empty(size * 2, np.int64)
    places = np.empty(len(handles) + 1, np.int64)
    encode_headers(
        handles, info, work.shape.stored, codec.VERSION, work.plan.layout.fingerprint, work.plan.conditions.fingerprint,
        work.shared.out, places,
    )  # fmt: skip
    words = work.shared.out.data.cast("B")
    entries = work.entries
    start = 0
    for record, stop in zip(records, (places[1:] * 8).tolist(), strict=True):
        entries[record.key] = b"".join((words[start:stop], record.extra, record.texts))
        start = stop


def describe(work: Work) -> None:
    """Store what the fingerprints in the bucket's headers and journal stand for, once for each bucket."""
    if work.bucket in work.shared.described:
        return
    work.shared.described.add(work.bucket)
    layout, conditions = work.plan.layout, work.plan.conditions
    for key, value in (
        (layout_key(layout.fingerprint), layout.encoded), (conditions_key(conditions.fingerprint), conditions.encoded)
    ):  # fmt: skip
        if work.store.get(key) is None:
            work.entries[key] = value
