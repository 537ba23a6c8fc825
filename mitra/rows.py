"""Rows of files to events, by the same checks as messages: values that are typed already, or the texts of a CSV file.

A Parquet file may have a column in a wider or narrower type than the schema: an integer column for a string field, a
decimal for a number, a timestamp for a time, a text for an integer. What stands for the same value is taken as that value.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from math import isfinite
from typing import Any, Literal

from mitra.decode import (
    ID_CHARACTERS,
    INT64_MAX,
    INT64_MIN,
    Event,
    Rejection,
    event_of,
    time_out_of_range,
    with_update_id,
)
from mitra.event_time import moment_ms, parser_of
from mitra.schema import EventType, Field, Limits

Form = Literal["json", "typed", "text"]
"""How a value comes: by JSON's types alone; typed, as from Parquet; or as the text of a CSV file, empty where missing."""


class TimeMs(int):
    """A time that is known to be epoch milliseconds, whatever the event's time format."""


_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\.[0-9]+|[0-9]+\.?[0-9]*)([eE][+-]?[0-9]+)?", re.ASCII)
_NOT_FINITE = frozenset({"nan", "inf", "infinity", "+inf", "-inf", "+infinity", "-infinity"})
_ABSENT = object()
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_QUOTE_LIMIT = 80


def convert_row(
    event: EventType, limits: Limits, row: Mapping[str, Any] | Sequence[Any], *, from_text: bool = False
) -> Event | Rejection:
    """Return the event of a row, or why there is none. Only the absolute bounds hold for its time."""
    found: Sequence[Any]
    if isinstance(row, Mapping):
        found = [row.get(field.name, _ABSENT) for field in event.own]
    elif len(row) == len(event.own):
        found = row
    else:
        return Rejection("wrong_columns", None, f"the row has {len(row)} values; allowed: {len(event.own)}")
    form: Form = "text" if from_text else "typed"
    values: list[Any] = []
    given = iter(found)
    for field in event.fields:
        if not field.read:
            values.append(field.fixed)
            continue
        value = next(given)
        if value is _ABSENT and field.required:
            return Rejection("missing_field", field.name, f"{field.name} is missing")
        checked = None if value is _ABSENT else check_value(event, field, value, limits, None, form)
        if isinstance(checked, Rejection):
            return checked
        values.append(checked)
    if event.by and values[event.index[event.id]] is None:
        values = list(with_update_id(event, values))
    made = event_of(str(values[event.index[event.id]]), values[event.index[event.time]], tuple(values))
    return made if len(made.payload) <= limits.message_bytes else too_large(made, limits.message_bytes)


def too_large(event: Event, limit_bytes: int) -> Rejection:
    """Return the rejection of a row that takes more bytes than a message may."""
    return Rejection("too_large", None, f"the row takes {len(event.payload)} bytes; allowed: {limit_bytes}")


def check_value(
    event: EventType, field: Field, value: Any, limits: Limits, now_ms: int | None, form: Form = "json"
) -> Any:
    """Return the field's value in the schema's type, None if it is missing, or a Rejection."""
    if form == "typed" and hasattr(value, "item"):
        value = value.item()
    if value is None or (form == "text" and value == ""):
        return (
            Rejection(
                "null_field", field.name, f"{field.name} is {'null' if value is None else 'empty'}; it is required"
            )
            if (field.required)
            else None
        )
    if field.name == event.time:
        return _time(event, field, value, limits, now_ms, form)
    checked = _CHECKS[field.type](field, value, form)
    if field.name == event.id:
        if isinstance(checked, str) and len(checked) > ID_CHARACTERS:
            message = f"{field.name} has {len(checked)} characters; allowed: {ID_CHARACTERS}, for it is the event's id"
            return Rejection("too_large", field.name, message)
        if checked == "":
            return Rejection(
                "empty_id", field.name, f"{field.name} is an empty text; an event's id has at least one character"
            )
        if (
            isinstance(value, str)
            and field.type == "integer"
            and str(checked) != value
            and not isinstance(checked, Rejection)
        ):
            message = f"{field.name} is {quote(value)}; allowed: an integer as it is written, {checked}, for it is the event's id"
            return Rejection("wrong_type", field.name, message)
    return checked


