"""Honest payments: who pays when, where and how much, in the rhythm of the day and the week, and where goods go.

Candidates are drawn at the pace of the busiest hour and thinned by the rhythm (Lewis and Shedler, 1979), so any
stretch of time can be asked for, one after the other.
"""

import numpy as np

from mitra.sample import categories
from mitra.sample.columns import NO_DEVICE, Floats, Ints, Mask, Payments
from mitra.sample.geography import CITY_COUNTRY, CITY_LAT, CITY_LON, CITY_OFFSET_MS
from mitra.sample.habits import Phones, Trips
from mitra.sample.post import Post
from mitra.sample.rhythm import DAY_MS, RHYTHM, quarter_of_week
from mitra.sample.streams import Numbers, stream
from mitra.sample.tags import TAG
from mitra.sample.world import FAVOURITES, World

PAYMENTS_A_DAY = 2.0  # of one customer, on average
_BIG_SHARE = 0.003
_BIG_CATEGORIES = categories.numbers("electronics", "travel", "jewellery", "home")
_LEAST_GAP_MS = 180_000  # nobody pays at two places within three minutes
_CANDIDATES_A_DAY = PAYMENTS_A_DAY / float(0.6 * RHYTHM[0].mean() + 0.4 * RHYTHM[1].mean())


class Honest:
    """The honest payments of a world from one day on."""

    def __init__(self, world: World, start_ms: int, *, sleepless: bool = False) -> None:
        """Start at a time. `sleepless`: everybody is a customer from the start, and the nights are half as quiet.

        That is for a stream whose pace is fixed: at night it would otherwise come from very few people.
        """
        self._world = world
        self._rng = stream(world.seed, "honest")
        self._numbers = Numbers(f"{world.seed} {start_ms}", "honest payment")
        self._day = start_ms // DAY_MS
        self._trips = Trips(world.seed, world.customers, self._day)
        self._phones = Phones(world.seed, world.customers)
        self._post = Post(world)
        self._joined_ms = start_ms - start_ms % DAY_MS + world.customers.joined_day * DAY_MS
        self._rhythm = RHYTHM
        if sleepless:
            self._joined_ms[:] = start_ms - DAY_MS
            self._rhythm = np.sqrt(RHYTHM)
        self._begun = self._day - 1

    def at_their_pace(self, start_ms: int, end_ms: int) -> Payments:
        """Return the payments in [start_ms, end_ms), as many as the rhythm makes."""
        self._begin_days(end_ms)
        expected = len(self._world.customers) * _CANDIDATES_A_DAY * (end_ms - start_ms) / DAY_MS
        time_ms = np.sort(self._rng.integers(start_ms, end_ms, self._rng.poisson(expected)))
        customer, online, city, away, accepted = self._candidates(time_ms)
        chosen = np.flatnonzero(accepted)
        return self._fill(time_ms[chosen], customer[chosen], online[chosen], city[chosen], away[chosen])

    def at_times(self, time_ms: Ints) -> Payments:
        """Return a payment for each of the times, in order: the rhythm chooses only who pays."""
        self._begin_days(int(time_ms[-1]) + 1)
        columns = self._candidates(time_ms)
        missing = np.flatnonzero(~columns[4])
        while len(missing):
            again = self._candidates(time_ms[missing])
            for column, drawn in zip(columns, again, strict=True):
                column[missing] = drawn
            missing = missing[~again[4]]
        return self._fill(time_ms, *columns[:4])

    def _begin_days(self, end_ms: int) -> None:
        last = (end_ms - 1) // DAY_MS
        for day in range(self._begun + 1, last + 1):
            self._trips.begin_day(day)
            self._phones.begin_day(day)
        self._begun = max(last, self._begun)

    def _candidates(self, time_ms: Ints) -> tuple[Ints, Mask, Ints, Mask, Mask]:
        """Draw who might pay at each time: customer, online, city, away from home, and whether they do pay."""
        rng, customers = self._rng, self._world.customers
        count = len(time_ms)
        customer = np.searchsorted(customers.activity, rng.random(count), side="right")
        customer = np.minimum(customer, len(customers) - 1)
        online = rng.random(count) < customers.online_share[customer]
        city, away, on_the_way = self._trips.where(time_ms, customer)
        quarter = quarter_of_week(time_ms + CITY_OFFSET_MS[city])
        pace = self._rhythm[2 * customers.owl[customer] + online, quarter]
        accepted = (rng.random(count) < pace) & ~on_the_way & (time_ms >= self._joined_ms[customer])
        return customer, online, city, away, accepted

    def _fill(self, time_ms: Ints, customer: Ints, online: Mask, city: Ints, away: Mask) -> Payments:
        """Return whole payments: terminal, device, amount and position for each candidate that pays."""
        rng, people, terminals = self._rng, self._world.customers, self._world.terminals
        count = len(time_ms)
        # Half of the favourite visits go to the first two favourites, a fifth of all visits anywhere in the city.
        favourite = (FAVOURITES * rng.random(count) ** 2).astype(np.int64)
        wanders, drawn = rng.random(count) < 0.2, rng.random(count)
        terminal = np.empty(count, dtype=np.int64)
        surfs, roams = np.flatnonzero(online & wanders), np.flatnonzero(~online & (wanders | away))
        usual_web, usual = np.flatnonzero(online & ~wanders), np.flatnonzero(~online & ~wanders & ~away)
        terminal[surfs] = terminals.on_the_web(drawn[surfs])
        terminal[roams] = terminals.in_cities(drawn[roams], city[roams])
        terminal[usual_web] = self._world.web_favourites(customer[usual_web], favourite[usual_web])
        terminal[usual] = self._world.favourites(customer[usual], favourite[usual])

        tag = np.where(away, TAG["traveller"], 0)
        device, fresh, shared = self._phones.device(rng, time_ms, customer)
        device = np.where(online, device, NO_DEVICE)
        tag[online & fresh] = TAG["new_phone"]
        tag[online & shared] = TAG["family_device"]

        category = terminals.category[terminal]
        big = np.flatnonzero((rng.random(count) < _BIG_SHARE * 4) & np.isin(category, _BIG_CATEGORIES))
        tag[big] = TAG["big_purchase"]
        log_amount = people.scale[customer] + categories.LOG_MEDIAN[category]
        log_amount += categories.SPREAD[category] * rng.standard_normal(count)
        log_amount[big] = np.maximum(
            log_amount[big], people.scale[customer[big]] + categories.LOG_MEDIAN[category[big]]
        )
        log_amount[big] += np.log(rng.uniform(4.0, 12.0, len(big)))
        card = np.where(rng.random(count) < 0.25, people.cards[customer] - 1, 0)
        lat, lon = positions(self._world, customer, terminal, city, away)
        number = self._numbers.take(count)
        shipping, tag = self._post.shipping(time_ms, customer, terminal, number, tag)
        payments = Payments(
            time_ms=time_ms, customer=customer, card=card, terminal=terminal, device=device, cents=to_cents(log_amount),
            country=CITY_COUNTRY[city], lat_e4=degrees_e4(lat), lon_e4=degrees_e4(lon),
            billing=self._post.billing(time_ms, customer, terminal), shipping=shipping, id=number, tag=tag,
        )  # fmt: skip
        return payments.take(_unhurried(payments))


