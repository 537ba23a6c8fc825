"""Gathering the parts of a transaction: decide goes on when all that route announced have come.

A part is what one history bucket answered about one record, identified by (id, topic, partition, offset), so the parts of
a duplicate never mix with those of the first. Parts of one record mostly arrive in one batch; those that don't wait in the
`pending` store under the transaction's id, as encoded one-row PartBatch messages behind a version byte.

Batches are small when traffic is, so columns are read as memory views and lists: a numpy call costs more than a few numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from mitra.graph_asking import Identity, Said
from mitra.history import Store
from mitra.messages import PartBatch, UnknownMessageError, cells, decode, encode

Array = np.ndarray[Any, Any]

_PENDING_VERSION = 1
_HEAD = bytes((_PENDING_VERSION,))
_Pending = list[tuple[int, int, int, list[bytes]]]
"""For each record that waits its topic, partition, offset and the parts that have come."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Pending).decode


@dataclass(slots=True)
class Gathered:
    """The n records whose parts are complete, in the order in which they completed, and their m touches.

    `rows` int[m] tells each touch's record, -1 for records that still wait; `values` float64[m, width], `arrivals`
    int[m] the entity's counter; `approximate` u1[m, width] or None, `texts` m lists, empty where there are none. `foreign` bool[m], or None where there are none, marks
    touches that were answered by another plan of features, whose values are missing; `foreign_payloads` are the records whose
    payload came with one, and the fields that it holds. `marks`: names of lists and snoozes, by row, for those that have any.
    """

    identities: list[Identity]
    payloads: list[bytes]
    times_ms: list[int]
    flags: list[int]
    revisions: list[int]
    decoded_ms: list[float]
    history_ms: list[float]
    foreign_payloads: dict[int, list[str]]
    rows: Array
    entities: Array
    statuses: Array
    arrivals: Array
    foreign: Array | None
    values: Array
    approximate: Array | None
    texts: list[list[str | None]]
    keys: list[str]
    marks: dict[int, set[str]]
    graph: list[Said | None] | None = None
    """What the graph said of each record, None where it said nothing; no list at all without a graph."""


class View:
    """A PartBatch with its columns as views, and where its rows go among those that are complete."""

    def __init__(self, batch: PartBatch) -> None:
        self.batch = batch
        self.expected = batch.expected
        self.times_ms = memoryview(batch.times_ms).cast("q")
        self.decoded_ms = memoryview(batch.decoded_ms).cast("d")
        self.history_ms = memoryview(batch.history_ms).cast("d")
        self.partitions = memoryview(batch.partitions).cast("i")
        self.offsets = memoryview(batch.offsets).cast("q")
        self.events = memoryview(batch.touch_events).cast("i").tolist()
        self.rows = [-1] * len(batch.ids)
        self._touches: dict[int, list[int]] | None = None

    def identities(self) -> Iterator[Identity]:
        """Return the record of each row."""
        return zip(self.batch.ids, self.batch.topics, self.partitions, self.offsets, strict=True)

    def touches_of(self, row: int) -> list[int]:
        """Return the touches of a row."""
        if self._touches is None:
            self._touches = {}
            for touch, event in enumerate(self.events):
                self._touches.setdefault(event, []).append(touch)
        return self._touches.get(row, [])

    def single(self, row: int) -> PartBatch:
        """Return the part of one record, as a batch of its own."""
        batch = self.batch
        touched = self.touches_of(row)

        return PartBatch(
            lane=batch.lane,
            clock_ms=batch.clock_ms,
            revision=batch.revision,
            plan=batch.plan,
            fields=batch.fields,
            entities=batch.entities,
            ids=[batch.ids[row]],
            topics=batch.topics[row : row + 1],
            partitions=batch.partitions[4 * row : 4 * row + 4],
            offsets=batch.offsets[8 * row : 8 * row + 8],
            flags=batch.flags[row : row + 1],
            expected=batch.expected[row : row + 1],
            decoded_ms=batch.decoded_ms[8 * row : 8 * row + 8],
            history_ms=batch.history_ms[8 * row : 8 * row + 8],
            times_ms=batch.times_ms[8 * row : 8 * row + 8],
            payloads=[batch.payloads[row]],
            touch_events=bytes(4 * len(touched)),
            touch_entities=cells(batch.touch_entities, 1, touched),
            statuses=cells(batch.statuses, 1, touched),
            arrivals=cells(batch.arrivals, 8, touched),
            width=batch.width,
            values=cells(batch.values, 8 * batch.width, touched),
            texts=[batch.texts[touch] for touch in touched] if batch.texts else [],
            approximate=cells(batch.approximate, batch.width, touched) if batch.approximate else b"",
            keys=[batch.keys[touch] for touch in touched],
            marks={place: batch.marks[touch] for place, touch in enumerate(touched) if touch in batch.marks},
        )


