"""Decoding: the bytes of a message to a typed event, or to the reason why it is none.

Pure, and never raises, whatever the bytes. One msgspec decoder per event type parses and checks in one step, some 2 µs an
event; only what it refuses is looked at again, slowly, to say what is wrong with it (`mitra.explain`).
Unknown fields are ignored; an optional field that is absent or null is missing (None).
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Annotated, Any, Literal

import msgspec
import xxhash

from mitra.event_time import EARLIEST_MS, LATEST_MS, parser_of, time_text
from mitra.schema import EventType, Field, Limits

Reason = Literal[
    "null_value",
    "empty",
    "too_large",
    "bad_encoding",
    "not_json",
    "not_an_object",
    "missing_field",
    "null_field",
    "empty_id",
    "wrong_type",
    "out_of_range",
    "not_finite",
    "not_a_time",
    "time_out_of_range",
    "wrong_columns",
    "conflict",
    "unknown_transaction",
    "unknown_topic",
]

ID_CHARACTERS = 16_384
"""As long may an id be: the decision that repeats it must fit into a Kafka message, whatever its characters take there."""
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1

Int64 = Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)]
_EpochMs = Annotated[int, msgspec.Meta(ge=EARLIEST_MS, le=LATEST_MS)]
_IdText = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_CHARACTERS)]
_JSON_TYPES: dict[str, Any] = {"string": str, "integer": Int64, "number": float, "boolean": bool}


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event: `values` in the order of the schema's fields, None where missing.

    `id` is the id's canonical text. The value of the time field is `time_ms`, whatever form it came in. `payload` is the
    MessagePack of `values`, what travels between stages; `content_hash` its signed 64-bit XXH3.
    """

    id: str
    time_ms: int
    values: tuple[Any, ...]
    payload: bytes
    content_hash: int


class Rejection(msgspec.Struct, frozen=True):
    """Why a message is no event: a code for programs, the field if one is to blame, and a sentence for people."""

    reason: Reason
    field: str | None
    message: str


_encode = msgspec.msgpack.Encoder().encode
_decode_tuple = msgspec.msgpack.Decoder(tuple[Any, ...]).decode
_astuple = msgspec.structs.astuple
_xxh3 = xxhash.xxh3_64_intdigest
_SIGN, _WRAP = 1 << 63, 1 << 64


def decode_payload(payload: bytes) -> tuple[Any, ...]:
    """Return the values of an event from its payload."""
    return _decode_tuple(payload)


def payload_fields(event: EventType) -> list[str]:
    """Return what the payload of an event holds, `name:type` for each value: how a later release finds its way in it."""
    return [f"{field.name}:{field.type}" for field in event.fields]


def event_of(id_text: str, time_ms: int, values: tuple[Any, ...]) -> Event:
    """Return the event with these values, which have passed all checks."""
    payload = _encode(values)
    content_hash = _xxh3(payload)
    return Event(id_text, time_ms, values, payload, content_hash - _WRAP if content_hash >= _SIGN else content_hash)


def with_update_id(event: EventType, values: Sequence[Any]) -> tuple[Any, ...]:
    """Return the values of a profile's message with an id made of its key and time: sent again, it is the same update."""
    place, time = event.index[event.id], event.index[event.time]
    key = "\x1f".join(map(str, values[place + 1 : time]))
    return (*values[:place], f"{_xxh3(key.encode()):016x}@{values[time]}", *values[place + 1 :])


def time_out_of_range(field: str, time_ms: int, now_ms: int | None, limits: Limits) -> Rejection | None:
    """Return why a time can't be an event's, or None if it can. Without `now_ms` only the absolute bounds hold."""
    if not EARLIEST_MS <= time_ms <= LATEST_MS:
        allowed = f"{time_text(EARLIEST_MS)} to {time_text(LATEST_MS)}"
    elif now_ms is not None and time_ms > now_ms + limits.max_future_ms:
        allowed = f"at most {limits.max_future_ms} ms after now, which is {time_text(now_ms)}"
    else:
        return None
    return Rejection("time_out_of_range", field, f"{field} is {time_text(time_ms)}; allowed: {allowed}")


