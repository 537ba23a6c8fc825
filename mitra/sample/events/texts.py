"""Other events as Arrow tables and JSON messages, the same values in each; and the labels of transfers."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from mitra.sample.columns import Ints
from mitra.sample.events import tags
from mitra.sample.events.columns import COLUMNS, Events, Kind
from mitra.sample.geography import COUNTRIES
from mitra.sample.labels import reported_ms
from mitra.sample.texts import hex_column

ID_FIELDS: dict[Kind, str] = {
    "login": "login_id",
    "password_reset": "reset_id",
    "card_addition": "addition_id",
    "transfer": "transaction_id",
    "order_created": "order_id",
    "order_picked": "order_id",
    "order_delivered": "order_id",
    "order_cancelled": "order_id",
}
_encode = msgspec.json.Encoder().encode


def _numbered(pattern: str) -> Callable[[Any], Any]:
    return lambda numbers: pa.array([pattern % number for number in numbers.tolist()], pa.string())


_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "time_ms": ("event_time", lambda column: pa.array(column, pa.int64())),
    "customer": ("customer_id", _numbered("c%07d")),
    "device": ("device_id", hex_column),
    "country": ("country", lambda column: pa.array(COUNTRIES).take(pa.array(column))),
    "lat_e4": ("lat", lambda column: pa.array(column / 10_000)),
    "lon_e4": ("lon", lambda column: pa.array(column / 10_000)),
    "succeeded": ("succeeded", pa.array),
    "payee": ("to_account", _numbered("a%08d")),
    "cents": ("amount", lambda column: pa.array(column / 100)),
    "store": ("store_id", _numbered("s%05d")),
    "courier": ("courier_id", _numbered("r%04d")),
}


def event_table(events: Events) -> pa.Table:
    """Return the events as an Arrow table with the example's field names."""
    columns: dict[str, Any] = {}
    for name in COLUMNS[events.kind]:
        column = np.ascontiguousarray(events.columns[name])
        if name == "id":
            columns[ID_FIELDS[events.kind]] = hex_column(column)
        elif name == "card":
            pairs = zip(events.columns["customer"].tolist(), column.tolist(), strict=True)
            columns["card_id"] = pa.array([f"k{customer:07d}{card + 1}" for customer, card in pairs], pa.string())
        elif name in _FIELDS:
            field, make = _FIELDS[name]
            columns[field] = make(column)
    return pa.table(columns)


def transfer_label_table(events: Events) -> pa.Table:
    """Return the labels of transfers as an Arrow table; `scenario` is there to evaluate with."""
    tag: Ints = events.columns["tag"]
    fraud = np.array(tags.IS_FRAUD)[tag]
    return pa.table(
        {
            "transaction_id": hex_column(np.ascontiguousarray(events.columns["id"])),
            "is_fraud": pa.array(fraud),
            "known_at": pa.array(reported_ms(events.columns["id"], events.columns["time_ms"], fraud)),
            "scenario": pa.array(tags.NAMES).take(pa.array(tag)),
        }
    )


def messages(table: pa.Table) -> list[str]:
    """Return the rows of a table as JSON objects."""
    return [_encode(row).decode() for row in table.to_pylist()]
