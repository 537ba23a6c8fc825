"""Messages that are no payments, of every kind that producers make, and payments that look odd but are right."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from tests.factories.live import DAY_MS, Payment

AT_MS = 1_710_000_000_000
LIMIT_BYTES = 65_536
YEAR_9999_MS = 253_402_300_799_000


class Bad(NamedTuple):
    """A kind of bad message: how to make one, and the dead letter's reason and field."""

    make: Callable[[dict[str, Any]], bytes | None]
    reason: str
    field: str | None = None


def _json(values: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({**values, **changes}).encode()


def _without(name: str) -> Callable[[dict[str, Any]], bytes]:
    return lambda values: json.dumps({key: value for key, value in values.items() if key != name}).encode()


KINDS: dict[str, Bad] = {
    "broken JSON": Bad(lambda values: _json(values)[:-7], "not_json"),
    "an array": Bad(lambda values: json.dumps([values]).encode(), "not_an_object"),
    "a wrong type": Bad(lambda values: _json(values, amount="12.50"), "wrong_type", "amount"),
    "null in a required field": Bad(lambda values: _json(values, customer=None), "null_field", "customer"),
    "a missing id": Bad(_without("id"), "missing_field", "id"),
    "an empty id": Bad(lambda values: _json(values, id=""), "empty_id", "id"),
    "a missing time": Bad(_without("at"), "missing_field", "at"),
    "NaN": Bad(lambda values: _json(values, amount=float("nan")), "not_finite", "amount"),
    "infinity": Bad(lambda values: _json(values, amount=float("inf")), "not_finite", "amount"),
    "a number beyond floats": Bad(lambda values: _json(values, amount=0).replace(b": 0,", b": 1e999,"), "not_finite", "amount"),
    "over the limit": Bad(lambda values: _json(values, note="x" * LIMIT_BYTES), "too_large"),
    "the year 9999": Bad(lambda values: _json(values, at=YEAR_9999_MS), "time_out_of_range", "at"),
    "empty": Bad(lambda _: b"", "empty"),
    "a Kafka null": Bad(lambda _: None, "null_value"),
    "wrong encoding": Bad(lambda values: json.dumps({**values, "note": "Käse"}, ensure_ascii=False).encode("latin-1"), "bad_encoding"),
    "UTF-16": Bad(lambda values: json.dumps(values).encode("utf-16-le"), "bad_encoding"),
    "NUL bytes": Bad(lambda values: _json(values, note="x").replace(b"x", b"\0"), "not_json"),
    "a lone surrogate": Bad(lambda values: _json(values, note="x").replace(b'"x"', b'"\\ud800"'), "bad_encoding", "note"),
    "a separator": Bad(lambda _: b"\x1f\x1f\x1f\x1f", "not_json"),
}  # fmt: skip
"""What each of them is; "the same id with other content" needs a good payment and is made by `conflict`."""


def message(kind: str, number: int) -> bytes | None:
    """Return a message of a bad kind; no two are of one payment."""
    id = f"bad-{kind}-{number}".replace(" ", "-")
    return KINDS[kind].make({"id": id, "at": AT_MS, "customer": "bad", "terminal": "bad", "amount": 1.0, "note": None})


def conflict(payment: Payment) -> Payment:
    """Return other content under the id of a payment, a day later."""
    return replace(payment, amount=payment.amount + 1000.0, at=payment.at + DAY_MS)


_ODD_IDS = (
    "ü", "日本", "😀", "a\"b\\c'd", "tab\tnew\nline", "\u2028", "nul\0nul", "\x1f", "D0004", " ", "x" * 12_000, "🎉" * 3_000, "\ufeff",
    "0", "null", "é\u0301", "\U0010ffff", "{}", "-1", "%s", "C:\\",
)  # fmt: skip


def odd_payments() -> list[Payment]:
    """Return payments whose ids try what lies between the broker, Java, Python and the broker again."""
    return [Payment(id, AT_MS + number, "odd", f"odd-{id[:50]}", 1.0, id[:50]) for number, id in enumerate(_ODD_IDS)]


def raw(payment: Payment) -> bytes:
    """Return a payment's message in UTF-8 as it is, with a field that the pipeline doesn't know."""
    values = {name: getattr(payment, name) for name in payment.__dataclass_fields__}
    return json.dumps({**values, "unknown": {"field": [payment.id[:50]]}}, ensure_ascii=False).encode()
