"""The records of the edges topic: which nodes a payment linked, and what it was judged. JSON, one object each."""

from typing import NamedTuple

import msgspec

from mitra.errors import MitraError


class Link(NamedTuple):
    """From a node to a node, in that direction: `["customer", "C1", "device", "D7"]`."""

    from_type: str
    from_id: str
    to_type: str
    to_id: str


class Edges(msgspec.Struct, tag="edges", tag_field="kind"):
    """The links that a payment made at its event time, epoch ms. The first of an id counts, any other changes nothing."""

    id: str
    time: int
    links: list[Link]


class Judged(msgspec.Struct, tag="label", tag_field="kind"):
    """What a payment was judged, and since when that is known, epoch ms. One of each version counts."""

    id: str
    fraud: bool
    known_at: int
    version: int


Record = Edges | Judged


class RecordError(MitraError):
    """A record of the edges topic is none."""


encode_record = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Edges | Judged).decode


def decode_record(data: bytes | None) -> Record:
    """Read a record. Raises RecordError for bytes that are none."""
    try:
        record: Record = _decode(data or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordError(f"{str(data)[:80]} is no record of links or of a label: {error}") from error
    return record
