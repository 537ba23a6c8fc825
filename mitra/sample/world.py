"""Who pays and where: customers, families, merchants and terminals of one seed, fixed once made.

Terminals of the street come first, ordered by city; the terminals of web shops follow. Popularity within a city and
among the web shops is Zipf-like: the weight of the terminal of rank r is 1 / r^0.8.
"""

from dataclasses import dataclass

import numpy as np

from mitra.errors import MitraError
from mitra.sample import categories
from mitra.sample.columns import Floats, Ints, Mask
from mitra.sample.geography import CITIES, CITY_LAT, CITY_LON, CITY_WEIGHT
from mitra.sample.streams import Numbers, as_uniform, stream

MAX_CUSTOMERS = 2_000_000  # 150 bytes each
FAVOURITES = 6
_RANK_BITS = 5
_ZIPF = 0.8
_KM_A_DEGREE = 111.2


@dataclass(frozen=True, slots=True)
class Customers:
    """Customers side by side: home, habits and scale of spending.

    `scale`: log of how much dearer than the median they buy. `activity`: cumulated share of all payments.
    `family`: the family's number, -1 for none.
    """

    city: Ints
    lat: Floats
    lon: Floats
    scale: Floats
    activity: Floats
    owl: Mask
    online_share: Floats
    cards: Ints
    devices: Ints
    family: Ints
    joined_day: Ints

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.city)


@dataclass(frozen=True, slots=True)
class Terminals:
    """Terminals side by side. `city` is -1 for a web shop's. `popularity` is cumulated over all terminals."""

    merchant: Ints
    category: Ints
    city: Ints
    lat: Floats
    lon: Floats
    popularity: Floats
    street: int
    first_of_city: Ints

    def __len__(self) -> int:
        """Return the number of terminals."""
        return len(self.merchant)

    def in_cities(self, uniform: Floats, city: Ints) -> Ints:
        """Return a street terminal in each of some cities, drawn by popularity with numbers in 0 … 1."""
        return self._between(uniform, self.first_of_city[city], self.first_of_city[city + 1])

    def on_the_web(self, uniform: Floats) -> Ints:
        """Return web terminals, drawn by popularity with numbers in 0 … 1."""
        first = np.full(len(uniform), self.street)
        return self._between(uniform, first, np.full(len(uniform), len(self)))

    def _between(self, uniform: Floats, first: Ints, end: Ints) -> Ints:
        low = self.popularity[first]
        drawn = low + uniform * (self.popularity[end] - low)
        place = np.searchsorted(self.popularity, drawn, side="right") - 1
        return np.clip(place, first, end - 1)


@dataclass(frozen=True, slots=True)
class World:
    """The customers and terminals of one seed."""

    seed: int
    customers: Customers
    terminals: Terminals

    def favourites(self, customer: Ints, rank: Ints) -> Ints:
        """Return the street terminals at home that customers like best (rank 0), second best, and so on.

        Nothing is kept of them: a favourite is the nearest to home of three that are drawn by a hash of customer and
        rank, always the same three.
        """
        people, terminals = self.customers, self.terminals
        slot = (customer << _RANK_BITS) | rank << 2
        draws = [Numbers(self.seed, "favourite").of(slot | draw) for draw in range(3)]
        drawn = np.stack([terminals.in_cities(as_uniform(words), people.city[customer]) for words in draws])
        away = np.abs(terminals.lat[drawn] - people.lat[customer]) + np.abs(terminals.lon[drawn] - people.lon[customer])
        nearest: Ints = drawn[np.argmin(away, axis=0), np.arange(len(customer))]
        return nearest

    def web_favourites(self, customer: Ints, rank: Ints) -> Ints:
        """Return the web terminals that customers like best (rank 0), second best, and so on."""
        words = Numbers(self.seed, "web favourite").of((customer << _RANK_BITS) | rank << 2)
        return self.terminals.on_the_web(as_uniform(words))


