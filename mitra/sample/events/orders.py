"""Orders from shops around the corner: created, picked up by a courier, delivered; or cancelled, or never seen again."""

import numpy as np

from mitra.sample.columns import Ints, Mask
from mitra.sample.events.columns import Events, Kind
from mitra.sample.events.piece import MINUTE_MS, Piece
from mitra.sample.rhythm import DAY_MS
from mitra.sample.streams import Numbers

_A_DAY = 0.12
_CANCELLED = 0.04
_LATE = 0.015  # honest, and later than most
_LOST = 0.0005
_CROOKED = 25  # one courier in so many keeps some of what they carry
_KEEPS = 0.3


class Orders:
    """Makes orders. A crooked courier keeps a part of what they pick up from the third day on."""

    def __init__(self, seed: str) -> None:
        """Start numbering."""
        self._numbers = Numbers(seed, "order")

    def make(self, piece: Piece) -> list[Events]:
        """Return all that happens to the orders that are created in a piece."""
        rng, people = piece.rng, len(piece.world.customers)
        customer = piece.customers(piece.count(_A_DAY))
        count = len(customer)
        order = self._numbers.take(count)
        created_ms = piece.moments(count)
        store = (customer * 31 + rng.integers(0, 4, count)) % max(people // 50, 4)
        courier = rng.integers(0, max(people // 40, _CROOKED), count)
        picked_ms = created_ms + (MINUTE_MS * (3.0 + rng.gamma(3.0, 3.0, count))).astype(np.int64)
        took_ms = (MINUTE_MS * np.minimum(6.0 + rng.gamma(4.0, 3.0, count), 43.0)).astype(np.int64)
        late = rng.random(count) < _LATE
        took_ms = np.where(late, rng.integers(46 * MINUTE_MS, 95 * MINUTE_MS, count), took_ms)
        cancelled = rng.random(count) < _CANCELLED
        crooked = (courier % _CROOKED == _CROOKED - 1) & (created_ms >= piece.start_ms + 2 * DAY_MS)
        kept = (crooked & (rng.random(count) < _KEEPS)) | (rng.random(count) < _LOST)
        cents = np.rint(100 * np.exp(np.log(24.0) + 0.5 * rng.standard_normal(count)))
        given_up_ms = created_ms + rng.integers(MINUTE_MS, 20 * MINUTE_MS, count)

        columns = {"id": order, "customer": customer, "store": store, "courier": courier, "cents": cents}

        def some(kind: Kind, chosen: Mask, time_ms: Ints) -> Events:
            return Events.of(
                kind, time_ms=time_ms[chosen], **{name: column[chosen] for name, column in columns.items()}
            )

        return [
            some("order_created", np.ones(count, np.bool_), created_ms),
            some("order_picked", ~cancelled, picked_ms),
            some("order_delivered", ~cancelled & ~kept, picked_ms + took_ms),
            some("order_cancelled", cancelled, given_up_ms),
        ]
