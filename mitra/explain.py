"""Says why a message is no event: the slow second look at what the decoder refused.

Goes from the outside in and reports the first thing wrong: nothing there, too long, encoding, JSON, object, fields.
"""

import json
from collections.abc import Mapping
from typing import Any

from mitra.decode import Rejection
from mitra.rows import check_value
from mitra.schema import EventType, Limits

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"
_KIND_NAMES = {
    list: "an array",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}


def explain(
    value: bytes | None, event: EventType, limits: Limits, now_ms: int | None, error: Exception | None = None
) -> Rejection:
    """Return why `value` is no event of type `event`; `error` is what the decoder raised, if it did."""
    found = read_object(value, limits.message_bytes)
    if isinstance(found, Rejection):
        return found
    return explain_fields(found, event, limits, now_ms) or Rejection(
        "not_json", None, f"the message is not JSON: {error}"
    )


def read_object(value: bytes | None, max_bytes: int) -> dict[str, Any] | Rejection:
    """Return the JSON object in a message of at most `max_bytes`, or why there is none."""
    if value is None:
        return Rejection("null_value", None, "the message has no value (a Kafka null)")
    if not value:
        return Rejection("empty", None, "the message is empty: 0 bytes")
    if len(value) > max_bytes:
        return Rejection("too_large", None, f"the message is {len(value)} bytes long; allowed: {max_bytes}")
    return parse_object(bytes(value))


def parse_object(value: bytes) -> dict[str, Any] | Rejection:
    """Return the JSON object in `value`, or why there is none. NaN and Infinity are read, though they are not JSON."""
    wrong = _encoding_problem(value)
    if wrong:
        return Rejection("bad_encoding", None, wrong)
    try:
        found = json.loads(value, parse_int=_parse_int)
    except RecursionError:
        return Rejection("not_json", None, "the message is nested too deep")
    except ValueError as error:
        return Rejection("not_json", None, f"the message is not JSON: {error}"[:300])
    if not isinstance(found, dict):
        return Rejection("not_an_object", None, f"the message is {_KIND_NAMES[type(found)]}; allowed: a JSON object")
    return found


def explain_fields(found: Mapping[str, Any], event: EventType, limits: Limits, now_ms: int | None) -> Rejection | None:
    """Return what is wrong with the first wrong field of an object, or None if all fields are right."""
    for field in event.own:
        if field.name not in found:
            if field.required:
                return Rejection(
                    "missing_field", field.name, f"{field.name} is missing; allowed: {_wanted(event, field.name)}"
                )
            continue
        checked = check_value(event, field, found[field.name], limits, now_ms)
        if isinstance(checked, Rejection):
            return checked
    return None


def _parse_int(digits: str) -> int:
    """Read an integer; one of thousands of digits, which Python refuses, as its first 400: beyond every bound as well."""
    return int(digits[:400])


def _wanted(event: EventType, name: str) -> str:
    return f"a time ({event.time_format})" if name == event.time else f"a {event.by_name[name].type}"


def _encoding_problem(value: bytes) -> str:
    if value.startswith(_UTF16_MARKS) or b"\0" in value[:4]:
        return "the message looks like UTF-16; allowed: UTF-8"
    if value.startswith(_UTF8_MARK):
        return "the message begins with a byte order mark; allowed: UTF-8 without one"
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start} of the message is 0x{value[error.start]:02x}, which is not UTF-8 here"
    return ""
