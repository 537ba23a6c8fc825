"""An honest look-alike of a burst: a day in town, with a payment every few minutes."""

import numpy as np

from mitra.sample.columns import Payments
from mitra.sample.scenarios.scene import MINUTE_MS, Scenario, Scene


def draw(scene: Scene, size: int) -> Payments:
    """Return `size` payments of one customer in the streets of the city they are in, minutes apart."""
    rng, honest, world = scene.rng, scene.honest, scene.world
    in_shops = np.flatnonzero(world.terminals.city[honest.terminal] >= 0)
    anchor = int(rng.choice(in_shops)) if len(in_shops) else int(rng.integers(len(honest)))
    customer = np.full(size, honest.customer[anchor])
    city = np.full(size, max(int(world.terminals.city[honest.terminal[anchor]]), 0))
    terminal = world.terminals.in_cities(rng.random(size), city)
    time_ms = honest.time_ms[anchor] + np.cumsum(rng.integers(4 * MINUTE_MS, 20 * MINUTE_MS, size))
    log_amount = scene.log_typical(customer, terminal) + rng.normal(0.0, 0.6, size)
    nothing = np.zeros(size, dtype=np.uint64)
    return scene.payments(time_ms, customer, terminal, log_amount, nothing, card=np.full(size, honest.card[anchor]))


SCENARIO = Scenario("shopping_spree", share=0.004, sizes=(5, 10), draw=draw)
