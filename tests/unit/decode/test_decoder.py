"""Messages to events, and every kind of bad message to its dead letter."""

import base64
import hashlib
import json
from typing import Any

import pytest

from mitra.dead_letter import DeadLetter
from mitra.decode import Decoder, Event, Reason, Rejection, decode_payload
from mitra.schema import EventType, Field, Limits

NOW_MS = 1_700_000_000_000
FIELDS = (
    Field("id", "string"),
    Field("at", "integer"),
    Field("customer", "string"),
    Field("amount", "number"),
    Field("items", "integer", required=False),
    Field("online", "boolean", required=False),
    Field("note", "string", required=False),
)
PAYMENT = EventType("payment", "payments", "id", "at", FIELDS)
GOOD = {"id": "t1", "at": NOW_MS, "customer": "c1", "amount": 12.5, "items": 3, "online": True, "note": "ä\u0000€"}
DECODER = Decoder(PAYMENT, Limits())


def message(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}, ensure_ascii=False).encode()


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()


def event(value: bytes, decoder: Decoder = DECODER) -> Event:
    found = decoder.decode(value, NOW_MS)
    assert isinstance(found, Event), found
    return found


def test_a_message_becomes_an_event_in_the_schemas_order() -> None:
    found = event(message())
    assert found.id == "t1"
    assert found.time_ms == NOW_MS
    assert found.values == ("t1", NOW_MS, "c1", 12.5, 3, True, "ä\u0000€")
    assert decode_payload(found.payload) == found.values
    assert -(1 << 63) <= found.content_hash < 1 << 63


def test_equal_content_has_an_equal_hash_however_it_is_written() -> None:
    other = json.dumps(dict(reversed(GOOD.items())), indent=3).encode()
    assert event(other).content_hash == event(message(unknown=[1, {"a": None}])).content_hash
    assert event(message(amount=12.6)).content_hash != event(message()).content_hash


def test_the_hash_and_payload_of_an_event_stay_what_they_are() -> None:
    """Both lie in state: another number here is a break."""
    found = event(b'{"id":"t1","at":1700000000000,"customer":"c1","amount":12}')
    assert found.payload.hex() == "97a27431cf0000018bcfe56800a26331cb4028000000000000c0c0c0"
    assert found.content_hash == -6_701_083_284_316_996_791


def test_an_optional_field_that_is_absent_or_null_is_missing() -> None:
    assert event(without("items")).values[4] is None
    assert event(message(items=None, online=None, note=None)).values[4:] == (None, None, None)


def test_a_whole_number_is_taken_for_a_number() -> None:
    assert event(message(amount=12)).values[3] == 12.0
    assert isinstance(event(message(amount=12)).values[3], float)


