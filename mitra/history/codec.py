"""The bytes of an entity in state: a header that is rewritten with every event, and sealed segments that seldom are.

Both have one form, little-endian 64-bit words and then bytes:

    word 0   version (8 bits), rows (24 bits), bytes of the directory (31 bits), packed (1 bit)
    word 1   fingerprint of the layout the rows are in
    word 2   fingerprint of the list of conditions their flags stand for
    word 3   the entity's counter of arrivals when this was written
    rows     column by column, a word each: time << 8 | kind; id hash; content hash's high half << 32 | arrival's low half;
             the numbers as float64; the texts' hashes; the flag words
    bytes    the directory as MessagePack (empty in a segment), then the rows' texts to the end

A packed segment is the same, but what follows the four words is deflated, and before that the rows' bytes are put in
order of significance within each column, so that equal ones lie together.

A text is its length in UTF-8 (one byte, or 255 and four bytes) and the bytes. A time of 56 bits reaches far beyond the year
9999. The low half of an arrival's number is enough, for a row is found within 2³² arrivals or has long been folded.
"""

import struct
import zlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from mitra.errors import MitraError
from mitra.hashing import bytes_hash

VERSION = 1
WORDS = 4  # before the rows
_HEAD = struct.Struct("<4q")
_LONG = 255

Words = NDArray[np.int64]


class UnknownStateError(MitraError):
    """Bytes of a history were written by a newer release; run that one, or restore an older savepoint."""


class Directory(msgspec.Struct, array_like=True, gc=False):
    """What a header knows beside its rows. New fields come last and have defaults.

    `segments`: number and rows of each sealed segment, oldest first, flat. `skip`: rows of the first segment that are gone.
    `due_day`: the day on which the sweep looks at this entity, -1 for none. `past`: 1 when tiles and totals are stored.
    `gone_ms`: the newest time of rows that were dropped for their age. `labels` holds the notes' words when they are few,
    `labels_apart` says that they have a key of their own. `counted`: the newest entry of the bucket's journal that is counted in.
    """

    due_day: int = -1
    next_segment: int = 0
    skip: int = 0
    segments: list[int] = []
    past: int = 0
    gone_ms: int | None = None
    labels: bytes = b""
    labels_apart: bool = False
    counted: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Directory).decode


def encode_directory(directory: Directory) -> bytes:
    """Return a directory's bytes."""
    return _encode(directory)


class Block(msgspec.Struct, gc=False):
    """A header or segment, taken apart; `stored` are the words of its rows."""

    rows: int
    layout: int
    conditions: int
    counter: int
    stored: Words
    directory: bytes
    texts: bytes


def decode_block(data: bytes, columns: int) -> Block:
    """Take a header or segment apart; `columns` are those of a stored row in the layout it was written in."""
    if data[0] != VERSION:
        raise UnknownStateError(
            f"a history in state has version={data[0]}; this release reads {VERSION}: run the one that wrote it"
        )
    head, layout, conditions, counter = _HEAD.unpack_from(data)
    rows = head >> 8 & 0xFF_FFFF
    size = head >> 32 & 0x7FFF_FFFF
    words = rows * columns
    if head < 0:
        data = data[: WORDS * 8] + zlib.decompress(data[WORDS * 8 :])
    stored = np.frombuffer(data, "<i8", words, WORDS * 8)
    if head < 0:
        stored = stored.view(np.uint8).reshape(columns, 8, rows).transpose(0, 2, 1).copy().view(np.int64).ravel()
    after = (WORDS + words) * 8
    return Block(rows, layout, conditions, counter, stored, data[after : after + size], data[after + size :])


def fingerprints(data: bytes) -> tuple[int, int]:
    """Return the fingerprints of a block's layout and conditions."""
    return int.from_bytes(data[8:16], "little", signed=True), int.from_bytes(data[16:24], "little", signed=True)


def decode_directory(data: bytes) -> Directory:
    """Return the directory in a header's bytes."""
    return _decode(data)


def encode_block(
    rows: int, layout: int, conditions: int, counter: int, stored: Words, texts: bytes, *, pack: bool
) -> bytes:
    """Return a segment's bytes; `pack` makes them about half as many, for a segment that will hardly be written again."""
    head = VERSION | rows << 8
    if not pack:
        return b"".join((_HEAD.pack(head, layout, conditions, counter), stored.tobytes(), texts))
    shuffled = stored.view(np.uint8).reshape(-1, rows, 8).transpose(0, 2, 1).tobytes()
    return _HEAD.pack(head - (1 << 63), layout, conditions, counter) + zlib.compress(shuffled + texts, 1)


def encode_text(text: str) -> bytes:
    """Return a text as it lies in a block."""
    data = text.encode()
    size = len(data)
    return (bytes((size,)) if size < _LONG else b"\xff" + size.to_bytes(4, "little")) + data


def decode_texts(data: bytes) -> dict[int, bytes]:
    """Return the texts in a block by their hashes, each still as it lies there."""
    texts = {}
    at = 0
    while at < len(data):
        start = at
        size = data[at]
        at += 1
        if size == _LONG:
            size = int.from_bytes(data[at : at + 4], "little")
            at += 4
        at += size
        texts[bytes_hash(data[at - size : at])] = data[start:at]
    return texts


def decode_text(data: bytes) -> str:
    """Return the text that `encode_text` was given."""
    return data[1 if data[0] != _LONG else 5 :].decode()
