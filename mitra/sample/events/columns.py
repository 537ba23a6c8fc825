"""Events of one type side by side, and the types there are.

Identifiers are numbers here and become texts on the way out (`texts`). All columns of one `Events` have the same length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mitra.sample.columns import Ints, Mask

Kind = Literal[
    "login",
    "password_reset",
    "card_addition",
    "transfer",
    "order_created",
    "order_picked",
    "order_delivered",
    "order_cancelled",
]

_ALWAYS = ("id", "time_ms", "customer")
COLUMNS: dict[Kind, tuple[str, ...]] = {
    "login": (*_ALWAYS, "device", "country", "lat_e4", "lon_e4", "succeeded"),
    "password_reset": (*_ALWAYS, "device"),
    "card_addition": (*_ALWAYS, "card", "device"),
    "transfer": (*_ALWAYS, "payee", "cents", "device", "tag"),
    "order_created": (*_ALWAYS, "store", "cents"),
    "order_picked": (*_ALWAYS, "store", "courier"),
    "order_delivered": (*_ALWAYS, "store", "courier"),
    "order_cancelled": (*_ALWAYS, "store"),
}
"""`device` and `id` are words, `succeeded` is bool, all others are int64. `payee` is an account (`accounts`), `tag` a place in `tags.NAMES`."""

KINDS: tuple[Kind, ...] = tuple(COLUMNS)
_TYPES = {"id": np.uint64, "device": np.uint64, "succeeded": np.bool_}


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one type as columns."""

    kind: Kind
    columns: dict[str, Any]

    @classmethod
    def of(cls, kind: Kind, **columns: Any) -> "Events":
        """Return events; a single value stands for a column of it."""
        count = len(columns["time_ms"])
        typed = {
            name: np.broadcast_to(np.asarray(columns[name]).astype(_TYPES.get(name, np.int64)), count)
            for name in COLUMNS[kind]
        }
        return cls(kind, typed)

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.columns["time_ms"])

    def take(self, places: Ints | Mask) -> "Events":
        """Return the events at some places, or those where a mask is true."""
        return Events(self.kind, {name: column[places] for name, column in self.columns.items()})

    def in_order(self) -> "Events":
        """Return the events by time, equal times by id."""
        return self.take(np.lexsort((self.columns["id"], self.columns["time_ms"])))


def together(kind: Kind, parts: Sequence[Events]) -> Events:
    """Return all the events of one type in some parts."""
    mine = [part for part in parts if part.kind == kind]
    if not mine:
        return Events.of(kind, **dict.fromkeys(COLUMNS[kind], np.zeros(0, np.int64)))
    return Events(kind, {name: np.concatenate([part.columns[name] for part in mine]) for name in COLUMNS[kind]})