def make_world(seed: int, customers: int) -> World:
    """Return the world of a seed with so many customers. Raises MitraError for a number out of bounds."""
    if not 1 <= customers <= MAX_CUSTOMERS:
        msg = f"customers={customers}: from 1 to {MAX_CUSTOMERS:,} customers can be made"
        raise MitraError(msg)
    terminals = _make_terminals(seed, customers)
    return World(seed, _make_customers(seed, customers), terminals)


def _around(rng: np.random.Generator, city: Ints, spread_km: float) -> tuple[Floats, Floats]:
    """Return positions around city centres, normally spread."""
    lat = CITY_LAT[city] + rng.standard_normal(len(city)) * spread_km / _KM_A_DEGREE
    lon = CITY_LON[city] + rng.standard_normal(len(city)) * spread_km / _KM_A_DEGREE / np.cos(np.radians(lat))
    return lat, lon


def _make_terminals(seed: int, customers: int) -> Terminals:
    rng = stream(seed, "terminals")
    # Every city has at least six street terminals, for its travellers.
    weight = np.maximum(CITY_WEIGHT, 1.0)
    per_city = np.maximum((customers * 0.25 * weight / weight.sum()).astype(np.int64), 6)
    street_city = np.repeat(np.arange(len(CITIES)), per_city)
    street = len(street_city)
    web = max(24, customers // 50)
    city = np.concatenate([street_city, np.full(web, -1)])
    count = street + web

    # A merchant's terminals lie side by side: each terminal opens a new merchant or belongs to the one before.
    opens = rng.random(count) < np.where(city >= 0, 0.6, 0.85)
    opens[0] = True
    opens[1:] |= city[1:] != city[:-1]
    merchant = np.cumsum(opens) - 1
    first = np.flatnonzero(opens)
    on_street = city[first] >= 0
    kinds = len(categories.CATEGORIES)
    street_kind = rng.choice(kinds, len(first), p=categories.shares(online=False))
    web_kind = rng.choice(kinds, len(first), p=categories.shares(online=True))
    category = np.where(on_street, street_kind, web_kind)
    lat, lon = _around(rng, np.maximum(city[first], 0), 5.0)

    group = np.where(city >= 0, city, len(CITIES))
    order = np.lexsort((rng.random(count), group))
    starts = np.searchsorted(group, np.arange(len(CITIES) + 1))
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(count) - starts[group[order]] + 1
    popularity = np.concatenate([[0.0], np.cumsum(rank**-_ZIPF)])
    first_of_city = np.append(starts, count).astype(np.int64)
    return Terminals(
        merchant=merchant, category=category[merchant], city=city, lat=lat[merchant], lon=lon[merchant],
        popularity=popularity, street=street, first_of_city=first_of_city,
    )  # fmt: skip


def _make_customers(seed: int, count: int) -> Customers:
    rng = stream(seed, "customers")
    city = rng.choice(len(CITIES), count, p=CITY_WEIGHT / CITY_WEIGHT.sum())
    lat, lon = _around(rng, city, 6.0)
    head, family = _households(rng, count)
    city, lat, lon = city[head], lat[head], lon[head]

    activity = np.cumsum(np.exp(0.7 * rng.standard_normal(count)))
    joins_later = rng.random(count) < 0.15
    return Customers(
        city=city, lat=lat, lon=lon,
        scale=0.45 * rng.standard_normal(count),
        activity=activity / activity[-1],
        owl=rng.random(count) < 0.06,
        online_share=rng.beta(2.0, 3.0, count),
        cards=1 + (rng.random(count) < 0.3).astype(np.int64),
        devices=1 + (rng.random(count) < 0.45).astype(np.int64),
        family=family,
        joined_day=np.where(joins_later, rng.exponential(30.0, count).astype(np.int64), 0),
    )  # fmt: skip


def _households(rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
    """Return the first member of each customer's household and the family's number, -1 for those who live alone.

    The members of a household are neighbours in number; a fifth of all customers live in families of two to five.
    """
    household = np.repeat(np.arange(count), rng.choice([1, 2, 3, 4, 5], count, p=[0.92, 0.02, 0.025, 0.025, 0.01]))
    household = household[:count]
    size = np.bincount(household, minlength=count)[household]
    return np.searchsorted(household, household), np.where(size > 1, household, -1)