class Decoder:
    """Decodes the messages of one event type: compiled once, used for every message."""

    def __init__(self, event: EventType, limits: Limits) -> None:
        """Compile the decoder of `event` under `limits`."""
        self.event = event
        self.limits = limits
        self._parse = msgspec.json.Decoder(_struct_of(event)).decode
        self._max_bytes = limits.message_bytes
        self._max_future_ms = limits.max_future_ms
        self._widen = _widening(event)
        self._id = event.index[event.id]
        self._id_is_text = event.by_name[event.id].type == "string"
        self._time = event.index[event.time]
        self._time_is_ms = event.time_format == "epoch_ms"
        self._time_is_seconds = event.time_format == "epoch_s"
        self._parse_time = None if event.time_format.startswith("epoch") else parser_of(event.time_format)

    def decode(self, value: bytes | None, now_ms: int | None) -> Event | Rejection:
        """Return the event in a message's bytes, or why there is none.

        `now_ms` is the wall clock, from which a time may be `limits.max_future_ms` ahead; None in replay.
        """
        try:
            if not value or len(value) > self._max_bytes:
                return self._explain(value, now_ms)
            # Fields that nobody reads are skipped unchecked; wrong encoding is refused wherever it is.
            if not value.isascii():
                str(value, "utf-8")
            values = _astuple(self._parse(value))
            if self._widen is not None:
                values = self._widen((*values, None, self.event.name))
            place = self._time
            time_ms = values[place]
            if not self._time_is_ms:
                time_ms = round(time_ms * 1000) if self._parse_time is None else self._parse_time(time_ms)
                values = (*values[:place], time_ms, *values[place + 1 :])
            if (
                time_ms > LATEST_MS
                or time_ms < EARLIEST_MS
                or (now_ms is not None and time_ms > now_ms + self._max_future_ms)
            ):
                return self._explain(value, now_ms)
            if values[self._id] is None:
                values = with_update_id(self.event, values)
            id_value = values[self._id]
            payload = _encode(values)
            content_hash = _xxh3(payload)
            return Event(
                id_value if self._id_is_text else str(id_value),
                time_ms,
                values,
                payload,
                content_hash - _WRAP if content_hash >= _SIGN else content_hash,
            )
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError, TypeError) as error:
            return self._explain(value, now_ms, error)

    def convert(self, row: Mapping[str, Any] | Sequence[Any], *, from_text: bool = False) -> Event | Rejection:
        """Return the event of a row of a file, by the same checks as a message; see `mitra.rows.convert_row`.

        A mapping goes by names, a sequence lies in the schema's order. `from_text`: the values are texts of a CSV file.
        """
        from mitra.rows import convert_row  # noqa: PLC0415 - files are read in replay only

        return convert_row(self.event, self.limits, row, from_text=from_text)

    def _explain(self, value: bytes | None, now_ms: int | None, error: Exception | None = None) -> Rejection:
        from mitra.explain import explain  # noqa: PLC0415 - most jobs run for days without it

        return explain(value, self.event, self.limits, now_ms, error)


def _struct_of(event: EventType) -> type[msgspec.Struct]:
    """Return a class with one attribute a field, in the schema's order, that takes the field's name in JSON."""
    attributes: list[Any] = []
    for place, field in enumerate(event.own):
        kind = _json_type(event, field)
        name = f"f{place}"
        attributes.append((name, kind) if field.required else (name, kind | None, None))
    names = {f"f{place}": field.name for place, field in enumerate(event.own)}
    return msgspec.defstruct("Message", attributes, rename=names, kw_only=True, gc=False)


def _widening(event: EventType) -> Callable[[tuple[Any, ...]], tuple[Any, ...]] | None:
    """Return what makes the values of the type's own fields, followed by None and its name, those of all its fields."""
    if len(event.own) == len(event.fields):
        return None
    places = {field.name: place for place, field in enumerate(event.own)}
    return itemgetter(*(places.get(field.name, -2 if field.fixed is None else -1) for field in event.fields))


def _json_type(event: EventType, field: Field) -> Any:
    if field.name == event.time:
        return {"epoch_ms": _EpochMs, "epoch_s": float}.get(event.time_format, str)
    if field.name == event.id and field.type == "string":
        return _IdText
    return _JSON_TYPES[field.type]
