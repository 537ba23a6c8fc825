"""Transfers of honest people: bills, friends, rent, collections among friends; and who comes back after a long time."""

import numpy as np

from mitra.sample.columns import Floats, Ints, Words
from mitra.sample.events.columns import Events
from mitra.sample.events.piece import BILLERS, HOUR_MS, LANDLORDS, Piece, first_phones
from mitra.sample.events.tags import TAG
from mitra.sample.rhythm import DAY_MS
from mitra.sample.streams import Numbers, as_uniform, mix

_A_DAY = 0.3
_TO_BILLERS, _TO_FRIENDS = 0.45, 0.45  # the others go anywhere among customers
_BILLERS = 40
_FRIENDS = 4
_COLLECTIONS = 1 / 3_000  # a day
_TENANTS = 0.4
_HOUSE = 10  # tenants of one landlord
_RENT_DAYS = 30
_PAY_WITHIN = 3


class Transfers:
    """Makes transfers; their ids are of the same kind as payments', for both are decided."""

    def __init__(self, seed: str) -> None:
        """Start numbering."""
        self._numbers = Numbers(seed, "transfer")

    def transfer(
        self, time_ms: Ints, customer: Ints, payee: Ints, log_amount: Floats, device: Words, name: str = "ordinary"
    ) -> Events:  # fmt: skip
        """Return transfers; `log_amount` is the log of the amount."""
        cents = np.clip(np.rint(np.exp(log_amount) * 100), 100, 5_000_000)
        return Events.of(
            "transfer", id=self._numbers.take(len(time_ms)), time_ms=time_ms, customer=customer, payee=payee,
            cents=cents, device=device, tag=TAG[name],
        )  # fmt: skip

    @staticmethod
    def friend(piece: Piece, customer: Ints) -> Ints:
        """Return a friend of each customer, one of always the same few."""
        which = (customer * 8 + piece.rng.integers(0, _FRIENDS, len(customer))).astype(np.uint64)
        friend: Ints = (mix(which) >> np.uint64(8)).astype(np.int64) % len(piece.world.customers)
        return friend

    def make(self, piece: Piece) -> list[Events]:
        """Return the honest transfers of a piece."""
        return [*self._ordinary(piece), self._rents(piece), *self._collections(piece)]

    def _ordinary(self, piece: Piece) -> list[Events]:
        rng, world = piece.rng, piece.world
        customer = piece.customers(piece.count(_A_DAY))
        count = len(customer)
        kind = rng.random(count)
        biller = BILLERS + (_BILLERS * rng.random(count) ** 2).astype(np.int64)
        bills, friends = kind < _TO_BILLERS, (kind >= _TO_BILLERS) & (kind < _TO_BILLERS + _TO_FRIENDS)
        payee = np.where(bills, biller, np.where(friends, self.friend(piece, customer), piece.someone(count)))
        log_amount = np.log(np.where(bills, 70.0, 35.0)) + 0.8 * rng.standard_normal(count)
        return [self.transfer(piece.moments(count), customer, payee, log_amount, first_phones(world, customer))]

    def _rents(self, piece: Piece) -> Events:
        """Return the rents of a piece: every thirty days each tenant pays the same, to a landlord that others pay too."""
        world = piece.world
        everybody = np.arange(len(world.customers))
        drawn = as_uniform(mix((everybody + 1).astype(np.uint64) * np.uint64(7919)))
        tenants = everybody[drawn < _TENANTS]
        house = tenants // _HOUSE
        month_ms = _RENT_DAYS * DAY_MS
        offset = ((as_uniform(mix(tenants.astype(np.uint64))) * _PAY_WITHIN) * DAY_MS).astype(np.int64)
        offset += (house % (_RENT_DAYS - _PAY_WITHIN)) * DAY_MS
        due_ms = piece.start_ms + (piece.begin_ms - piece.start_ms) // month_ms * month_ms + offset
        now = (due_ms >= piece.begin_ms) & (due_ms < piece.end_ms)
        log_amount = np.log(500.0 + 700.0 * as_uniform(mix(tenants[now].astype(np.uint64) + np.uint64(5))))
        devices = first_phones(world, tenants[now])
        return self.transfer(due_ms[now], tenants[now], LANDLORDS + house[now], log_amount, devices, "rent")

    def _collections(self, piece: Piece) -> list[Events]:
        """Return what friends give together: several send to one within two days."""
        rng = piece.rng
        made = []
        for begin_ms, host in zip(
            piece.moments(piece.count(_COLLECTIONS)).tolist(), piece.someone(1 << 10).tolist(), strict=False
        ):
            size = int(rng.integers(5, 13))
            customer = (host + 1 + rng.choice(40, size, replace=False)) % len(piece.world.customers)
            time_ms = begin_ms + np.sort(rng.integers(0, 48 * HOUR_MS, size))
            log_amount = np.log(rng.choice([10.0, 15.0, 20.0, 25.0, 30.0, 50.0, 100.0], size))
            payee = np.full(size, host)
            made.append(
                self.transfer(time_ms, customer, payee, log_amount, first_phones(piece.world, customer), "collection")
            )
        return made
