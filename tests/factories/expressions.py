"""A pipeline's schema with everything that expressions can speak of, and the values of one event."""

from dataclasses import replace

import mitra.pipeline_expressions  # noqa: F401 - supplies the functions that models compute
from mitra.decision import DECISION_COLUMNS
from mitra.schema import MATCH, Entity, EventType, Field, Labels
from rules import ExpressionSchema

DAY_MS = 86_400_000
SATURDAY_NIGHT_MS = 1_522_453_500_000
"""2018-03-30 23:45:00 UTC, a Friday; a Saturday, and the month's last day, in Berlin."""

PAYMENT = EventType(
    name="payment",
    topic="payments",
    id="payment_id",
    time="at",
    fields=(
        Field("payment_id", "string"),
        Field("at", "integer"),
        Field("customer_id", "string"),
        Field("terminal_id", "string"),
        Field("device_id", "string", required=False),
        Field("amount", "number"),
        Field("items", "integer", required=False),
        Field("country", "string", required=False),
        Field("online", "boolean", required=False),
        Field("lat", "number", required=False),
        Field("lon", "number", required=False),
    ),
)
LOGIN = EventType(
    name="login",
    topic="logins",
    id="login_id",
    time="logged_in_at",
    decided=False,
    fields=(
        Field("login_id", "string"),
        Field("logged_in_at", "integer"),
        Field("customer_id", "string"),
        Field("country", "string", required=False),
        Field("succeeded", "boolean"),
        Field("attempts", "integer"),
    ),
)
PARCEL = EventType(
    name="parcel",
    topic="parcels",
    id="parcel_id",
    time="sent_at",
    decided=False,
    fields=(Field("parcel_id", "string"), Field("sent_at", "integer"), Field("depot", "string")),
)
ENTITIES = (
    Entity("customer", ("customer_id",)),
    Entity("terminal", ("terminal_id",)),
    Entity("device_country", ("device_id", "country")),
    Entity("depot", ("depot",)),
)
LABELS = Labels("fraud", "labels", "payment_id", "fraud")

VALUES = ("p1", SATURDAY_NIGHT_MS, "c1", "t1", None, 120.0, 3, "DE", True, 52.52, 13.405)
"""The values of one payment, in the order of its fields."""


def schema(*, zone: str = "UTC", depth: int = 32, size: int = 4_096) -> ExpressionSchema:
    """Return the schema: payments are decided, logins come beside them, parcels are of another world."""
    return ExpressionSchema(
        events=(PAYMENT, LOGIN, PARCEL),
        entities=ENTITIES,
        labels=LABELS,
        max_window_ms=90 * DAY_MS,
        zone=zone,
        expression_bytes=size,
        expression_depth=depth,
        columns=DECISION_COLUMNS,
    )


def matched_schema() -> ExpressionSchema:
    """Return the schema of a pipeline whose patterns Flink CEP looks for."""
    fields = (Field("match_id", "string"), Field("match_time", "integer"), Field("pattern", "string"))
    keys = (Field("customer_id", "string", required=False),)
    match = EventType(MATCH, "matches", "match_id", "match_time", (*fields, *keys), decided=False, derived=True)
    return replace(schema(), events=(*schema().events, match), patterns=(("mules", "customer"),))


def orders_schema() -> ExpressionSchema:
    """Return the schema of orders at stores: four types of events, told apart by ids of their own."""
    fields = (Field("at", "integer"), *(Field(name, "string") for name in ("event_id", "order_id", "store")))
    events = tuple(
        EventType(name, f"orders.{name}", "event_id", "at", fields, decided=name == "created")
        for name in ("created", "picked", "delivered", "cancelled")
    )
    return ExpressionSchema(events, (Entity("store", ("store",)),), None, 30 * DAY_MS)