Parts = list[tuple[View, int]]


def gather(
    pending: Store, batches: Sequence[PartBatch], plan: int, width: int, entities: Sequence[str]
) -> tuple[Gathered, dict[str, bytes], list[str]]:
    """Gather the parts that came with those that wait, for the `plan` whose widest entity has `width` aggregates.

    `entities` are the names of the plan's. Returns the complete records, and what the caller is to write to and remove from
    `pending` once all else has succeeded.
    """
    views = [View(batch) for batch in batches]
    found: dict[Identity, Parts] = {}
    for view in views:
        for row, identity in enumerate(view.identities()):
            found.setdefault(identity, []).append((view, row))
    complete: list[tuple[Identity, Parts]] = []
    waiting: dict[str, list[tuple[Identity, Parts]]] = {}
    for identity, parts in found.items():
        view, row = parts[0]
        if len(parts) == view.expected[row]:
            complete.append((identity, parts))
        else:
            waiting.setdefault(identity[0], []).append((identity, parts))
    puts, removes = _settle_waiting(pending, waiting, complete, views)
    return assemble(complete, views, plan, width, entities), puts, removes


def _settle_waiting(
    pending: Store,
    waiting: dict[str, list[tuple[Identity, Parts]]],
    complete: list[tuple[Identity, Parts]],
    views: list[View],
) -> tuple[dict[str, bytes], list[str]]:
    """Complete records with the parts that lie in `pending`; return what remains to be put there and removed."""
    puts: dict[str, bytes] = {}
    removes: list[str] = []
    for key, records in waiting.items():
        stored = pending.get(key)
        kept = {} if stored is None else {entry[:3]: list(entry[3]) for entry in decode_pending(stored)}
        for identity, parts in records:
            view, row = parts[0]
            before = kept.get(identity[1:], [])
            if len(parts) + len(before) < view.expected[row]:
                kept[identity[1:]] = before + [encode(view.single(row)) for view, row in parts]
                continue
            kept.pop(identity[1:], None)
            restored = [View(_part_batch(blob)) for blob in before]
            views.extend(restored)
            complete.append((identity, [*((view, 0) for view in restored), *parts]))
        if kept:
            puts[key] = encode_pending([(*source, blobs) for source, blobs in kept.items()])
        elif stored is not None:
            removes.append(key)
    return puts, removes


def encode_pending(records: _Pending) -> bytes:
    """Return the bytes of the records of one transaction that wait: a version byte, then MessagePack."""
    return _HEAD + _encode(records)


def decode_pending(data: bytes) -> _Pending:
    """Read what waits. Raises UnknownMessageError for a version that this release doesn't know."""
    if data[:1] != _HEAD:
        msg = f"waiting parts have version={data[0]}, this release reads {_PENDING_VERSION}; run the release that wrote them"
        raise UnknownMessageError(msg)
    return _decode(memoryview(data)[1:])


def _part_batch(blob: bytes) -> PartBatch:
    message = decode(blob)
    assert isinstance(message, PartBatch)
    return message


