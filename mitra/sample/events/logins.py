"""Logins before payments and for their own sake, mistyped passwords, forgotten ones, and cards put on new phones."""

import numpy as np

from mitra.sample.columns import NO_DEVICE, Ints, Payments, Words
from mitra.sample.events.columns import Events
from mitra.sample.events.piece import HOUR_MS, MINUTE_MS, Piece, first_phones
from mitra.sample.events.transfers import Transfers
from mitra.sample.streams import Numbers
from mitra.sample.tags import IS_FRAUD, TAG

_BEFORE_A_PAYMENT = 0.6
_TO_LOOK = 0.5  # so many more logins only to look at something
_MISTYPED = 0.08
_FORGOTTEN = 1 / 250  # a day: once or twice a year
_RESET_ON_A_NEW_PHONE = 0.25
_CARD_ON_A_NEW_PHONE = 0.5
_SENDS_FROM_A_NEW_PHONE = 0.4


class Logins:
    """Makes logins, password resets and card additions of honest people, and of rings that use many accounts."""

    def __init__(self, seed: str, transfers: Transfers) -> None:
        """Start numbering. Who has a new phone may send money from it."""
        self._transfers = transfers
        self._logins = Numbers(seed, "login")
        self._resets = Numbers(seed, "password reset")
        self._cards = Numbers(seed, "card addition")
        self._phones: set[int] = set()

    def make(self, piece: Piece) -> list[Events]:
        """Return what happens around the payments of a piece."""
        rng, payments = piece.rng, piece.payments
        online = payments.take((payments.device != NO_DEVICE) & ~np.array(IS_FRAUD)[payments.tag])
        before = online.take(rng.random(len(online)) < _BEFORE_A_PAYMENT)
        made = [self._from(before, before.time_ms - rng.integers(MINUTE_MS, 12 * MINUTE_MS, len(before)))]
        looking = online.take(rng.random(len(online)) < _TO_LOOK)
        around = looking.time_ms + rng.integers(-HOUR_MS + 1, 6 * HOUR_MS, len(looking))
        made.append(self._from(looking, around))
        ring = piece.of_tag(TAG["device_ring"])
        made.append(self._from(ring, ring.time_ms - rng.integers(MINUTE_MS, 10 * MINUTE_MS, len(ring))))
        made += self._mistyped(rng, made[0])
        made += self._forgotten(piece)
        return made + self._new_phones(piece) + self._ring_cards(ring)

    def login(
        self, time_ms: Ints, customer: Ints, device: Words, place: tuple[Ints, Ints, Ints], *, succeeds: bool = True
    ) -> Events:  # fmt: skip
        """Return logins at places (country, latitude, longitude)."""
        country, lat, lon = place
        return Events.of(
            "login", id=self._logins.take(len(time_ms)), time_ms=time_ms, customer=customer, device=device, country=country,
            lat_e4=lat, lon_e4=lon, succeeded=succeeds,
        )  # fmt: skip

    def reset(self, time_ms: Ints, customer: Ints, device: Words) -> Events:
        """Return password resets."""
        number = self._resets.take(len(time_ms))
        return Events.of("password_reset", id=number, time_ms=time_ms, customer=customer, device=device)

    def _card(self, time_ms: Ints, customer: Ints, card: Ints, device: Words) -> Events:
        number = self._cards.take(len(time_ms))
        return Events.of("card_addition", id=number, time_ms=time_ms, customer=customer, card=card, device=device)

    def _from(self, payments: Payments, time_ms: Ints) -> Events:
        place = payments.country, payments.lat_e4, payments.lon_e4
        return self.login(time_ms, payments.customer, payments.device, place)

    def _mistyped(self, rng: np.random.Generator, logins: Events) -> list[Events]:
        wrong = logins.take(rng.random(len(logins)) < _MISTYPED).columns
        time_ms = wrong["time_ms"] - rng.integers(5_000, 50_000, len(wrong["time_ms"]))
        place = wrong["country"], wrong["lat_e4"], wrong["lon_e4"]
        return [self.login(time_ms, wrong["customer"], wrong["device"], place, succeeds=False)]

    def _forgotten(self, piece: Piece) -> list[Events]:
        """Return what those do who have forgotten their password: two tries, a reset, and in."""
        rng = piece.rng
        customer = piece.customers(piece.count(_FORGOTTEN))
        count = len(customer)
        time_ms, device, home = piece.moments(count), first_phones(piece.world, customer), piece.home(customer)
        reset_ms = time_ms + rng.integers(MINUTE_MS, 3 * MINUTE_MS, count)
        return [
            self.login(time_ms, customer, device, home, succeeds=False),
            self.login(time_ms + rng.integers(10_000, 50_000, count), customer, device, home, succeeds=False),
            self.reset(reset_ms, customer, device),
            self.login(reset_ms + rng.integers(30_000, 3 * MINUTE_MS, count), customer, device, home),
        ]

    def _new_phones(self, piece: Piece) -> list[Events]:
        """Return what comes with a phone's first payment: a card put on it, and now and then a password nobody remembers."""
        rng, firsts = piece.rng, self._unseen(piece.of_tag(TAG["new_phone"]))
        login_ms = firsts.time_ms - rng.integers(20 * MINUTE_MS, 40 * MINUTE_MS, len(firsts))
        reset = rng.random(len(firsts)) < _RESET_ON_A_NEW_PHONE
        added = firsts.take(rng.random(len(firsts)) < _CARD_ON_A_NEW_PHONE)
        reset_ms = login_ms + rng.integers(MINUTE_MS, 6 * MINUTE_MS, len(firsts))
        sends = reset & (rng.random(len(firsts)) < _SENDS_FROM_A_NEW_PHONE)
        senders = firsts.customer[sends]
        sent_ms = reset_ms[sends] + rng.integers(MINUTE_MS, 15 * MINUTE_MS, len(senders))
        log_amount = np.log(40.0) + 0.7 * rng.standard_normal(len(senders))
        payee = self._transfers.friend(piece, senders)
        return [
            self._transfers.transfer(sent_ms, senders, payee, log_amount, firsts.device[sends], "new_phone"),
            self._from(firsts, login_ms),
            self.reset(reset_ms[reset], firsts.customer[reset], firsts.device[reset]),
            self._card(added.time_ms - rng.integers(MINUTE_MS, 15 * MINUTE_MS, len(added)), added.customer, added.card, added.device),
        ]  # fmt: skip

    def _ring_cards(self, ring: Payments) -> list[Events]:
        """Return the cards that a ring puts on its devices, each before it is used there first."""
        pairs = np.unique(np.stack([ring.device, ring.customer.astype(np.uint64)]), axis=1, return_index=True)[1]
        firsts = ring.take(np.sort(pairs))
        return [self._card(firsts.time_ms - MINUTE_MS // 2, firsts.customer, firsts.card, firsts.device)]

    def _unseen(self, payments: Payments) -> Payments:
        """Return the first payment of each phone that wasn't seen before."""
        _, places = np.unique(payments.device, return_index=True)
        places = np.sort(places)
        fresh = [place for place in places.tolist() if int(payments.device[place]) not in self._phones]
        self._phones.update(payments.device[fresh].tolist())
        return payments.take(np.array(fresh, dtype=np.int64))
