"""Moves rows from an entity's header into its sealed segments."""

import numpy as np

from mitra.history import codec
from mitra.history.columns import ADDRESS, COUNTER, ROWS, SEALED
from mitra.history.entity import Record
from mitra.history.store import segment_key
from mitra.history.stored_rows import encode_rows
from mitra.history.texts import hashes_of, keep_open_texts, open_texts, sealed_texts, stored_texts
from mitra.history.work import Work

# Open rows are written each time an entity is, the last segment with every OPEN_MOST - OPEN_LEAST-th event: these sizes make
# that about 12 rows + 4 rows when an entity is written with every event.
OPEN_MOST = 20
OPEN_LEAST = 4
SEGMENT_ROWS = 128
# Full segments of entities with more segments than this are deflated: it takes about 200 µs and saves half of the bytes.
PACK_FROM = 3


def seal(work: Work, record: Record) -> None:
    """Move the oldest open rows to the last segment, and to new ones when it is full."""
    info = work.cache.info[record.handle]
    directory = record.directory
    segments = directory.segments
    sealed = int(info[SEALED])
    move = int(info[ROWS]) - sealed - OPEN_LEAST
    while move > 0:
        if not segments or segments[-1] >= SEGMENT_ROWS:
            segments += [directory.next_segment, 0]
            directory.next_segment += 1
            record.tail_texts = b""
        number = segments[-2]
        take = min(move, SEGMENT_ROWS - segments[-1])
        segments[-1] += take
        first, stop = _span(record, len(segments) - 2)
        if number not in record.late:
            if record.tail_texts is None:
                record.tail_texts = stored_texts(work, record, number)
            known = set(hashes_of(work, record, first, sealed))
            fresh = [h for h in hashes_of(work, record, sealed, sealed + take) if h not in known]
            record.tail_texts += b"".join(open_texts(work, record, fresh).values())
            full = stop - first >= SEGMENT_ROWS and len(segments) > 2 * PACK_FROM
            _segment(work, record, len(segments) - 2, first, stop, record.tail_texts, pack=full)
        else:
            record.late[number].update(codec.decode_texts(record.texts))
        sealed += take
        move -= take
    info[SEALED] = sealed
    if record.late:
        rewrite_late(work, record)
    record.changed = True
    keep_open_texts(work, record)


def _span(record: Record, place: int) -> tuple[int, int]:
    """Return the rows of a segment."""
    sizes = record.directory.segments[1::2]
    before = sum(sizes[: place // 2])
    skip = record.directory.skip
    return max(before - skip, 0), before + sizes[place // 2] - skip


def rewrite_late(work: Work, record: Record) -> None:
    """Write the segments that got rows late, with the texts that their rows hold, and no other."""
    segments = record.directory.segments
    for place in range(0, len(segments), 2):
        late = record.late.pop(segments[place], None)
        if late is None:
            continue
        first, stop = _span(record, place)
        texts = b"".join(sealed_texts(work, record, segments[place], hashes_of(work, record, first, stop), late))
        if place == len(segments) - 2:
            record.tail_texts = texts
        # Not deflated: who got one late row gets more, and 300 µs each time is what three payments cost.
        _segment(work, record, place, first, stop, texts, pack=False)
    record.changed = True


def _segment(work: Work, record: Record, place: int, first: int, stop: int, texts: bytes, *, pack: bool) -> None:
    """Write rows [first, stop) as the segment at `place` of the directory."""
    directory = record.directory
    stored = np.empty((stop - first) * (work.shape.stored - 1), np.int64)
    address = work.cache.info[record.handle, ADDRESS]
    encode_rows(address, record.cap, work.shape.stored, first, stop, stored)
    if place == 0:
        directory.segments[1] = stop - first
        directory.skip = 0
    number = directory.segments[place]
    work.entries[segment_key(record.key, number)] = codec.encode_block(
        stop - first, work.plan.layout.fingerprint, work.plan.conditions.fingerprint,
        int(work.cache.info[record.handle, COUNTER]), stored, texts,
        pack=pack,
    )  # fmt: skip