def quote(value: Any) -> str:
    """Return a value as a message for people shows it: cut, and with nothing in it that UTF-8 can't hold."""
    if isinstance(value, Mapping):
        text = "an object"
    elif isinstance(value, list | tuple):
        text = "an array"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif value is None:
        text = "null"
    elif isinstance(value, str):
        text = f'"{value[:_QUOTE_LIMIT]}{"…" if len(value) > _QUOTE_LIMIT else ""}"'
    elif isinstance(value, int) and abs(value) > 10**30:
        text = f"an integer of {value.bit_length()} bits"
    else:
        text = str(value)[:_QUOTE_LIMIT]
    return text.encode("utf-8", "backslashreplace").decode()


def _wrong(field: Field, value: Any, allowed: str) -> Rejection:
    return Rejection("wrong_type", field.name, f"{field.name} is {quote(value)}; allowed: {allowed}")


def _string(field: Field, value: Any, form: Form) -> Any:
    if form == "typed" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return _wrong(field, value, "a string")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        at = f"character {error.start} of {field.name} is half of a surrogate pair or not UTF-8"
        return Rejection("bad_encoding", field.name, f"{at}: {quote(value)}")
    return value


def _integer(field: Field, value: Any, form: Form) -> Any:
    allowed = "an integer"
    if isinstance(value, bool):
        return _wrong(field, value, allowed)
    if form != "json":
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value)
        elif isinstance(value, float | Decimal):
            if not isfinite(value):
                return Rejection("not_finite", field.name, f"{field.name} is {value}; allowed: {allowed}")
            value = int(value) if value == int(value) else value
    if not isinstance(value, int):
        if isinstance(value, float) and not isfinite(value):
            return Rejection("not_finite", field.name, f"{field.name} is {value}; allowed: {allowed}")
        return _wrong(field, value, allowed)
    if not INT64_MIN <= value <= INT64_MAX:
        return Rejection("out_of_range", field.name, f"{field.name} is {quote(value)}; allowed: an integer of 64 bits")
    return value


def _number(field: Field, value: Any, form: Form) -> Any:
    allowed = "a finite number"
    if isinstance(value, bool):
        return _wrong(field, value, allowed)
    try:
        if form != "json":
            is_text = isinstance(value, str) and (_NUMBER.fullmatch(value) or value.lower() in _NOT_FINITE)
            if is_text or isinstance(value, Decimal):
                value = float(value)
        if not isinstance(value, int | float):
            return _wrong(field, value, allowed)
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        return Rejection("not_finite", field.name, f"{field.name} is {quote(value)}; allowed: {allowed}")
    return number


def _boolean(field: Field, value: Any, form: Form) -> Any:
    if form != "json" and isinstance(value, str):
        value = _BOOLEANS.get(value.lower(), value)
    return value if isinstance(value, bool) else _wrong(field, value, "true or false")


_CHECKS = {"string": _string, "integer": _integer, "number": _number, "boolean": _boolean}


def _time(event: EventType, field: Field, value: Any, limits: Limits, now_ms: int | None, form: Form) -> Any:
    time_ms: Any
    if isinstance(value, TimeMs):
        time_ms = int(value)
    elif form == "typed" and isinstance(value, date):
        time_ms = moment_ms(value)
    elif event.time_format == "epoch_ms":
        time_ms = _integer(field, value, form)
    elif event.time_format == "epoch_s":
        seconds = _number(field, value, form)
        # Cut where no calendar reaches: a thousand times the greatest float is no number any more.
        time_ms = seconds if isinstance(seconds, Rejection) else round(max(-1e15, min(seconds, 1e15)) * 1000)
    elif not isinstance(value, str):
        return _wrong(field, value, f"a time as text ({event.time_format})")
    else:
        try:
            time_ms = parser_of(event.time_format)(value)
        except (ValueError, OverflowError):
            message = f"{field.name} is {quote(value)}; allowed: a time ({event.time_format})"
            return Rejection("not_a_time", field.name, message)
    if isinstance(time_ms, Rejection):
        # An integer beyond 64 bits is a time beyond all bounds.
        return (
            Rejection("time_out_of_range", field.name, time_ms.message) if time_ms.reason == "out_of_range" else time_ms
        )
    return time_out_of_range(field.name, time_ms, now_ms, limits) or time_ms
