"""All other events of a sample as a stream beside its payments, in the order of time."""

from collections.abc import Iterator
from typing import Protocol

from mitra.sample.columns import Payments
from mitra.sample.events.columns import KINDS, Events, Kind, together
from mitra.sample.events.incidents import Incidents
from mitra.sample.events.logins import Logins
from mitra.sample.events.orders import Orders
from mitra.sample.events.piece import HOUR_MS, Piece
from mitra.sample.events.transfers import Transfers
from mitra.sample.streams import stream
from mitra.sample.world import World

_REACHES_BACK_MS = HOUR_MS
"""So far before a payment lies what leads to it: later events are held until nothing can come before them any more."""


class _Maker(Protocol):
    """Makes some of the events of a piece."""

    def make(self, piece: Piece) -> list[Events]:
        """Return them."""


class Life:
    """Makes the other events of one world, piece by piece as its payments are made."""

    def __init__(self, world: World, start_ms: int) -> None:
        """Begin at a time."""
        seed = f"{world.seed} {start_ms}"
        transfers = Transfers(seed)
        logins = Logins(seed, transfers)
        self._world = world
        self._start_ms = self._begin_ms = start_ms
        makers: dict[str, _Maker] = {
            "logins": logins,
            "transfers": transfers,
            "orders": Orders(seed),
            "incidents": Incidents(seed, logins, transfers),
        }
        self._makers = [(maker, stream(world.seed, f"events {name}")) for name, maker in makers.items()]
        self._held = {kind: together(kind, []) for kind in KINDS}

    def beside(self, payments: Payments, end_ms: int) -> dict[Kind, Events]:
        """Return, by type, the events up to an hour before `end_ms`, to where `payments` reach from the last call's end."""
        made = [
            event
            for maker, rng in self._makers
            for event in maker.make(Piece(self._world, payments, self._begin_ms, end_ms, self._start_ms, rng))
        ]
        self._begin_ms = end_ms
        for kind in KINDS:
            self._held[kind] = together(kind, [self._held[kind], *made])
        return dict(self._released(end_ms - _REACHES_BACK_MS))

    def rest(self, end_ms: int) -> dict[Kind, Events]:
        """Return what is held of the time before `end_ms`: the sample's end."""
        return dict(self._released(end_ms))

    def _released(self, until_ms: int) -> Iterator[tuple[Kind, Events]]:
        for kind, held in self._held.items():
            now = held.columns["time_ms"] < until_ms
            self._held[kind] = held.take(~now)
            yield kind, held.take(now & (held.columns["time_ms"] >= self._start_ms)).in_order()
