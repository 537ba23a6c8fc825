"""Where goods are sent: homes, the moves between them, and gifts. Everything follows from numbers; nothing is kept.

A place is a number: 0 is none; the low six bits are its city, bit 63 is set for a place that is nobody's home.
A household moves every seven years, somewhere in its city. Goods go to the new home from that day on, while the card is
still billed to the old one for some weeks.
"""

import numpy as np

from mitra.sample import categories
from mitra.sample.columns import ORDINARY, Floats, Ints, Mask, Words
from mitra.sample.rhythm import DAY_MS
from mitra.sample.streams import Numbers, as_uniform, mix
from mitra.sample.tags import TAG
from mitra.sample.world import World

NOWHERE = np.uint64(0)
CITY_BITS = 6
_SHIPPED = categories.numbers("groceries", "pharmacy", "fashion", "home", "electronics", "jewellery")
_GIVEN = categories.numbers("fashion", "home", "electronics", "jewellery")
_GIFT_SHARE = 0.04
_FRIENDS_BITS = 2
_STAY_DAYS = 2_555
_LEAST_LAG_DAYS, _MOST_LAG_DAYS = 10, 60  # until the bank knows the new home
_HOME, _NOT_HOME = np.uint64(1 << 62), np.uint64(1 << 63)
_GIFT_SALT = np.uint64(0x67696674)  # "gift": apart from any other use of the number


class Post:
    """The places of one world's payments."""

    def __init__(self, world: World) -> None:
        """Say who lives together."""
        self._world = world
        people = world.customers
        alone = np.arange(len(people)) + len(people)
        self._household = np.where(people.family >= 0, people.family, alone)
        self._moves = Numbers(world.seed, "move")
        self._friends = Numbers(world.seed, "friend")

    def ships(self, terminal: Ints) -> Mask:
        """Return which terminals are of web shops that send goods."""
        terminals = self._world.terminals
        return (terminal >= terminals.street) & np.isin(terminals.category[terminal], _SHIPPED)

    def billing(self, time_ms: Ints, customer: Ints, terminal: Ints) -> Words:
        """Return where the card is billed to, as web shops ask for it; in the street nobody does."""
        home, since, lag = self._home(time_ms, customer)
        online = terminal >= self._world.terminals.street
        return np.where(online, self._place(customer, home - (since < lag)), NOWHERE)

    def shipping(self, time_ms: Ints, customer: Ints, terminal: Ints, number: Words, tag: Ints) -> tuple[Words, Ints]:
        """Return where honest goods are sent, and the payments' tags: ordinary ones may be gifts, or of the newly moved."""
        ships = self.ships(terminal)
        home, since, lag = self._home(time_ms, customer)
        ordinary = ships & (tag == ORDINARY)
        given = ordinary & np.isin(self._world.terminals.category[terminal], _GIVEN)
        words = mix(number ^ _GIFT_SALT)
        given &= as_uniform(words) < _GIFT_SHARE
        of_friend = (customer << _FRIENDS_BITS) | (words & np.uint64(3)).astype(np.int64)
        friend = (as_uniform(self._friends.of(of_friend)) * len(self._world.customers)).astype(np.int64)
        moved = ordinary & ~given & (since < lag)
        receiver = np.where(given, friend, customer)
        places = self._place(receiver, np.where(given, self._home(time_ms, receiver)[0], home))
        tag = np.where(given, TAG["gift"], np.where(moved, TAG["moved"], tag))
        return np.where(ships, places, NOWHERE), tag

    def elsewhere(self, words: Words, city: Ints) -> Words:
        """Return places in some cities that are nobody's home, one for each number."""
        low = np.uint64((1 << CITY_BITS) - 1)
        return (words & ~low) | city.astype(np.uint64) | _NOT_HOME

    def _home(self, time_ms: Ints, customer: Ints) -> tuple[Ints, Ints, Ints]:
        """Return the number of the home a household lives in, for how many days, and for how many the bank lags."""
        words = self._moves.of(self._household[customer])
        days = time_ms // DAY_MS + (as_uniform(words) * _STAY_DAYS).astype(np.int64)
        spread: Floats = as_uniform(mix(words)) * (_MOST_LAG_DAYS - _LEAST_LAG_DAYS)
        return days // _STAY_DAYS, days % _STAY_DAYS, _LEAST_LAG_DAYS + spread.astype(np.int64)

    def _place(self, customer: Ints, home: Ints) -> Words:
        homes = ((self._household[customer] << 8) | (home & 0xFF)).astype(np.uint64) << np.uint64(CITY_BITS)
        return homes | self._world.customers.city[customer].astype(np.uint64) | _HOME
