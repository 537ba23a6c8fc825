"""Frauds across event types: accounts taken over, mules that collect, accounts that sleep and are woken by others."""

import numpy as np

from mitra.sample.columns import Ints
from mitra.sample.events.columns import Events
from mitra.sample.events.logins import Logins
from mitra.sample.events.piece import BILLERS, HOUR_MS, MINUTE_MS, MULES, OUTSIDE, Piece, first_phones
from mitra.sample.events.transfers import Transfers
from mitra.sample.geography import CITIES, CITY_COUNTRY, CITY_LAT, CITY_LON
from mitra.sample.rhythm import DAY_MS
from mitra.sample.streams import Numbers
from mitra.sample.tags import TAG

_TAKEOVERS = 1 / 2_000  # a customer and day, beside those whose takers pay in shops
_MULES = 1 / 5_000
_SLEEPERS = 0.04  # of so many accounts as there are customers, which pay nothing
SLEEP_DAYS = 30
_WAKINGS = 0.03  # a sleeper and day
_RETURNS = 0.02


class Incidents:
    """Makes the frauds, and the honest who come back after as long a time."""

    def __init__(self, seed: str, logins: Logins, transfers: Transfers) -> None:
        """Start numbering."""
        self._logins, self._transfers = logins, transfers
        self._devices = Numbers(seed, "stranger's device")
        self._seen: set[int] = set()
        self._mules = 0
        self._awake: set[int] = set()

    def make(self, piece: Piece) -> list[Events]:
        """Return the incidents that begin in a piece."""
        return [*self._takeovers(piece), *self._mule_accounts(piece), *self._sleepers(piece)]

    def _takeovers(self, piece: Piece) -> list[Events]:
        """Return, for takers who pay in shops and for those who only send money: tries, a login, a reset, a transfer."""
        rng, shopping = piece.rng, piece.of_tag(TAG["account_takeover"])
        made = []
        for device, customer, time_ms in zip(
            shopping.device.tolist(), shopping.customer.tolist(), shopping.time_ms.tolist(), strict=True
        ):
            if device not in self._seen:
                self._seen.add(device)
                login_ms = time_ms - int(rng.integers(20 * MINUTE_MS, 50 * MINUTE_MS))
                made += self._taken_over(piece, login_ms, customer, np.uint64(device), sends=rng.random() < 0.5)
        customers, times = piece.customers(piece.count(_TAKEOVERS)).tolist(), piece.moments(1 << 10).tolist()
        for customer, login_ms in zip(customers, times, strict=False):
            made += self._taken_over(piece, login_ms, customer, self._devices.take(1)[0], sends=True)
        return made

    def _taken_over(
        self, piece: Piece, login_ms: int, customer: int, device: np.uint64, *, sends: bool
    ) -> list[Events]:
        rng = piece.rng
        place = _anywhere(piece) if rng.random() < 0.5 else piece.home(np.array([customer]))
        one, devices = np.array([customer]), np.array([device])
        tries = int(rng.integers(0, 4))
        failed_ms = login_ms - np.sort(rng.integers(10_000, 4 * MINUTE_MS, tries))[::-1]
        reset_ms = login_ms + int(rng.integers(MINUTE_MS // 2, 6 * MINUTE_MS))
        made = [
            self._logins.login(failed_ms, np.full(tries, customer), np.full(tries, device), _repeated(place, tries), succeeds=False),
            self._logins.login(np.array([login_ms]), one, devices, place),
            self._logins.reset(np.array([reset_ms]), one, devices),
        ]  # fmt: skip
        if sends:
            count = int(rng.integers(1, 4))
            time_ms = reset_ms + np.cumsum(rng.integers(MINUTE_MS, 6 * MINUTE_MS, count))
            payee = OUTSIDE + rng.integers(0, 1_000_000, count)
            log_amount = np.log(rng.uniform(550.0, 4_000.0, count))
            made.append(
                self._transfers.transfer(
                    time_ms, np.full(count, customer), payee, log_amount, np.full(count, device), "account_takeover"
                )
            )
        return made

    def _mule_accounts(self, piece: Piece) -> list[Events]:
        """Return what goes to mules: within hours, sums of many who have never sent there before."""
        rng, made = piece.rng, []
        for begin_ms in piece.moments(piece.count(_MULES)).tolist():
            size = int(rng.integers(8, 21))
            customer = np.unique(piece.customers(size))
            count = len(customer)
            customer = rng.permutation(customer)
            time_ms = begin_ms + np.sort(rng.integers(0, 9 * HOUR_MS, count))
            log_amount = np.log(rng.uniform(250.0, 2_500.0, count))
            self._mules += 1
            payee = np.full(count, MULES + self._mules)
            # The victims are talked into it: they send from their own phones.
            devices = first_phones(piece.world, customer)
            made.append(self._transfers.transfer(time_ms, customer, payee, log_amount, devices, "mule_fan_in"))
        return made

    def _sleepers(self, piece: Piece) -> list[Events]:
        """Return the first and last signs of accounts that fall asleep, and what their thieves and owners do later."""
        rng, people = piece.rng, len(piece.world.customers)
        sleepers = people + np.arange(max(int(people * _SLEEPERS), 1))
        first_ms = piece.start_ms + (DAY_MS * 1.5 * ((sleepers * 37) % 101) / 101).astype(np.int64)
        now = sleepers[(first_ms >= piece.begin_ms) & (first_ms < piece.end_ms)]
        made = self._signs(piece, first_ms[now - people], now, "ordinary")
        if piece.begin_ms < piece.start_ms + (SLEEP_DAYS + 2) * DAY_MS:
            return made
        asleep = np.array([one for one in sleepers.tolist() if one not in self._awake], dtype=np.int64)
        drawn = rng.random(len(asleep)) / piece.days
        woken = asleep[drawn < _WAKINGS]
        returned = asleep[(drawn >= _WAKINGS) & (drawn < _WAKINGS + _RETURNS)]
        self._awake.update(woken.tolist() + returned.tolist())
        made += self._signs(piece, piece.moments(len(returned)), returned, "returned")
        for customer, time_ms in zip(woken.tolist(), piece.moments(len(woken)).tolist(), strict=True):
            made += self._emptied(piece, customer, time_ms)
        return made

    def _signs(self, piece: Piece, time_ms: Ints, customer: Ints, name: str) -> list[Events]:
        """Return a login and a bill paid, from the customers' own phones."""
        count = len(customer)
        devices = first_phones(piece.world, customer)
        payee = BILLERS + piece.rng.integers(0, 20, count)
        log_amount = np.log(piece.rng.uniform(20.0, 180.0, count))
        return [
            self._logins.login(time_ms, customer, devices, piece.home(customer)),
            self._transfers.transfer(time_ms + 4 * MINUTE_MS, customer, payee, log_amount, devices, name),
        ]

    def _emptied(self, piece: Piece, customer: int, time_ms: int) -> list[Events]:
        rng, count = piece.rng, int(piece.rng.integers(3, 7))
        device = self._devices.take(1)
        owner = np.array([customer])
        sent_ms = time_ms + np.cumsum(rng.integers(3 * MINUTE_MS, 25 * MINUTE_MS, count))
        log_amount = np.log(rng.uniform(300.0, 2_500.0, count))
        payee = OUTSIDE + rng.integers(0, 1_000_000, count)
        made = [self._logins.login(np.array([time_ms]), owner, device, _anywhere(piece))]
        if rng.random() < 0.5:
            made.append(self._logins.reset(np.array([time_ms + MINUTE_MS]), owner, device))
        everywhere = np.repeat(device, count)
        customers = np.full(count, customer)
        made.append(self._transfers.transfer(sent_ms, customers, payee, log_amount, everywhere, "dormant_awakened"))
        return made


def _anywhere(piece: Piece) -> tuple[Ints, Ints, Ints]:
    """Return the centre of some city."""
    city = piece.rng.integers(0, len(CITIES), 1)
    lat, lon = CITY_LAT[city], CITY_LON[city]
    return CITY_COUNTRY[city], (lat * 10_000).astype(np.int64), (lon * 10_000).astype(np.int64)


def _repeated(place: tuple[Ints, Ints, Ints], count: int) -> tuple[Ints, Ints, Ints]:
    country, lat, lon = place
    return np.repeat(country, count), np.repeat(lat, count), np.repeat(lon, count)
