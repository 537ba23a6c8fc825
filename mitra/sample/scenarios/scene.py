"""What every scenario has in common: its shape, and the scene it draws an incident from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mitra.sample import categories
from mitra.sample.columns import Floats, Ints, Mask, Payments, Words
from mitra.sample.geography import CITY_COUNTRY
from mitra.sample.honest import degrees_e4, positions, to_cents
from mitra.sample.post import NOWHERE, Post
from mitra.sample.streams import Numbers
from mitra.sample.tags import TAG
from mitra.sample.world import World

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Scene:
    """What a scenario sees when an incident of its begins: the world and the honest payments of the moment.

    It draws from `rng`, its own stream, and numbers its payments and devices apart from everybody else's.
    `tempo` divides the waits of fraudsters: 1 in a sample, more where hours must pass in minutes.
    """

    name: str
    world: World
    honest: Payments
    end_ms: int
    rng: np.random.Generator
    payment_numbers: Numbers
    device_numbers: Numbers
    post: Post
    tempo: float = 1.0

    def moment_ms(self) -> int:
        """Draw the time at which an incident begins: about when people pay."""
        return int(self.honest.time_ms[self.rng.integers(len(self.honest))])

    def devices(self, count: int) -> Words:
        """Return devices that nobody has seen before."""
        return self.device_numbers.take(count)

    def drops(self, count: int, city: Ints | int) -> Words:
        """Return places in a city where somebody takes parcels in who lives elsewhere."""
        words = self.rng.integers(0, 1 << 63, count, dtype=np.uint64)
        return self.post.elsewhere(words, np.broadcast_to(np.asarray(city), count))

    def waits_ms(self, low_ms: float, high_ms: float, count: int) -> Ints:
        """Draw waits of fraudsters, in ms."""
        return (self.rng.uniform(low_ms, high_ms, count) / self.tempo).astype(np.int64)

    def customers(self, count: int) -> Ints:
        """Draw different customers by how often they pay (fewer, if there are not so many)."""
        activity = self.world.customers.activity
        drawn = np.searchsorted(activity, self.rng.random(count * 4 + 8), side="right")
        different = list(dict.fromkeys(np.minimum(drawn, len(activity) - 1).tolist()))
        return np.array(different[:count], dtype=np.int64)

    def web_terminal(self, kinds: Ints) -> int:
        """Draw a web shop's terminal that sells one of some categories, or any if there is none."""
        terminals = self.world.terminals
        places = np.flatnonzero(np.isin(terminals.category[terminals.street :], kinds)) + terminals.street
        if len(places) == 0:
            return int(self.rng.integers(terminals.street, len(terminals)))
        return int(places[self.rng.integers(len(places))])

    def log_typical(self, customer: Ints, terminal: Ints) -> Floats:
        """Return the log of what customers usually pay at terminals."""
        category = self.world.terminals.category[terminal]
        typical: Floats = self.world.customers.scale[customer] + categories.LOG_MEDIAN[category]
        return typical

    def payments(
        self, time_ms: Ints, customer: Ints, terminal: Ints, log_amount: Floats, device: Words, *,
        card: Ints | int = 0, city: Ints | None = None, drop: Words | None = None,
    ) -> Payments:  # fmt: skip
        """Return whole payments; online ones come from `city`, or from the customer's home where it is None or -1.

        Goods go to `drop`, else to where the card is billed.
        """
        people, count = self.world.customers, len(time_ms)
        away: Mask = np.zeros(count, dtype=np.bool_) if city is None else city >= 0
        place = people.city[customer] if city is None else np.where(away, city, people.city[customer])
        place = np.where(self.world.terminals.city[terminal] >= 0, self.world.terminals.city[terminal], place)
        lat, lon = positions(self.world, customer, terminal, place, away)
        billing = self.post.billing(time_ms, customer, terminal)
        shipping = np.where(self.post.ships(terminal), billing if drop is None else drop, NOWHERE)
        return Payments(
            time_ms=time_ms, customer=customer, card=np.minimum(card, people.cards[customer] - 1), terminal=terminal,
            device=device, cents=to_cents(log_amount), country=CITY_COUNTRY[place], lat_e4=degrees_e4(lat),
            lon_e4=degrees_e4(lon), billing=billing, shipping=shipping, id=self.payment_numbers.take(count), tag=np.full(count, TAG[self.name]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of incident, apart from all others: adding one changes nothing of theirs.

    `share`: payments granted to it for each honest one. `sizes`: payments of one incident, at least and at most.
    `draw(scene, size)` returns an incident of `size` payments, none before the scene's first honest payment.
    """

    name: str
    share: float
    sizes: tuple[int, int]
    draw: Callable[[Scene, int], Payments]
