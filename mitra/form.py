"""What the numbers in a batch of events stand for: its types and columns, its entities, and the values of what is decided.

    NUL form NUL fingerprint    a version byte, then the form

A batch names its form by fingerprint, and every history bucket keeps those that it has been sent any in. So one that lay in state
while the job was upgraded is read by name, as rows in state are: what the new pipeline adds is missing in it, what it
no longer has is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import msgspec

from mitra.decode import decode_payload, payload_fields
from mitra.errors import MitraError
from mitra.hashing import text_hash
from mitra.history import Layout, Store
from mitra.history.journal import Entry, batch_of
from mitra.messages import EventBatch
from mitra.schema import Entity, EventType
from mitra.versioned import rest_of

STATE_VERSION = 1
_HEAD = bytes((STATE_VERSION,))


class UnknownFormError(MitraError):
    """The form of a batch in flight isn't described, or by a version that this release doesn't read."""


class _Stored(msgspec.Struct, array_like=True):
    """A form as it lies in state."""

    layout: bytes
    entities: list[str]
    fields: list[str]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


@dataclass(frozen=True)
class Form:
    """One form. `fields` are the values in the payload of what is decided, `name:type` each; `id_place` is that of its id."""

    layout: Layout
    entities: tuple[str, ...]
    fields: tuple[str, ...]
    id_place: int

    @classmethod
    def of(cls, events: Sequence[EventType], entities: Sequence[Entity], layout: Layout) -> Self:
        """Return the form of batches of these event types, whose columns are the layout's."""
        decided = next(event for event in events if event.decided)
        names = tuple(entity.name for entity in entities)
        return cls(layout, names, tuple(payload_fields(decided)), decided.index[decided.id])

    @cached_property
    def encoded(self) -> bytes:
        """The form as stored in state."""
        return _HEAD + _encode(_Stored(self.layout.encoded, list(self.entities), list(self.fields)))

    @cached_property
    def fingerprint(self) -> int:
        """The form's name: a signed 64-bit hash of what it says, never 0."""
        return text_hash(self.encoded.hex()) or 1

    def keep(self, store: Store) -> None:
        """Describe the form in a bucket's state, before the first batch in it comes."""
        key = _key(self.fingerprint)
        if store.get(key) is None:
            store.put_all({key: self.encoded})

    def read(self, batch: EventBatch, store: Store) -> EventBatch:
        """Return a batch of any form in this one. Raises UnknownFormError where the bucket doesn't know that form."""
        if batch.form in (self.fingerprint, 0):
            return batch
        data = store.get(_key(batch.form))
        if data is None:
            msg = f"a batch of events has form={batch.form}, which its bucket has no description of: the state is not whole"
            raise UnknownFormError(msg)
        stored = _decode(rest_of(data, STATE_VERSION, "the form of a batch in flight has", UnknownFormError))
        old = Layout.decode(stored.layout)
        entry = Entry(
            batch.form, stored.entities, batch.clock_ms, batch.kinds, batch.times_ms, batch.id_hashes, batch.content_hashes,
            batch.numbers, batch.texts, batch.touch_entities, batch.touch_events, batch.keys, None,
        )  # fmt: skip
        events, touches, _ = batch_of(entry, old, self.layout, self.entities)
        return msgspec.structs.replace(
            batch,
            form=self.fingerprint,
            kinds=events.kind.tobytes(),
            content_hashes=events.content_hash.tobytes(),
            numbers=events.numbers.tobytes(),
            text_hashes=events.text_hashes.tobytes(),
            texts=events.texts,
            touch_entities=touches.entity.tobytes(),
            touch_events=touches.event.tobytes(),
            keys=list(touches.key),
            payloads=[self._payload(*one, stored.fields) for one in zip(batch.ids, batch.payloads, strict=True)],
        )

    def _payload(self, id_text: str, payload: bytes, fields: Sequence[str]) -> bytes:
        """Return what is decided with the values of this form; those of other types go no further than history."""
        if not payload or tuple(fields) == self.fields:
            return payload
        values: dict[str, Any] = dict(zip(fields, decode_payload(payload), strict=False))
        row = [values.get(field) for field in self.fields]
        if row[self.id_place] is None:
            row[self.id_place] = id_text
        return _encode(row)


def _key(fingerprint: int) -> str:
    return f"\0form\0{fingerprint}"
