"""Route: the events of one lane in, one message to each history bucket out.

Pure: the state of a lane goes in and comes out. An event touches the entities whose fields it has; all touches that fall
into one bucket travel together and come back to decide as one *part*, so decide knows how many parts to gather.
"""

from array import array
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from mitra.decode import Event
from mitra.form import Form
from mitra.hashing import text_hash
from mitra.history import Layout
from mitra.lane import Lane, Source
from mitra.messages import EventBatch, cells
from mitra.schema import Entity, EventType

LATE = 1
"""Flag of an event that is later than its type's `late_after_ms` behind the lane's clock."""

_SEPARATOR, _ESCAPE = "\x1f", "\x1e"
_HASHES_KEPT = 200_000
"""Hashes of texts are remembered up to here: keys repeat, and a look-up is four times cheaper than a hash."""
_LONGEST_KEPT = 128
"""Characters of the longest text whose hash is remembered: with the number above, some 50 MB."""


@dataclass(slots=True)
class _Outbox:
    """What one history bucket gets of the batch at hand."""

    rows: list[int] = field(default_factory=list)
    entities: list[int] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


class TextHashes(dict[str | None, int]):
    """The hashes of texts, 0 for a missing one: `hashes[text]`. Bounded by forgetting everything when it is full."""

    def __init__(self) -> None:
        """Know only what is missing."""
        super().__init__({None: 0})

    def __missing__(self, text: str) -> int:
        """Hash a text that is not known."""
        if len(self) >= _HASHES_KEPT:
            self.clear()
            self[None] = 0
        found = text_hash(text)
        # Long texts seldom come twice, and a message may bring 64 KB of them.
        if len(text) <= _LONGEST_KEPT:
            self[text] = found
        return found


KeyReader = Callable[[Sequence[Any]], str | None]


def key_reader(entity: Entity, event: EventType) -> KeyReader | None:
    """Return the function that reads an entity's key from an event's values, or None if the event can't have it.

    A key of several fields joins their texts by the unit separator (see `joined`). It is None where a field is missing.
    """
    if not event.own_names.issuperset(entity.fields):
        return None
    places = [event.index[name] for name in entity.fields]
    if len(places) == 1:
        place = places[0]
        if event.by_name[entity.fields[0]].type == "string":
            return lambda values: values[place]
        return lambda values: None if values[place] is None else str(values[place])

    def read(values: Sequence[Any]) -> str | None:
        parts = [values[place] for place in places]
        return None if None in parts else joined(parts)

    return read


def readers_of(event: EventType, entities: Sequence[Entity]) -> list[tuple[int, KeyReader]]:
    """Return the entities that the event can touch, by their places, and what reads their keys."""
    readers = [(place, key_reader(entity, event)) for place, entity in enumerate(entities)]
    return [(place, reader) for place, reader in readers if reader is not None]


def joined(parts: Sequence[Any]) -> str:
    """Return the key of an entity with several fields: no two entities share one, whatever their fields hold.

    Keys lie in state, so this can never change.
    """
    texts = [str(part) for part in parts]
    key = _SEPARATOR.join(texts)
    if _ESCAPE not in key and key.count(_SEPARATOR) == len(texts) - 1:
        return key
    return _SEPARATOR.join(text.replace(_ESCAPE, f"{_ESCAPE}0").replace(_SEPARATOR, f"{_ESCAPE}1") for text in texts)


class _Kind:
    """How the events of one type are routed."""

    def __init__(self, event: EventType, entities: Sequence[Entity], layout: Layout) -> None:
        # Histories know events by the hash of their id: a login must not pass for the payment that has the same number.
        self.id_prefix = "" if event.decided else f"{event.name}\0"
        self.late_after_ms = event.late_after_ms
        self.readers = readers_of(event, entities)
        numeric = [(column, event.index.get(name)) for column, name in enumerate(layout.numeric)]
        self.numeric = [(column, place) for column, place in numeric if place is not None]
        self.text = [event.index.get(name) for name in layout.text]