BAD: list[tuple[Reason, str | None, bytes | None]] = [
    ("null_value", None, None),
    ("empty", None, b""),
    ("not_json", None, b'{"id": "t1"'),
    ("not_json", None, b" "),
    ("not_json", None, message() + b"{}"),
    ("not_json", None, b"[" * 50_000),
    ("not_json", None, b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
    ("not_an_object", None, b"[1, 2]"),
    ("not_an_object", None, b"null"),
    ("not_an_object", None, b'"text"'),
    ("wrong_type", "amount", message(amount="12.5")),
    ("wrong_type", "amount", message(amount=True)),
    ("wrong_type", "amount", message(amount=[1])),
    ("wrong_type", "customer", message(customer=5)),
    ("wrong_type", "customer", message(customer={"a": 1})),
    ("wrong_type", "items", message(items=1.0)),
    ("wrong_type", "items", message(items=True)),
    ("wrong_type", "online", message(online=1)),
    ("wrong_type", "at", message(at="2023-11-14")),
    ("wrong_type", "id", message(id=7)),
    ("null_field", "amount", message(amount=None)),
    ("null_field", "id", message(id=None)),
    ("null_field", "at", message(at=None)),
    ("missing_field", "id", without("id")),
    ("missing_field", "at", without("at")),
    ("missing_field", "amount", without("amount")),
    ("empty_id", "id", message(id="")),
    ("too_large", "id", message(id="x" * 16_385)),
    ("not_finite", "amount", message(amount=float("nan"))),
    ("not_finite", "amount", message(amount=float("inf"))),
    ("not_finite", "amount", message(amount=float("-inf"))),
    ("not_finite", "amount", message().replace(b"12.5", b"1e999")),
    ("not_finite", "amount", message(amount=10**400)),
    ("out_of_range", "items", message(items=1 << 63)),
    ("out_of_range", "items", message(items=-(1 << 63) - 1)),
    ("out_of_range", "items", message().replace(b"3", b"3" * 5_000)),
    ("too_large", None, message(note="x" * 65_536)),
    ("time_out_of_range", "at", message(at=253_370_764_800_000)),
    ("time_out_of_range", "at", message(at=-1)),
    ("time_out_of_range", "at", message(at=10**40)),
    ("time_out_of_range", "at", message(at=NOW_MS + 86_400_001)),
    ("bad_encoding", None, message().decode().encode("utf-16")),
    ("bad_encoding", None, message().decode().encode("utf-16-be")),
    ("bad_encoding", None, message(note="ä").decode().encode("latin-1")),
    ("bad_encoding", None, message(note="", unknown="ä").decode().encode("latin-1")),
    ("bad_encoding", None, b"\xef\xbb\xbf" + message()),
    ("bad_encoding", None, b"\xed\xa0\x80"),
    ("bad_encoding", "note", message().replace("ä".encode(), b"\\ud800")),
    ("not_json", None, message(unknown="").replace(b'""', b'"\\ud800"')),
    ("not_json", None, message(unknown=float("nan"))),
]


@pytest.mark.parametrize(("reason", "field", "value"), BAD)
def test_a_bad_message_is_refused_with_reason_and_field(reason: Reason, field: str | None, value: bytes | None) -> None:
    found = DECODER.decode(value, NOW_MS)
    assert isinstance(found, Rejection)
    assert (found.reason, found.field) == (reason, field), found.message
    letter = json.loads(DeadLetter.of(found, "payments", 1, 42, value).to_json())
    assert (letter["reason"], letter["field"], letter["partition"], letter["offset"]) == (reason, field, 1, 42)
    assert len(letter["message"]) < 400


def test_without_a_clock_only_the_absolute_bounds_hold() -> None:
    later = message(at=NOW_MS + 40 * 366 * 86_400_000)
    assert isinstance(DECODER.decode(later, None), Event)
    assert isinstance(DECODER.decode(later, NOW_MS), Rejection)
    assert isinstance(DECODER.decode(message(at=253_370_764_800_000), None), Rejection)


def test_a_message_says_what_was_found() -> None:
    found = DECODER.decode(message(amount="twelve"), NOW_MS)
    assert isinstance(found, Rejection)
    assert found.message == 'amount is "twelve"; allowed: a finite number'
    found = DECODER.decode(message(at=253_370_764_800_000), NOW_MS)
    assert isinstance(found, Rejection)
    assert (
        found.message == "at is 9999-01-01T00:00:00.000Z; allowed: 1970-01-01T00:00:00.000Z to 2200-01-01T00:00:00.000Z"
    )


@pytest.mark.parametrize(
    ("time_format", "value", "time_ms"),
    [
        ("epoch_ms", 1_700_000_000_123, 1_700_000_000_123),
        ("epoch_s", 1_700_000_000, 1_700_000_000_000),
        ("epoch_s", 1_700_000_000.123, 1_700_000_000_123),
        ("iso8601", "2023-11-14T22:13:20.123Z", 1_700_000_000_123),
        ("iso8601", "2023-11-14T22:13:20.1239", 1_700_000_000_123),
        ("iso8601", "2023-11-15T00:13:20+02:00", 1_700_000_000_000),
        ("iso8601", "2023-11-14", 1_699_920_000_000),
        ("%Y-%m-%d %H:%M:%S", "2023-11-14 22:13:20", 1_700_000_000_000),
        ("%Y-%m-%dT%H:%M:%S", "2023-11-14T22:13:20", 1_700_000_000_000),
        ("%Y-%m-%d %H:%M:%S", "2023-1-4 2:3:2", 1_672_797_782_000),
        ("%d.%m.%Y %H:%M %z", "15.11.2023 00:13 +0200", 1_699_999_980_000),
    ],
)
def test_times_come_in_many_forms(time_format: str, value: Any, time_ms: int) -> None:
    decoder = Decoder(EventType("payment", "payments", "id", "at", FIELDS, time_format), Limits())
    found = event(message(at=value), decoder)
    assert (found.time_ms, found.values[1]) == (time_ms, time_ms)


@pytest.mark.parametrize(
    ("time_format", "value", "reason"),
    [
        ("iso8601", "yesterday", "not_a_time"),
        ("iso8601", "2023-02-30", "not_a_time"),
        ("iso8601", "9999-12-31T23:59:59-14:00", "time_out_of_range"),
        ("iso8601", "1969-12-31T23:59:59Z", "time_out_of_range"),
        ("iso8601", 1_700_000_000, "wrong_type"),
        ("%Y-%m-%d %H:%M:%S", "2023-11-14T22:13:20", "not_a_time"),
        ("epoch_s", 1_700_000_000_000, "time_out_of_range"),
        ("epoch_s", 1.7e308, "time_out_of_range"),
        ("epoch_s", "now", "wrong_type"),
    ],
)
def test_what_is_no_time_is_refused(time_format: str, value: Any, reason: str) -> None:
    found = Decoder(EventType("payment", "payments", "id", "at", FIELDS, time_format), Limits()).decode(
        message(at=value), NOW_MS
    )
    assert isinstance(found, Rejection)
    assert (found.reason, found.field) == (reason, "at")


def test_ids_may_be_integers() -> None:
    fields = (Field("id", "integer"), *FIELDS[1:])
    decoder = Decoder(EventType("payment", "payments", "id", "at", fields), Limits())
    found = event(message(id=-7), decoder)
    assert (found.id, found.values[0]) == ("-7", -7)


def test_a_dead_letter_keeps_the_beginning_and_the_hash_of_the_whole() -> None:
    value = b"x" * 1_000
    letter = DeadLetter.of(Rejection("not_json", None, "no"), "payments", 0, 5, value, bytes_kept=10)
    assert letter.bytes is not None
    assert base64.b64decode(letter.bytes) == value[:10]
    assert (letter.size, letter.sha256) == (1_000, hashlib.sha256(value).hexdigest())
    empty = DeadLetter.of(Rejection("null_value", None, "no"), "payments", 0, 5, None)
    assert (empty.bytes, empty.size, empty.sha256) == (None, 0, None)