def to_cents(log_amount: Floats) -> Ints:
    """Return amounts in cents, from 0.50 to 25,000, from their logarithms."""
    cents: Ints = np.clip(np.rint(np.exp(log_amount) * 100), 50, 2_500_000).astype(np.int64)
    return cents


def degrees_e4(degrees: Floats) -> Ints:
    """Return degrees × 10,000 as whole numbers: about 10 m."""
    scaled: Ints = np.rint(degrees * 10_000).astype(np.int64)
    return scaled


def positions(world: World, customer: Ints, terminal: Ints, city: Ints, away: Mask) -> tuple[Floats, Floats]:
    """Return where payments are made: at a street terminal, or online where the payer's connection is placed.

    Online that is the customer's home to about a kilometre, as by its address on the net, or the centre of the city
    they are in.
    """
    people, terminals = world.customers, world.terminals
    lat = np.where(away, CITY_LAT[city], np.round(people.lat[customer], 2))
    lon = np.where(away, CITY_LON[city], np.round(people.lon[customer], 2))
    street = terminals.city[terminal] >= 0
    return np.where(street, terminals.lat[terminal], lat), np.where(street, terminals.lon[terminal], lon)


def _unhurried(payments: Payments) -> Mask:
    """Return a mask without the payments that follow the customer's one before at another place too soon."""
    order = np.lexsort((payments.time_ms, payments.customer))
    customer, time_ms = payments.customer[order], payments.time_ms[order]
    lat, lon = payments.lat_e4[order], payments.lon_e4[order]
    hurried = np.zeros(len(order), dtype=np.bool_)
    hurried[1:] = (
        (customer[1:] == customer[:-1])
        & (time_ms[1:] - time_ms[:-1] < _LEAST_GAP_MS)
        & ((lat[1:] != lat[:-1]) | (lon[1:] != lon[:-1]))
    )
    keep = np.ones(len(order), dtype=np.bool_)
    keep[order[hurried]] = False
    return keep