def assemble(
    complete: list[tuple[Identity, Parts]], views: list[View], plan: int, width: int, entities: Sequence[str]
) -> Gathered:
    """Return complete records of some views for the `plan` whose widest entity has `width` aggregates."""
    payloads: list[bytes] = []
    history_ms: list[float] = []
    foreign_payloads: dict[int, list[str]] = {}
    lasts: list[tuple[View, int]] = []
    for place, (_, parts) in enumerate(complete):
        payload, answered = b"", 0.0
        for view, row in parts:
            view.rows[row] = place
            answered = max(answered, view.history_ms[row])
            if view.batch.payloads[row]:
                payload = view.batch.payloads[row]
                if view.batch.plan != plan:
                    foreign_payloads[place] = view.batch.fields
        payloads.append(payload)
        history_ms.append(answered)
        lasts.append(parts[-1])
    batches = [view.batch for view in views]
    places = [_places(view, plan, entities) for view in views]
    return Gathered(
        identities=[identity for identity, _ in complete],
        payloads=payloads,
        times_ms=[view.times_ms[row] for view, row in lasts],
        flags=[view.batch.flags[row] for view, row in lasts],
        revisions=[view.batch.revision for view, _ in lasts],
        decoded_ms=[view.decoded_ms[row] for view, row in lasts],
        history_ms=history_ms,
        foreign_payloads=foreign_payloads,
        rows=np.fromiter(chain.from_iterable(rows for rows, _ in places), dtype=np.int64),
        entities=np.frombuffer(b"".join([touched for _, touched in places]), dtype=np.uint8),
        statuses=np.frombuffer(b"".join([batch.statuses for batch in batches]), dtype=np.uint8),
        arrivals=np.frombuffer(b"".join([batch.arrivals for batch in batches]), dtype=np.int64),
        foreign=_foreign(views, plan),
        values=_values(views, plan, width),
        approximate=_approximate(views, plan, width),
        texts=list(chain.from_iterable(_texts(view, plan) for view in views)),
        keys=list(chain.from_iterable(batch.keys for batch in batches)),
        marks=_marks(views),
    )


def _marks(views: Sequence[View]) -> dict[int, set[str]]:
    """Return, by row, the names of lists and snoozes that hold one of its entities."""
    found: dict[int, set[str]] = {}
    for view in views:
        for touch, names in view.batch.marks.items():
            found.setdefault(view.rows[view.events[touch]], set()).update(names)
    return found


def _places(view: View, plan: int, entities: Sequence[str]) -> tuple[list[int], bytes]:
    """Return the rows of a batch's touches and the places of their entities; -1 and any place for an entity that is gone."""
    rows = [view.rows[event] for event in view.events]
    if view.batch.plan == plan:
        return rows, view.batch.touch_entities
    now = [entities.index(name) if name in entities else -1 for name in view.batch.entities]
    places = [now[place] for place in view.batch.touch_entities]
    known = [row if place >= 0 else -1 for row, place in zip(rows, places, strict=True)]
    return known, bytes(max(place, 0) for place in places)


def _foreign(views: Sequence[View], plan: int) -> Array | None:
    if all(view.batch.plan == plan for view in views):
        return None
    return np.repeat([view.batch.plan != plan for view in views], [len(view.events) for view in views])


def _values(views: Sequence[View], plan: int, width: int) -> Array:
    missing = np.float64(np.nan).tobytes()
    columns = [view.batch.values if view.batch.plan == plan else missing * (width * len(view.events)) for view in views]
    return np.frombuffer(b"".join(columns), dtype=np.float64).reshape(sum(len(view.events) for view in views), width)


def _approximate(views: Sequence[View], plan: int, width: int) -> Array | None:
    if not any(view.batch.approximate for view in views):
        return None
    columns = [
        view.batch.approximate
        if view.batch.approximate and view.batch.plan == plan
        else bytes(width * len(view.events))
        for view in views
    ]
    return np.frombuffer(b"".join(columns), dtype=np.uint8).reshape(-1, width)


def _texts(view: View, plan: int) -> list[list[str | None]]:
    return (view.batch.texts if view.batch.plan == plan else None) or [[]] * len(view.events)
