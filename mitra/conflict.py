"""The dead letter of an event whose id was seen before with other content."""

from collections.abc import Sequence
from typing import Any

import msgspec

from mitra.dead_letter import DeadLetter
from mitra.decode import Rejection
from mitra.schema import EventType

_encode = msgspec.json.Encoder().encode


def conflict_letter(
    event: EventType, values: Sequence[Any], topic: str, partition: int | None, offset: int | None
) -> DeadLetter:
    """Return the dead letter; the event was decoded long ago, so its fields are shown as JSON."""
    id = values[event.index[event.id]]
    message = f"{event.name} id={id!r} was seen before with other content; send a corrected {event.name} under an id of its own"
    pairs = zip(event.fields, values, strict=True)
    content = _encode({field.name: value for field, value in pairs if field.read})
    return DeadLetter.of(Rejection("conflict", event.id, message), topic, partition, offset, content)
