"""Small pieces for tests of the stages: an event type with its entities, events, parts and stores."""

from array import array
from collections.abc import Sequence
from typing import Any

from mitra.decide import State
from mitra.decode import Event, event_of, payload_fields
from mitra.history import Layout, MemoryStore
from mitra.lane import Source
from mitra.messages import PartBatch
from mitra.route import Router
from mitra.schema import Entity, EventType, Field

PAYMENT = EventType(
    name="payment",
    topic="payments",
    id="id",
    time="time",
    fields=(
        Field("id", "string"),
        Field("time", "integer"),
        Field("customer", "string"),
        Field("terminal", "string", required=False),
        Field("shop", "integer", required=False),
        Field("amount", "number", required=False),
    ),
    late_after_ms=1000,
)
LOGIN = EventType(
    name="login",
    topic="logins",
    id="id",
    time="time",
    fields=(Field("id", "string"), Field("time", "integer"), Field("customer", "string")),
    decided=False,
)
ENTITIES = (
    Entity("customer", ("customer",)),
    Entity("terminal", ("terminal",)),
    Entity("shop", ("shop",)),
    Entity("pair", ("customer", "shop")),
)
LAYOUT = Layout.of([PAYMENT, LOGIN])
PLAN = 42
FIELDS = payload_fields(PAYMENT)
NAMES = [entity.name for entity in ENTITIES]


def payment(
    id: str = "a",
    time_ms: int = 5_000,
    customer: str = "c",
    terminal: str | None = None,
    shop: int | None = None,
    amount: float | None = None,
) -> Event:
    """Return a payment."""
    return event_of(id, time_ms, (id, time_ms, customer, terminal, shop, amount))


def sources(count: int, topic: int = 0) -> list[Source]:
    """Return places one behind the other in partition 0 of a topic."""
    return [Source(topic, 0, offset) for offset in range(count)]


def router(buckets: int = 4) -> Router:
    """Return the router of payments and logins."""
    return Router((PAYMENT, LOGIN), ENTITIES, LAYOUT, buckets)


def state() -> State:
    """Return an empty decide bucket."""
    return State(*(MemoryStore() for _ in range(4)))


def part(
    event: Event,
    *,
    expected: int = 1,
    offset: int = 0,
    partition: int = 0,
    entities: Sequence[int] = (0,),
    keys: Sequence[str] = ("c",),
    values: Sequence[Sequence[float]] = ((1.0, 2.0),),
    statuses: Sequence[int] | None = None,
    texts: list[list[str | None]] | None = None,
    payload: bool = True,
    plan: int = PLAN,
    names: Sequence[str] = NAMES,
    **more: Any,
) -> PartBatch:
    """Return a part of one event, as history answers it."""
    fields: dict[str, Any] = {
        "lane": 0,
        "clock_ms": 0,
        "revision": 0,
        "plan": plan,
        "fields": FIELDS,
        "entities": list(names),
        "ids": [event.id],
        "topics": b"\0",
        "partitions": array("i", [partition]).tobytes(),
        "offsets": array("q", [offset]).tobytes(),
        "flags": b"\0",
        "expected": bytes([expected]),
        "decoded_ms": array("d", [1000.0]).tobytes(),
        "history_ms": array("d", [1002.0]).tobytes(),
        "times_ms": array("q", [event.time_ms]).tobytes(),
        "payloads": [event.payload if payload else b""],
        "touch_events": array("i", [0] * len(entities)).tobytes(),
        "touch_entities": bytes(entities),
        "statuses": bytes(statuses or [0] * len(entities)),
        "arrivals": array("q", [1] * len(entities)).tobytes(),
        "width": len(values[0]) if values else 2,
        "values": array("d", [value for row in values for value in row]).tobytes(),
        "texts": texts or [],
        "approximate": b"",
        "keys": list(keys),
        "marks": {},
    }
    return PartBatch(**fields | more)
