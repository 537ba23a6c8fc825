"""Laws of decoding: what is well formed comes through unchanged, and nothing at all makes it raise."""

import json
import math
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from mitra.dead_letter import DeadLetter
from mitra.decode import Decoder, Event, Rejection, decode_payload
from mitra.event_time import LATEST_MS
from mitra.replay.tables import TableReader
from mitra.schema import EventType, Field, Limits

FIELDS = (
    Field("id", "string"),
    Field("at", "integer"),
    Field("amount", "number"),
    Field("count", "integer", required=False),
    Field("online", "boolean", required=False),
    Field("note", "string", required=False),
)
PAYMENT = EventType("payment", "payments", "id", "at", FIELDS)
DECODERS = [
    Decoder(EventType("payment", "payments", "id", "at", FIELDS, time_format), Limits(message_bytes=4_096))
    for time_format in ("epoch_ms", "epoch_s", "iso8601", "%Y-%m-%d")
]
DECODER = DECODERS[0]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
EVENTS = st.fixed_dictionaries(
    {
        "id": TEXTS.filter(bool),
        "at": st.integers(0, LATEST_MS),
        "amount": st.floats(allow_nan=False, allow_infinity=False),
    },
    optional={
        "count": st.none() | INT64,
        "online": st.none() | st.booleans(),
        "note": st.none() | TEXTS,
        "other": st.integers() | TEXTS,
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "at", "amount", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


def values_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(field.name) for field in FIELDS)


@given(EVENTS, st.booleans())
def test_a_well_formed_message_comes_through_unchanged(row: dict[str, Any], ascii_only: bool) -> None:
    event = DECODER.decode(json.dumps(row, ensure_ascii=ascii_only).encode(), None)
    assert isinstance(event, Event), event
    assert event.values == values_of(row)
    assert event.id == row["id"]
    assert decode_payload(event.payload) == event.values
    assert DECODER.convert({name: row.get(name) for name in PAYMENT.index}) == event


@settings(deadline=None)  # the first table loads half of pyarrow
@given(st.lists(EVENTS, max_size=8))
def test_whole_columns_make_the_same_events_as_messages(rows: list[dict[str, Any]]) -> None:
    types = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
    schema = pa.schema([(field.name, types[field.type]) for field in FIELDS])
    table = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
    read = TableReader(PAYMENT, Limits(), schema.names, "rows").read(table)
    assert not read.refused
    assert read.events == [DECODER.decode(json.dumps(row).encode(), None) for row in rows]


def check(value: bytes | None) -> None:
    for decoder in DECODERS:
        found = decoder.decode(value, 1_700_000_000_000)
        if isinstance(found, Rejection):
            assert "None" not in found.message
            json.loads(DeadLetter.of(found, "payments", 0, 0, value).to_json())
        else:
            assert all(not isinstance(item, float) or math.isfinite(item) for item in found.values)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(value: bytes) -> None:
    check(value)


@given(JSON)
def test_no_json_makes_it_raise(value: Any) -> None:
    check(json.dumps(value).encode())


@given(EVENTS, st.sampled_from([field.name for field in FIELDS]), JSON)
def test_one_field_of_any_kind_is_taken_or_refused_by_its_name(row: dict[str, Any], name: str, value: Any) -> None:
    found = DECODER.decode(json.dumps({**row, name: value}).encode(), None)
    if isinstance(found, Rejection):
        assert found.field == name or found.reason in {"too_large", "not_json"}


@given(EVENTS, st.data())
def test_a_message_with_a_flipped_byte_never_makes_it_raise(row: dict[str, Any], data: st.DataObject) -> None:
    value = bytearray(json.dumps(row, ensure_ascii=False).encode())
    value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(value))


@given(
    st.lists(st.none() | st.booleans() | INT64 | st.floats() | st.text(max_size=10) | st.binary(max_size=5), max_size=8)
)
def test_no_row_makes_it_raise(row: list[Any]) -> None:
    for decoder in DECODERS:
        decoder.convert(row)
        decoder.convert(dict(zip(PAYMENT.index, row, strict=False)))
        decoder.convert([str(value) for value in row], from_text=True)
