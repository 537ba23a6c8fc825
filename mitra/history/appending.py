"""Appends a batch's events to the histories they touch, and answers for each."""

from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from mitra.history.batch import Result, Touches
from mitra.history.entity import Record
from mitra.history.kernels import lacking, run
from mitra.history.loading import records_of
from mitra.history.retiring import retire
from mitra.history.texts import answer_texts, encode_texts
from mitra.history.watching import Answers, watch
from mitra.history.work import Work

_Array = NDArray[np.int64]
_MASKS = 4096  # patterns of text columns that are remembered: many columns have more patterns than memory holds


def append(work: Work, touches: Touches, *, again: bool = False) -> Result:
    """Insert the events and answer for each touch; `again`: they were answered before, so no sequence is looked for."""
    plan, events = work.plan, work.events
    m = len(touches.event)
    width, text_width = plan.width, plan.text_width
    values = np.full((m, width), np.nan)
    text_values = np.zeros((m, text_width), np.int64)
    approximate = np.zeros((m, width), np.uint8)
    status = np.zeros(m, np.uint8)
    arrival = np.zeros(m, np.int64)
    records = records_of(work, touches.entity.tolist(), touches.key)
    if not m:
        return Result(status, arrival, values, [] if text_width else None, None)
    handles = np.array([record.handle for record in records], np.int64)
    _make_room(work, handles, records)
    late = np.full(m, -1, np.int64)
    new_texts = np.zeros(m, np.int64)
    event = np.ascontiguousarray(touches.event, np.int64)
    flags = plan.conditions.evaluate(events.kind, events.time_ms, events.numbers, events.texts)
    numbers = np.ascontiguousarray(events.numbers, np.float64)
    hashes = np.ascontiguousarray(events.text_hashes, np.int64)
    kinds = events.kind.astype(np.int64)
    texts: list[list[str | None]] = []
    answers = Answers()
    start = 0
    while start < m:
        stop = run(
            start, handles, event, work.cache.info, kinds, events.time_ms, events.id_hash, events.content_hash, numbers, hashes,
            flags, plan.words, plan.keep_ms, work.shape.raw_limit, work.shared.scratch, work.shared.partial, status, arrival,
            late, new_texts, values, text_values, approximate,
        )  # fmt: skip
        _after(work, start, stop, records, event, late, new_texts)
        if text_width:
            texts += answer_texts(work, records[start:stop], text_values[start:stop])
            if not again:
                watch(work, answers, records, start, stop, event, status, arrival, flags)
        if stop < m:
            retire(work, records[stop], int(events.time_ms[event[stop]]))
        start = stop
    inexact = approximate.view(np.bool_) if approximate.any() else None
    for (touch, column), text in answers.texts.items():
        texts[touch][column] = text
    return Result(status, arrival, values, texts if text_width else None, inexact, answers.found)


def _make_room(work: Work, handles: _Array, records: Sequence[Record]) -> None:
    """Make room for all the rows that the batch may bring each entity."""
    places, needed = np.empty(len(handles), np.int64), np.empty(len(handles), np.int64)
    found = lacking(handles, work.cache.info, places, needed)
    for place, rows in zip(places[:found].tolist(), needed[:found].tolist(), strict=True):
        record = records[place]
        work.cache.reserve(record, rows, work.shape.columns[record.entity])


def _after(
    work: Work, start: int, stop: int, records: Sequence[Record], event: _Array, late: _Array, new_texts: _Array
) -> None:
    """Keep the texts of inserted rows, and say which segments got rows."""
    if work.shape.texts and new_texts[start:stop].any():
        encoded, masks = encode_texts(work), work.shared.masks
        for record, row, bits in zip(
            records[start:stop], event[start:stop].tolist(), new_texts[start:stop].tolist(), strict=True
        ):
            if bits:
                mask = masks.get(bits)
                if mask is None:
                    if len(masks) >= _MASKS:
                        masks.clear()
                    mask = masks[bits] = [bits >> min(c, 62) & 1 for c in range(work.shape.texts)]
                record.texts += b"".join(compress(encoded[row], mask))
    for touch in np.flatnonzero(late[start:stop] >= 0).tolist():
        row = int(event[start + touch])
        texts = dict(zip(work.events.text_hashes[row].tolist(), encode_texts(work)[row], strict=True))
        texts.pop(0, None)
        _into_segment(records[start + touch], int(late[start + touch]), texts)


def _into_segment(record: Record, row: int, texts: dict[int, bytes]) -> None:
    """Count a row to the segment it was inserted into, which is to be written again."""
    directory = record.directory
    segments = directory.segments
    upto = -directory.skip
    for place in range(0, len(segments), 2):
        upto += segments[place + 1]
        if row < upto:
            segments[place + 1] += 1
            if not record.late:
                record.late = {}
            record.late.setdefault(segments[place], {}).update(texts)
            record.changed = True
            return
