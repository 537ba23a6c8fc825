"""The two ends of the graph's branch: what intake asks for its payments, and the answers as decide gets them."""

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mitra.decode import Event
from mitra.graph.records import Edges, Link, encode_record
from mitra.graph.settings import GraphSettings
from mitra.hashing import text_hash
from mitra.lane import Source
from mitra.messages import Asked, Told, cells, encode
from mitra.schema import EventType

Identity = tuple[str, int, int, int]
"""(transaction id, topic, partition, offset): one record of the input."""
Value = float | int | str | bool | None


NOTHING_ASKED = 0
"""The plan of what is told without having been asked."""


class Said(NamedTuple):
    """What the graph said of one payment: values float64[width] and marks u1[width] as bytes; `complete`: of all its nodes."""

    values: bytes
    capped: bytes
    complete: bool


class NodeReader:
    """Reads the nodes that a payment names, and the links it makes, from its values."""

    def __init__(self, settings: GraphSettings, event: EventType) -> None:
        """Look up the fields of the nodes among the fields of decided events."""
        self._settings = settings
        self._places = [event.index[node.field] for node in settings.nodes]
        names = [node.name for node in settings.nodes]
        self._links = [(names.index(one), names.index(other)) for one, other in settings.links]

    def ids(self, values: Sequence[Value]) -> list[str | None]:
        """Return the id of each node, None for one that the payment doesn't name."""
        return [None if (value := values[place]) is None else str(value) for place in self._places]

    def links(self, values: Sequence[Value]) -> list[Link]:
        """Return the links that a payment makes."""
        ids, nodes = self.ids(values), self._settings.nodes
        return [
            Link(nodes[one].type, start, nodes[other].type, end)
            for one, other in self._links
            if (start := ids[one]) is not None and (end := ids[other]) is not None
        ]

    def record(self, identity: str, time_ms: int, values: Sequence[Value]) -> bytes | None:
        """Return the record of the links that a payment makes, None where it makes none."""
        links = self.links(values)
        return encode_record(Edges(identity, time_ms, links)) if links else None


def ask(settings: GraphSettings, reader: NodeReader, events: Sequence[Event], sources: Sequence[Source]) -> Asked:
    """Return the message that asks about the nodes of some payments."""
    return Asked(
        plan=settings.fingerprint,
        ids=[event.id for event in events],
        topics=bytes([source.topic for source in sources]),
        partitions=array("i", [source.partition for source in sources]).tobytes(),
        offsets=array("q", [source.offset for source in sources]).tobytes(),
        times_ms=array("q", [event.time_ms for event in events]).tobytes(),
        nodes=[reader.ids(event.values) for event in events],
    )


def silence(asked: Asked, buckets: int) -> Iterator[tuple[int, bytes]]:
    """Yield the messages that tell decide buckets, of that number, that nothing is asked about some payments: of plan 0."""
    rows_of: dict[int, list[int]] = {}
    for row, identity in enumerate(asked.ids):
        rows_of.setdefault(text_hash(identity) % buckets, []).append(row)
    for bucket, rows in rows_of.items():
        told = Told(
            plan=NOTHING_ASKED,
            ids=[asked.ids[row] for row in rows],
            topics=cells(asked.topics, 1, rows),
            partitions=cells(asked.partitions, 4, rows),
            offsets=cells(asked.offsets, 8, rows),
            width=0,
            values=b"",
            capped=b"",
            complete=bytes(len(rows)),
        )
        yield bucket, encode(told)


def identities(message: Told) -> list[Identity]:
    """Return the records that a message tells of."""
    partitions = np.frombuffer(message.partitions, np.int32).tolist()
    offsets = np.frombuffer(message.offsets, np.int64).tolist()
    return list(zip(message.ids, message.topics, partitions, offsets, strict=True))


def said_of(message: Told, row: int) -> Said:
    """Return what a message tells of one of its records."""
    width = message.width
    return Said(
        message.values[8 * width * row : 8 * width * (row + 1)],
        message.capped[width * row : width * (row + 1)],
        bool(message.complete[row]),
    )


def single(message: Told, row: int) -> Told:
    """Return what a message tells of one record, as a message of its own."""
    said = said_of(message, row)
    return Told(
        plan=message.plan,
        ids=[message.ids[row]],
        topics=message.topics[row : row + 1],
        partitions=message.partitions[4 * row : 4 * row + 4],
        offsets=message.offsets[8 * row : 8 * row + 8],
        width=message.width,
        values=said.values,
        capped=said.capped,
        complete=bytes([said.complete]),
    )


def values_of(settings: GraphSettings, said: Said | None) -> tuple[Value, ...]:
    """Return the values of a payment, None for missing; all missing where the graph said nothing."""
    if said is None:
        return (None,) * settings.width
    numbers = np.frombuffer(said.values, np.float64).tolist()
    return tuple(
        None if number != number else int(number) if integer else number
        for number, integer in zip(numbers, settings.integer, strict=True)
    )
