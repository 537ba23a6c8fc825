"""Payments as columns: what the generators pass on, before it becomes rows, Parquet or JSON.

All columns of one `Payments` have the same length. Identifiers are numbers here and become texts only on the way out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Mask = NDArray[np.bool_]

NO_DEVICE = np.uint64(0)
ORDINARY = 0  # the tag of a payment that belongs to no scenario


@dataclass(frozen=True, slots=True)
class Payments:
    """Payments side by side.

    `time_ms`: epoch ms. `card`: the customer's first, second, … card. `device`: a device's number, 0 for none (card
    present). `cents`: the amount. `country`: a place in geography.COUNTRIES. `lat_e4`, `lon_e4`: degrees × 10,000.
    `billing`, `shipping`: places (`post`) that the card is billed to and goods are sent to, 0 for none.
    `id`: the transaction's number. `tag`: the scenario's place in scenarios.NAMES, 0 for an ordinary payment.
    """

    time_ms: Ints
    customer: Ints
    card: Ints
    terminal: Ints
    device: Words
    cents: Ints
    country: Ints
    lat_e4: Ints
    lon_e4: Ints
    billing: Words
    shipping: Words
    id: Words
    tag: Ints

    def __len__(self) -> int:
        """Return the number of payments."""
        return len(self.time_ms)

    def take(self, places: Ints | Mask) -> "Payments":
        """Return the payments at some places, or those where a mask is true."""
        return Payments(**{name: getattr(self, name)[places] for name in _COLUMNS})

    def in_order(self) -> "Payments":
        """Return the payments by time, equal times by id."""
        return self.take(np.lexsort((self.id, self.time_ms)))


_COLUMNS = tuple(field.name for field in fields(Payments))
_WORDS = ("device", "billing", "shipping", "id")


def concatenate(parts: Sequence[Payments]) -> Payments:
    """Return all the payments of some parts, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        columns: dict[str, Any] = {name: np.zeros(0, np.uint64 if name in _WORDS else np.int64) for name in _COLUMNS}
        return Payments(**columns)
    return Payments(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS})
