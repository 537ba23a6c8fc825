"""Writes what a batch changed, all at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mitra.history import codec, sealing
from mitra.history.columns import EXTRA_BYTES, HEADER_WORDS, NOTES_CHANGED, ROWS, SEALED
from mitra.history.entity import Record
from mitra.history.noting import place_notes
from mitra.history.sealing import rewrite_late, seal
from mitra.history.store import conditions_key, layout_key, tiles_key
from mitra.history.stored_rows import encode_headers
from mitra.history.work import Work

_Array = NDArray[np.int64]


def write(work: Work) -> None:
    """Write everything that changed, at once; then take away what is no longer named."""
    records = list(work.touched.values())
    info = work.cache.info
    handles = np.array([record.handle for record in records], np.int64)
    for i in np.flatnonzero(info[handles, ROWS] - info[handles, SEALED] > sealing.OPEN_MOST).tolist():
        seal(work, records[i])
    for i in np.flatnonzero(info[handles, NOTES_CHANGED]).tolist():
        place_notes(work, records[i])
    for record in records:
        if record.late:
            rewrite_late(work, record)
        if record.past_changed and record.past is not None:
            work.entries[tiles_key(record.key)] = record.past.encode()
            record.past_changed = False
        if record.changed:
            record.extra = codec.encode_directory(record.directory)
            record.changed = False
            info[record.handle, EXTRA_BYTES] = len(record.extra)
    if records:
        _describe(work)
        _headers(work, records, handles)
    if work.entries:
        work.store.put_all(work.entries)
    for key in work.removed:
        work.store.remove(key)
    info[handles, NOTES_CHANGED] = 0
    if records:
        work.shared.described.add(work.bucket)


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


def _describe(work: Work) -> None:
    """Store what the fingerprints in this batch's headers stand for, once for each bucket."""
    if work.bucket in work.shared.described:
        return
    layout, conditions = work.plan.layout, work.plan.conditions
    for key, value in (
        (layout_key(layout.fingerprint), layout.encoded), (conditions_key(conditions.fingerprint), conditions.encoded)
    ):  # fmt: skip
        if work.store.get(key) is None:
            work.entries[key] = value
