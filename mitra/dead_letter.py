"""The dead letter: a message that can't be decided, with the reason, where it was read and its bytes."""

from base64 import b64encode
from hashlib import sha256

import msgspec

from mitra.decode import Rejection

BYTES_KEPT = 262_144
"""A third of what a Kafka topic takes by default is kept of a message: base64 adds a third, and the envelope has room."""


Content = bytes
"""The type, which the field of the same name hides inside the class."""


class DeadLetter(msgspec.Struct, frozen=True):
    """One dead letter, as it lies on the dead-letter topic and in `dead_letters.jsonl`.

    `topic`, `partition` and `offset` say where the message was read; for a file its name, no partition, and the line or row
    from 1. `bytes` is base64 of the message, cut after BYTES_KEPT bytes, and None for a Kafka null; `size` and `sha256` are
    of the whole.
    """

    reason: str
    field: str | None
    message: str
    topic: str
    partition: int | None
    offset: int | None
    bytes: str | None
    size: int
    sha256: str | None

    @classmethod
    def of(
        cls,
        rejection: Rejection,
        topic: str,
        partition: int | None,
        offset: int | None,
        value: Content | None,
        bytes_kept: int = BYTES_KEPT,
    ) -> "DeadLetter":
        """Return the dead letter of a message that was refused."""
        return cls(
            reason=rejection.reason,
            field=rejection.field,
            message=rejection.message,
            topic=topic,
            partition=partition,
            offset=offset,
            bytes=None if value is None else b64encode(value[:bytes_kept]).decode(),
            size=0 if value is None else len(value),
            sha256=None if value is None else sha256(value).hexdigest(),
        )

    def to_json(self) -> Content:
        """Return the record as one line of JSON, without the line's end."""
        return _encode(self)


_encode = msgspec.json.Encoder().encode
