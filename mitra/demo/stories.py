"""What the demo sends beside payments: an account that is taken over and emptied, and an order that nobody delivers, again and again.

What led there is said to be minutes old, so that it comes to its end within seconds.
"""

import json
from collections.abc import Iterator
from typing import Any

from mitra.pipeline import Pipeline
from mitra.sample.live import Payment

FIRST_S, EVERY_S = 5.0, 15.0
_TRANSFER_S = 2.0
"""So long behind the reset the money leaves: by then every partition has brought what was sent before."""
_WITHIN_MS = 45 * 60_000
"""The example's orders are to be delivered within this time."""
_LEFT_MS = 6_000
"""So much of it is left when the demo's orders are picked up."""
_MINUTE_MS = 60_000

Message = tuple[str, bytes, bytes]
"""Topic, key, value."""


class Stories:
    """Tells one story after the other. Moments are in seconds since the start, times of events in epoch milliseconds."""

    def __init__(self, pipeline: Pipeline, start_ms: int) -> None:
        """Begin `FIRST_S` behind the start."""
        self._topics = {event.name: event.topic for event in pipeline.events}
        self._start_ms = start_ms
        self._told = 0
        self._next_s = FIRST_S
        self._waiting: tuple[float, Payment] | None = None

    def events(self, moment_s: float) -> Iterator[Message]:
        """Yield what nobody decides and is to be sent by now."""
        if moment_s < self._next_s:
            return
        self._next_s += EVERY_S
        self._told += 1
        now_ms = self._start_ms + int(moment_s * 1000)
        name = f"{self._start_ms:x}-{self._told}"
        customer, device = f"taken-over-{name}", f"device-{name}"
        person = {"customer_id": customer, "device_id": device}
        place = {"country": "AT", "lat": 48.2, "lon": 16.4, "succeeded": True}
        yield self._event("login", "login_id", f"l-{name}", customer, now_ms - 4 * _MINUTE_MS, **person, **place)
        yield self._event("password_reset", "reset_id", f"r-{name}", customer, now_ms - 2 * _MINUTE_MS, **person)
        for order, delivered in ((f"lost-{name}", False), (f"brought-{name}", True)):
            picked_ms = now_ms - _WITHIN_MS + _LEFT_MS
            store = {"customer_id": f"hungry-{name}", "store_id": "s1"}
            carried = {**store, "courier_id": "r1"}
            yield self._event("order_created", "order_id", order, order, picked_ms - _MINUTE_MS, **store, amount=20.0)
            yield self._event("order_picked", "order_id", order, order, picked_ms, **carried)
            if delivered:
                yield self._event("order_delivered", "order_id", order, order, now_ms - _MINUTE_MS, **carried)
        transfer = {
            "transaction_id": f"t-{name}",
            "event_time": now_ms + int(_TRANSFER_S * 1000),
            **person,
            "to_account": f"mule-{name}",
            "amount": 900.0,
        }
        self._waiting = moment_s + _TRANSFER_S, _payment(transfer)

    def transfer(self, moment_s: float) -> Payment | None:
        """Return the transfer that is to be sent by now."""
        if self._waiting is None or self._waiting[0] > moment_s:
            return None
        _, transfer = self._waiting
        self._waiting = None
        return transfer

    def _event(self, kind: str, id_field: str, id: str, key: str, at_ms: int, **fields: Any) -> Message:
        value = {id_field: id, "event_time": at_ms, **fields}
        return self._topics[kind], key.encode(), json.dumps(value).encode()


def _payment(transfer: dict[str, Any]) -> Payment:
    value, key = json.dumps(transfer).encode(), transfer["customer_id"].encode()
    at_ms, name = transfer["event_time"], transfer["transaction_id"]
    return Payment(key, value, at_ms, name, is_fraud=True, scenario="account_takeover", known_at_ms=at_ms)
