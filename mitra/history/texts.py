"""The texts behind hashes: with the open rows in the header, with sealed rows in their segment, and a short time in memory."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mitra.history import codec
from mitra.history.columns import ROWS, SEALED
from mitra.history.entity import Record
from mitra.history.memory import FIELDS
from mitra.history.store import segment_key
from mitra.history.work import Work

RECENT = 200_000  # texts that are remembered by hash, whoever they belong to: about 30 MB
RECENT_BYTES = 128  # longer ones are not remembered: a message may bring 64 KB of them, and they seldom come twice
NAMES = 4096  # texts of an entity that are remembered once they were answered

_Array = NDArray[np.int64]


def encode_texts(work: Work) -> list[list[bytes]]:
    """Return the texts of all events of the batch as they are stored, encoded once for all entities they touch."""
    if work.encoded_texts:
        return work.encoded_texts
    recent = work.shared.recent
    if len(recent) > RECENT:
        recent.clear()
    encode = codec.encode_text
    for hashes, texts in zip(work.events.text_hashes.tolist(), work.events.texts, strict=True):
        row = []
        for hashed, text in zip(hashes, texts, strict=True):
            data = recent.get(hashed)
            if data is None:
                data = b"" if text is None else encode(text)
                if len(data) <= RECENT_BYTES:
                    recent[hashed] = data
            row.append(data)
        work.encoded_texts.append(row)
    return work.encoded_texts


def open_texts(work: Work, record: Record, hashes: list[int]) -> dict[int, bytes]:
    """Return some texts of the open rows, as they are stored; mostly they have come a short time ago."""
    recent = work.shared.recent
    found = {hashed: recent[hashed] for hashed in hashes if hashed in recent}
    if len(found) < len(hashes):
        known = codec.decode_texts(record.texts)
        found = {hashed: known[hashed] for hashed in hashes if hashed in known}
    return found


def sealed_texts(work: Work, record: Record, number: int, hashes: list[int], late: dict[int, bytes]) -> list[bytes]:
    """Return those texts of a segment, as they are stored, that have these hashes; `late` came after it was written.

    It is read only if some of them came longer ago than is remembered.
    """
    recent = work.shared.recent
    found = [recent[hashed] for hashed in hashes if hashed in recent]
    if len(found) < len(hashes):
        known = {**segment_texts(work, record, number), **late}
        found = [known[hashed] for hashed in hashes if hashed in known]
    return found


def answer_texts(work: Work, records: Sequence[Record], hashes: _Array) -> list[list[str | None]]:
    """Return the texts behind the answered hashes."""
    answers: list[list[str | None]] = []
    for record, row in zip(records, hashes.tolist(), strict=True):
        width = len(work.plan.by_entity[record.entity].texts)
        answers.append([text_of(work, record, row[c]) if row[c] else None for c in range(width)])
    return answers


def text_of(work: Work, record: Record, hashed: int) -> str | None:
    """Return the text of a hash that one of an entity's events holds, None if it is nowhere to be found."""
    name = record.names.get(hashed)
    if name is not None:
        return name
    found = work.shared.recent.get(hashed) or codec.decode_texts(record.texts).get(hashed)
    if found is None:
        found = _late_text(record, hashed)
    if found is None and record.past is not None:
        found = record.past.texts.get(hashed)
    segments = record.directory.segments
    for place in range(len(segments) - 2, -1, -2):
        if found is not None:
            break
        found = segment_texts(work, record, segments[place]).get(hashed)
    if found is None:
        return None
    name = codec.decode_text(found)
    if len(found) <= RECENT_BYTES:
        if not record.names or len(record.names) > NAMES:
            record.names = {}
        record.names[hashed] = name
        record.grown = True
    return name


def _late_text(record: Record, hashed: int) -> bytes | None:
    """Return a text of an event that was inserted into a segment since that was written."""
    return next((texts[hashed] for texts in record.late.values() if hashed in texts), None)


def segment_texts(work: Work, record: Record, number: int) -> dict[int, bytes]:
    """Return the texts of a segment by hash."""
    return codec.decode_texts(stored_texts(work, record, number))


def stored_texts(work: Work, record: Record, number: int) -> bytes:
    """Return the texts of a segment as they are stored, none if it isn't."""
    data = work.store.get(segment_key(record.key, number))
    return b"" if data is None else work.reader.block(data, work.store).texts


def keep_open_texts(work: Work, record: Record) -> None:
    """Keep only the texts of rows that are still open."""
    info = work.cache.info[record.handle]
    hashes = hashes_of(work, record, int(info[SEALED]), int(info[ROWS]))
    record.texts = b"".join(open_texts(work, record, hashes).values())


def hashes_of(work: Work, record: Record, first: int, stop: int) -> list[int]:
    """Return the distinct text hashes of some rows, in order of appearance."""
    found = dict.fromkeys(text_columns(work, record, first, stop).T.ravel().tolist())
    found.pop(0, None)
    return list(found)


def text_columns(work: Work, record: Record, first: int, stop: int) -> _Array:
    """Return the text hashes of some rows: int64[text columns, stop - first]."""
    start = FIELDS + work.shape.numeric
    return record.words.reshape(-1, record.cap)[start : start + work.shape.texts, first:stop]
