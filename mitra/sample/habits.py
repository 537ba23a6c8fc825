"""What honest customers do that looks like fraud: they travel, and they change their phones.

Each habit keeps the present state of every customer and moves it on a day at a time, from a stream of its own.
"""

import numpy as np

from mitra.sample.columns import Ints, Mask, Words
from mitra.sample.geography import CITIES, CITY_DISTANCE_KM, CITY_WEIGHT
from mitra.sample.rhythm import DAY_MS
from mitra.sample.streams import Numbers, stream
from mitra.sample.world import Customers

HOUR_MS = 3_600_000
_TRIP_CHANCE = 1 / 250  # a day: one or two trips a year
_LONGEST_TRIP_DAYS = 12
_FLIGHT_KMH = 700.0
_AIRPORT_MS = 2 * HOUR_MS
_PHONE_CHANCE = 1 / 600  # a day: a phone lasts about twenty months
NEW_PHONE_MS = 3 * DAY_MS
_PHONES_BITS = 12
_FIRST_DAY_PAST = -(1 << 60)


class Trips:
    """Where customers are: at home, on their way (no payments then), or in another city."""

    def __init__(self, seed: int, customers: Customers, day: int) -> None:
        """Start on a day (days since 1970) with the trips begun in the two weeks before it."""
        self._rng = stream(seed, "trips")
        self._home = customers.city
        count = len(customers)
        self._leaves = np.full(count, _FIRST_DAY_PAST)
        self._flight = np.zeros(count, dtype=np.int64)
        self._returns = np.full(count, _FIRST_DAY_PAST)
        self._city = customers.city.copy()
        for earlier in range(day - _LONGEST_TRIP_DAYS, day):
            self.begin_day(earlier)

    def begin_day(self, day: int) -> None:
        """Send customers who are at home on trips that start on this day."""
        rng = self._rng
        start_ms = day * DAY_MS
        chosen = np.flatnonzero(rng.random(len(self._home)) < _TRIP_CHANCE)
        chosen = chosen[self._returns[chosen] + self._flight[chosen] < start_ms]
        count = len(chosen)
        weight = CITY_WEIGHT + 3.0  # people travel to places where few live
        city = rng.choice(len(CITIES), count, p=weight / weight.sum())
        leaves = start_ms + rng.integers(5 * HOUR_MS, 20 * HOUR_MS, count)
        stay = rng.integers(2 * DAY_MS, (_LONGEST_TRIP_DAYS - 2) * DAY_MS, count)
        travels = CITY_DISTANCE_KM[self._home[chosen], city] > 150.0
        chosen, city, leaves, stay = chosen[travels], city[travels], leaves[travels], stay[travels]
        flight = (CITY_DISTANCE_KM[self._home[chosen], city] / _FLIGHT_KMH * HOUR_MS).astype(np.int64) + _AIRPORT_MS
        self._leaves[chosen], self._flight[chosen], self._city[chosen] = leaves, flight, city
        self._returns[chosen] = leaves + flight + stay

    def where(self, time_ms: Ints, customer: Ints) -> tuple[Ints, Mask, Mask]:
        """Return each customer's city at a time, whether they are away there, and whether they are on their way."""
        leaves, returns, flight = self._leaves[customer], self._returns[customer], self._flight[customer]
        on_trip = (time_ms >= leaves) & (time_ms < returns + flight)
        on_the_way = on_trip & ((time_ms < leaves + flight) | (time_ms >= returns))
        return np.where(on_trip, self._city[customer], self._home[customer]), on_trip, on_the_way


class Phones:
    """The devices customers pay with: a phone that is replaced now and then, perhaps a computer, a family's tablet."""

    def __init__(self, seed: int, customers: Customers) -> None:
        """Give every customer a first phone."""
        self._rng = stream(seed, "phones")
        self._customers = customers
        self._phone = np.zeros(len(customers), dtype=np.int64)
        self._since = np.full(len(customers), _FIRST_DAY_PAST)
        self._own = Numbers(seed, "own device")
        self._shared = Numbers(seed, "family device")

    def begin_day(self, day: int) -> None:
        """Give some customers a new phone at some hour of this day."""
        chosen = np.flatnonzero(self._rng.random(len(self._phone)) < _PHONE_CHANCE)
        self._phone[chosen] += 1
        self._since[chosen] = day * DAY_MS + self._rng.integers(8 * HOUR_MS, 22 * HOUR_MS, len(chosen))

    def device(self, rng: np.random.Generator, time_ms: Ints, customer: Ints) -> tuple[Words, Mask, Mask]:
        """Return the device of each payment, whether it is a phone in its first days, and whether it is a family's."""
        since = self._since[customer]
        phone = self._phone[customer] - (time_ms < since)
        drawn = rng.random(len(customer))
        computer = (self._customers.devices[customer] > 1) & (drawn < 0.35)
        family = self._customers.family[customer]
        shared = (family >= 0) & (drawn > 0.7)
        own = (customer << _PHONES_BITS) | np.where(computer, (1 << _PHONES_BITS) - 1, phone)
        device = np.where(shared, self._shared.of(np.maximum(family, 0)), self._own.of(own))
        fresh = ~shared & ~computer & (phone > 0) & (time_ms < since + NEW_PHONE_MS) & (time_ms >= since)
        return device, fresh, shared
