"""Brings entities into memory: from the cache, from the store, or new."""

from collections.abc import Sequence

import numpy as np

from mitra.errors import MitraError
from mitra.history import codec
from mitra.history.columns import ADDRESS, COUNTER, ENTITY, EXTRA_BYTES, GONE_MS, NOTES_CHANGED, ROWS, SEALED
from mitra.history.entity import Record
from mitra.history.past import decode_past
from mitra.history.retiring import link_rows
from mitra.history.scans import ALWAYS
from mitra.history.store import header_key, labels_key, segment_key, tiles_key
from mitra.history.stored_rows import decode_rows
from mitra.history.work import Work
from mitra.history.writing import settle


def record_of(work: Work, entity: int, key: str) -> Record:
    """Return an entity's history, from the cache or the store, or a new one."""
    name = header_key(work.plan.by_entity[entity].name, key)
    record = work.touched.get(name)
    if record is not None:
        return record
    record = work.cache.records.get(name)
    if record is None:
        record = work.cache.add(name, work.bucket, entity)
        work.touched[name] = record
        _load(work, record)
    else:
        work.touched[name] = record
    return record


def records_of(work: Work, entities: Sequence[int], keys: Sequence[str]) -> list[Record]:
    """Return the histories of so many entities, each as often as it occurs."""
    prefixes = [f"{plan.name}\0" for plan in work.plan.by_entity]
    touched, cached = work.touched, work.cache.records
    records = []
    for entity, key in zip(entities, keys, strict=True):
        name = prefixes[entity] + key
        record = touched.get(name)
        if record is None:
            record = cached.get(name)
            if record is not None:
                touched[name] = record
            else:
                record = record_of(work, entity, key)
        records.append(record)
    return records


def _load(work: Work, record: Record) -> None:
    info = work.cache.info[record.handle]
    info[ENTITY] = record.entity
    info[GONE_MS] = ALWAYS
    for older in work.shared.older:
        settle(work, older, record.key)
    data = work.store.get(record.key)
    if data is None:
        return
    reader = work.reader
    head = reader.block(data, work.store)
    directory = record.directory = codec.decode_directory(head.directory)
    record.extra = head.directory
    info[EXTRA_BYTES] = len(record.extra)
    record.changed = False
    record.texts = head.texts
    blocks = []
    for number in directory.segments[::2]:
        segment = work.store.get(segment_key(record.key, number))
        if segment is None:
            raise MitraError(f"segment={number} of {record.key!r} is not in state though its header names it")
        blocks.append(reader.block(segment, work.store))
    sealed = sum(block.rows for block in blocks) - directory.skip
    total = sealed + head.rows
    columns = work.shape.columns[record.entity]
    work.cache.reserve(record, total + 1, columns)
    row = 0
    for place, block in enumerate([*blocks, head]):
        stored = block.stored
        rows = block.rows
        if place == 0 and directory.skip:
            stored = np.ascontiguousarray(stored.reshape(-1, rows)[:, directory.skip :]).ravel()
            rows -= directory.skip
        decode_rows(info[ADDRESS], record.cap, work.shape.stored, row, rows, stored, head.counter)
        row += rows
    info[ROWS] = total
    info[SEALED] = sealed
    info[COUNTER] = head.counter
    if directory.gone_ms is not None:
        info[GONE_MS] = directory.gone_ms
    if directory.past:
        kept = work.store.get(tiles_key(record.key))
        if kept is None:
            raise MitraError(f"the tiles of {record.key!r} are not in state though its header names them")
        work.cache.set_past(record, decode_past(kept, work.plan.by_entity[record.entity]))
    link_rows(work, record)
    notes = directory.labels
    if directory.labels_apart:
        notes = work.store.get(labels_key(record.key)) or b""
    if notes:
        work.cache.set_notes(record, reader.notes(notes, head, record, total, work.store))
        # Their flags are numbered as the header's conditions: where these are others now, the notes are written with it.
        info[NOTES_CHANGED] = head.conditions != work.plan.conditions.fingerprint
