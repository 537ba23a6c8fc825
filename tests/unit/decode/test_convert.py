"""Rows of files to events: typed values and the texts of CSV, by the same checks as messages."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from mitra.decode import Decoder, Event, Rejection
from mitra.schema import EventType, Field, Limits

FIELDS = (
    Field("id", "integer"),
    Field("at", "integer"),
    Field("amount", "number"),
    Field("online", "boolean", required=False),
    Field("note", "string", required=False),
)
PAYMENT = EventType("payment", "payments", "id", "at", FIELDS, "%Y-%m-%d %H:%M:%S")
DECODER = Decoder(PAYMENT, Limits())
TYPED = {"id": 7, "at": datetime(2023, 11, 14, 22, 13, 20), "amount": 12.5, "online": True, "note": "n"}  # noqa: DTZ001
TEXTS = {"id": "7", "at": "2023-11-14 22:13:20", "amount": "12.5", "online": "true", "note": "n"}
MESSAGE = b'{"id":7,"at":"2023-11-14 22:13:20","amount":12.5,"online":true,"note":"n"}'


def test_a_row_and_a_message_with_the_same_content_are_the_same_event() -> None:
    event = DECODER.decode(MESSAGE, None)
    assert isinstance(event, Event)
    assert DECODER.convert(TYPED) == event
    assert DECODER.convert(list(TYPED.values())) == event
    assert DECODER.convert(TEXTS, from_text=True) == event
    assert DECODER.convert({**TYPED, "other": 1}) == event


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("id", 7.0, 7),
        ("id", Decimal(7), 7),
        ("id", "7", 7),
        ("amount", 12, 12.0),
        ("amount", Decimal("12.5"), 12.5),
        ("amount", "12.5", 12.5),
        ("note", 5, "5"),
        ("online", None, None),
        ("at", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), 1_700_000_000_000),
        ("at", date(2023, 11, 14), 1_699_920_000_000),
        ("at", "2023-11-14 22:13:20", 1_700_000_000_000),
    ],
)
def test_a_typed_value_that_stands_for_the_same_is_taken(name: str, value: Any, stored: Any) -> None:
    event = DECODER.convert({**TYPED, name: value})
    assert isinstance(event, Event), event
    assert event.values[PAYMENT.index[name]] == stored


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("id", 7.5, "wrong_type"),
        ("id", True, "wrong_type"),
        ("id", "007", "wrong_type"),
        ("id", 1 << 63, "out_of_range"),
        ("id", float("nan"), "not_finite"),
        ("amount", None, "null_field"),
        ("amount", float("inf"), "not_finite"),
        ("amount", "12,5", "wrong_type"),
        ("amount", [1.0], "wrong_type"),
        ("note", b"bytes", "wrong_type"),
        ("at", datetime(9999, 1, 1), "time_out_of_range"),  # noqa: DTZ001
        ("at", "soon", "not_a_time"),
    ],
)
def test_a_typed_value_that_does_not_fit_is_refused(name: str, value: Any, reason: str) -> None:
    found = DECODER.convert({**TYPED, name: value})
    assert isinstance(found, Rejection)
    assert (found.reason, found.field) == (reason, name)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("id", "", "null_field"),
        ("id", "7.0", "wrong_type"),
        ("id", "1_000", "wrong_type"),
        ("id", "٧", "wrong_type"),
        ("amount", "", "null_field"),
        ("amount", "NaN", "not_finite"),
        ("amount", "1e999", "not_finite"),
        ("amount", "1_0.0", "wrong_type"),
        ("online", "yes", "wrong_type"),
        ("note", "\udcff", "bad_encoding"),
        ("at", "", "null_field"),
    ],
)
def test_a_text_that_does_not_fit_is_refused(name: str, text: str, reason: str) -> None:
    found = DECODER.convert({**TEXTS, name: text}, from_text=True)
    assert isinstance(found, Rejection)
    assert (found.reason, found.field) == (reason, name)


def test_an_empty_text_of_an_optional_field_is_missing() -> None:
    event = DECODER.convert({**TEXTS, "online": "", "note": ""}, from_text=True)
    assert isinstance(event, Event)
    assert event.values[3:] == (None, None)


def test_a_row_without_a_field_or_with_too_many_is_refused() -> None:
    found = DECODER.convert({name: value for name, value in TYPED.items() if name != "amount"})
    assert isinstance(found, Rejection)
    assert (found.reason, found.field) == ("missing_field", "amount")
    found = DECODER.convert([1, 2])
    assert isinstance(found, Rejection)
    assert found.reason == "wrong_columns"


def test_a_row_that_is_larger_than_a_message_may_be_is_refused() -> None:
    found = DECODER.convert({**TYPED, "note": "x" * 65_536})
    assert isinstance(found, Rejection)
    assert found.reason == "too_large"
