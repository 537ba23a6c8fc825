"""Takes the oldest rows of an entity away: into tiles, totals and samples, or for good."""

import numpy as np

from mitra.history import codec
from mitra.history.columns import ADDRESS, GONE_MS, NOTES_CHANGED, ROWS, SEALED
from mitra.history.entity import Record
from mitra.history.kernels import link_all, link_pairs
from mitra.history.labels import expire, fold
from mitra.history.memory import FIELDS, ID, TIME
from mitra.history.past import Past
from mitra.history.store import segment_key
from mitra.history.texts import keep_open_texts, text_of
from mitra.history.work import Work


def retire(work: Work, record: Record, time_ms: int) -> None:
    """Make room for an event: drop the rows that no window reaches any more, or fold the oldest away."""
    rows = int(work.cache.info[record.handle, ROWS])
    times = record.words[TIME * record.cap : TIME * record.cap + rows]
    newest_ms = max(time_ms, int(times[-1]))
    old = int(np.searchsorted(times, newest_ms - work.plan.keep_ms))
    count = max(old, work.shape.fold_rows) if rows >= work.shape.raw_limit else old
    if count > old or work.plan.by_entity[record.entity].keeps_totals or record.past is not None:
        fold_oldest(work, record, count, newest_ms)
    if old:
        info = work.cache.info[record.handle]
        info[GONE_MS] = max(int(info[GONE_MS]), int(times[old - 1]))
        record.directory.gone_ms = int(info[GONE_MS])
    fold_notes(work, record, count, newest_ms)
    remove_oldest(work, record, count)


def fold_oldest(work: Work, record: Record, count: int, newest_ms: int) -> None:
    """Take the oldest rows into tiles, totals and samples."""
    past = record.past
    if past is None:
        past = Past(work.plan.by_entity[record.entity], int(work.cache.info[record.handle, GONE_MS]))
    word_column = FIELDS + work.shape.numeric + work.shape.texts
    thinned = past.fold(record.words, record.cap, count, work.shape.numeric, word_column, newest_ms, work.plan.keep_ms)
    wanted = past.wanted_texts()
    found = {hashed: text_of(work, record, hashed) for hashed in wanted}
    past.keep_texts({hashed: codec.encode_text(text) for hashed, text in found.items() if text is not None})
    work.cache.set_past(record, past)
    record.past_changed = True
    if not record.directory.past:
        record.directory.past = 1
        record.changed = True
    if thinned:
        link_rows(work, record)


def fold_notes(work: Work, record: Record, count: int, newest_ms: int) -> None:
    """Tell the labels of events that these are no longer rows, and forget those that no window reaches."""
    notes = record.notes
    if notes is None or not len(notes):
        return
    identities = record.words[ID * record.cap : ID * record.cap + count]
    folded = fold(notes, identities)
    kept = notes
    if not work.plan.by_entity[record.entity].keeps_totals:
        kept = expire(notes, newest_ms - work.plan.keep_ms)
    if folded or len(kept) < len(notes):
        work.cache.set_notes(record, kept)
        work.cache.info[record.handle, NOTES_CHANGED] = 1


def link_rows(work: Work, record: Record) -> None:
    """Look up anew when each row's values occurred before."""
    if work.shape.columns[record.entity] > work.shape.stored:
        info = work.cache.info[record.handle]
        past = np.empty(0, np.int64) if record.past is None else record.past.packed
        link_all(
            info[ADDRESS], record.cap, info[ROWS],
            work.shape.numeric, work.shape.texts, work.shape.words, work.plan.words, record.entity, past,
        )  # fmt: skip


def remove_oldest(work: Work, record: Record, count: int) -> None:
    """Take the oldest rows away, and the segments that held nothing else."""
    info = work.cache.info[record.handle]
    rows = int(info[ROWS])
    columns = record.words.reshape(-1, record.cap)
    columns[:, : rows - count] = columns[:, count:rows].copy()
    info[ROWS] = rows - count
    from_open = count - int(info[SEALED])
    info[SEALED] = max(0, -from_open)
    if work.plan.by_entity[record.entity].pairs:
        # What ends among the rows may have begun among those that are gone.
        link_pairs(
            info[ADDRESS], record.cap, info[ROWS],
            work.shape.numeric, work.shape.texts, work.shape.words, work.plan.words, record.entity,
        )  # fmt: skip
    directory = record.directory
    segments = directory.segments
    directory.skip += count
    while segments and directory.skip >= segments[1]:
        directory.skip -= segments[1]
        record.removed += (segment_key(record.key, segments[0]),)
        record.late.pop(segments[0], None)
        del segments[:2]
    record.changed = True
    if not segments:
        directory.skip = 0
        record.tail_texts = None
    if from_open > 0:
        keep_open_texts(work, record)
