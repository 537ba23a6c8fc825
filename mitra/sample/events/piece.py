"""What the makers of other events see: a stretch of time with its payments, and what is drawn from there."""

from dataclasses import dataclass

import numpy as np

from mitra.sample.columns import NO_DEVICE, Ints, Payments, Words
from mitra.sample.geography import CITY_COUNTRY
from mitra.sample.rhythm import DAY_MS
from mitra.sample.streams import Numbers
from mitra.sample.world import World

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
_PHONES_BITS = 12  # as habits.Phones numbers them: 0 is a customer's first phone

# Accounts that money goes to. A customer's own is their number.
OUTSIDE, MULES, BILLERS, LANDLORDS = 70_000_000, 80_000_000, 90_000_000, 95_000_000


@dataclass(frozen=True, slots=True)
class Piece:
    """The payments from `begin_ms` to `end_ms`, of a sample that starts at `start_ms`. `rng` is the maker's own stream."""

    world: World
    payments: Payments
    begin_ms: int
    end_ms: int
    start_ms: int
    rng: np.random.Generator

    @property
    def days(self) -> float:
        """The length in days."""
        return (self.end_ms - self.begin_ms) / DAY_MS

    def count(self, a_day_each: float, people: int | None = None) -> int:
        """Draw how often something happens that each of so many people (all customers) does so often a day."""
        return int(self.rng.poisson(a_day_each * (len(self.world.customers) if people is None else people) * self.days))

    def moments(self, count: int) -> Ints:
        """Draw times about when people pay, which have the rhythm of the day and the week."""
        if len(self.payments) == 0:
            return self.rng.integers(self.begin_ms, self.end_ms, count)
        around = self.payments.time_ms[self.rng.integers(0, len(self.payments), count)]
        times: Ints = np.clip(around + self.rng.integers(-HOUR_MS, HOUR_MS, count), self.begin_ms, self.end_ms - 1)
        return times

    def customers(self, count: int) -> Ints:
        """Draw customers by how often they pay."""
        activity = self.world.customers.activity
        drawn = np.searchsorted(activity, self.rng.random(count), side="right")
        return np.minimum(drawn, len(activity) - 1)

    def someone(self, count: int) -> Ints:
        """Draw customers, each as likely as the other."""
        return self.rng.integers(0, len(self.world.customers), count)

    def of_tag(self, place: int) -> Payments:
        """Return the online payments that bear a tag."""
        return self.payments.take((self.payments.tag == place) & (self.payments.device != NO_DEVICE))

    def home(self, customer: Ints) -> tuple[Ints, Ints, Ints]:
        """Return the country and the position, in degrees × 10,000, of customers' homes; those beyond the world live anywhere."""
        people = self.world.customers
        known = customer % len(people)
        lat, lon = np.round(people.lat[known], 2), np.round(people.lon[known], 2)
        return CITY_COUNTRY[people.city[known]], (lat * 10_000).astype(np.int64), (lon * 10_000).astype(np.int64)


def first_phones(world: World, customer: Ints) -> Words:
    """Return the first phone of each customer, as their payments know it."""
    return Numbers(world.seed, "own device").of(customer << _PHONES_BITS)