class Router:
    """Routes events of any type: compiled once from the pipeline, used for every batch."""

    def __init__(self, events: Sequence[EventType], entities: Sequence[Entity], layout: Layout, buckets: int) -> None:
        """Compile the routing of the event types `events` over `buckets` history buckets."""
        self._kinds = [_Kind(event, entities, layout) for event in events]
        self._form = Form.of(events, entities, layout).fingerprint
        self._numeric, self._text = len(layout.numeric), len(layout.text)
        # Who waits for something waits for whatever type comes latest.
        self._out_of_order_ms = max((event.out_of_order_ms for event in events), default=0)
        self._buckets = buckets
        self._hashes = TextHashes()
        self._derived = frozenset(topic for topic, event in enumerate(events) if event.derived)

    def route(
        self,
        lane: Lane,
        events: Sequence[Event],
        sources: Sequence[Source],
        decoded_ms: float,
        revision: int,
        lagging: Collection[tuple[int, int]] = (),
    ) -> list[tuple[int, EventBatch]]:
        """Return the message to each history bucket that the events touch, and move the lane's clock on.

        The topic of an event's source says of which type it is: the topics of the types come first, in their order.
        `decoded_ms` is the wall clock at which decoding began: the clock of the decisions starts there. `lagging` are the partitions,
        by topic and number, of which more lies in their topic.
        """
        if not events:
            return []
        kinds = [self._kinds[source.topic] for source in sources]
        flags = self._late_flags(lane, events, kinds, int(decoded_ms))
        self._reach(lane, events, sources, decoded_ms, lagging)
        settled_ms = self.settled_ms(lane, decoded_ms)
        id_hashes = [text_hash(kind.id_prefix + event.id) for kind, event in zip(kinds, events, strict=True)]
        outboxes: dict[int, _Outbox] = {}
        expected, primaries = self._assign(events, kinds, id_hashes, outboxes)
        columns = self._columns(events, kinds)
        hashes = array("q", id_hashes).tobytes()
        offsets = array("q", [source.offset for source in sources]).tobytes()
        partitions = array("i", [source.partition for source in sources]).tobytes()
        topics = bytes([source.topic for source in sources])
        decoded = array("d", [decoded_ms]).tobytes()
        numbers, texts = self._numeric, self._text
        out = []
        for bucket, box in outboxes.items():
            rows = box.rows
            batch = EventBatch(
                lane=lane.number,
                clock_ms=lane.clock_ms,
                revision=revision,
                ids=[events[row].id for row in rows],
                topics=cells(topics, 1, rows),
                partitions=cells(partitions, 4, rows),
                offsets=cells(offsets, 8, rows),
                flags=cells(flags, 1, rows),
                expected=cells(expected, 1, rows),
                decoded_ms=decoded * len(rows),
                payloads=[events[row].payload if primaries[row] == bucket else b"" for row in rows],
                kinds=cells(topics, 1, rows),
                times_ms=cells(columns.times_ms, 8, rows),
                id_hashes=cells(hashes, 8, rows),
                content_hashes=cells(columns.content_hashes, 8, rows),
                numbers=cells(columns.numbers, 8 * numbers, rows),
                text_hashes=cells(columns.text_hashes, 8 * texts, rows),
                texts=[columns.texts[row] for row in rows],
                touch_entities=bytes(box.entities),
                touch_events=array("i", box.events).tobytes(),
                keys=box.keys,
                settled_ms=settled_ms,
                form=self._form,
            )
            out.append((bucket, batch))
        lane.told.update(outboxes)
        return out

    def settled_ms(self, lane: Lane, now_ms: float) -> int:
        """Return the event time up to which nothing more is to be expected of a lane; 0 where that can't be told yet."""
        return max(lane.settled_ms(now_ms) - self._out_of_order_ms, 0)

    def _reach(
        self,
        lane: Lane,
        events: Sequence[Event],
        sources: Sequence[Source],
        now_ms: float,
        lagging: Collection[tuple[int, int]],
    ) -> None:
        """Note how far events bring their partitions; what is derived comes behind the rest, and says nothing of it."""
        if not self._derived:
            lane.reach(events, sources, now_ms, lagging)
            return
        rows = [row for row, source in enumerate(sources) if source.topic not in self._derived]
        if rows:
            behind = {place for place in lagging if place[0] not in self._derived}
            lane.reach([events[row] for row in rows], [sources[row] for row in rows], now_ms, behind)
        else:
            lane.listen(now_ms)

    @staticmethod
    def _late_flags(lane: Lane, events: Sequence[Event], kinds: Sequence[_Kind], now_ms: int) -> bytes:
        """Mark each event that comes late by the lane's clock, which moves with every event.

        An event from the future moves it no further than to the wall clock: one wrong clock would make all others late.
        """
        clock = lane.clock_ms
        flags = bytearray(len(events))
        for row, event in enumerate(events):
            if event.time_ms > clock:
                clock = max(clock, min(event.time_ms, now_ms))
            elif event.time_ms < clock - kinds[row].late_after_ms:
                flags[row] = LATE
        lane.clock_ms = clock
        return bytes(flags)

    def _assign(
        self,
        events: Sequence[Event],
        kinds: Sequence[_Kind],
        id_hashes: Sequence[int],
        outboxes: dict[int, _Outbox],
    ) -> tuple[bytes, list[int]]:
        """Fill the outboxes; return the number of parts of each event and the bucket that carries its payload."""
        buckets = self._buckets
        hashes = self._hashes
        expected = bytearray(len(events))
        primaries = []
        for row, event in enumerate(events):
            values = event.values
            primary = -1
            parts = 0
            for place, reader in kinds[row].readers:
                key = reader(values)
                if key is None:
                    continue
                bucket = hashes[key] % buckets
                box = outboxes.get(bucket)
                if box is None:
                    box = outboxes[bucket] = _Outbox()
                if not box.rows or box.rows[-1] != row:
                    box.rows.append(row)
                    parts += 1
                    if primary < 0:
                        primary = bucket
                box.entities.append(place)
                box.events.append(len(box.rows) - 1)
                box.keys.append(key)
            if parts == 0:
                # An event that touches no entity still needs its decision: it passes history in a bucket of its id.
                primary = id_hashes[row] % buckets
                outboxes.setdefault(primary, _Outbox()).rows.append(row)
                parts = 1
            expected[row] = parts
            primaries.append(primary)
        return bytes(expected), primaries

    def _columns(self, events: Sequence[Event], kinds: Sequence[_Kind]) -> "_Columns":
        """Return the columns that history keeps of the events, in the layout's order."""
        values = [event.values for event in events]
        numbers = np.full((len(events), self._numeric), np.nan)
        for kind in dict.fromkeys(kinds):
            rows = [row for row, one in enumerate(kinds) if one is kind]
            mine = values if len(rows) == len(values) else [values[row] for row in rows]
            for column, place in kind.numeric:
                numbers[rows, column] = [row[place] for row in mine]
        texts = [
            [None if place is None else row[place] for place in kind.text]
            for kind, row in zip(kinds, values, strict=True)
        ]
        hashes = self._hashes
        return _Columns(
            times_ms=array("q", [event.time_ms for event in events]).tobytes(),
            content_hashes=array("q", [event.content_hash for event in events]).tobytes(),
            numbers=numbers.tobytes(),
            text_hashes=array("q", [hashes[text] for text in chain.from_iterable(texts)]).tobytes(),
            texts=texts,
        )


class _Columns(NamedTuple):
    """The columns of a batch of events, as bytes."""

    times_ms: bytes
    content_hashes: bytes
    numbers: bytes
    text_hashes: bytes
    texts: list[list[str | None]]
