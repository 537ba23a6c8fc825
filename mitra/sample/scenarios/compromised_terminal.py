"""For some days a terminal takes copied cards: its fraud shows in the labels that come a week later."""

import numpy as np

from mitra.sample.columns import Payments
from mitra.sample.scenarios.scene import DAY_MS, HOUR_MS, Scenario, Scene

_LEAST_DAYS, _MOST_DAYS = 8, 19


def draw(scene: Scene, size: int) -> Payments:
    """Return `size` payments at one street terminal over one to three weeks, in its opening hours."""
    rng, world = scene.rng, scene.world
    start_ms = scene.moment_ms()
    # Crooks prefer a terminal with customers: the city and the terminal are drawn by how often they are used.
    in_shops = np.flatnonzero(world.terminals.city[scene.honest.terminal] >= 0)
    if len(in_shops):
        terminal = int(scene.honest.terminal[rng.choice(in_shops)])
    else:
        terminal = int(rng.integers(world.terminals.street))
    city = world.terminals.city[terminal]
    # The copied cards are of people who pay in that city.
    cards = np.unique(scene.honest.customer[world.terminals.city[scene.honest.terminal] == city])
    if len(cards) == 0:
        cards = scene.customers(size)
    days = rng.integers(_LEAST_DAYS, _MOST_DAYS)
    # Whole days after the first moment, give or take hours, so that the hour stays near the hour people pay at.
    wait_ms = rng.integers(0, days, size) * DAY_MS + np.abs(rng.normal(0, 2.0 * HOUR_MS, size))
    time_ms = start_ms + (wait_ms / scene.tempo).astype(np.int64)
    terminals = np.full(size, terminal)
    customer = cards[rng.integers(0, len(cards), size)]
    log_amount = scene.log_typical(customer, terminals) + rng.normal(0.6, 0.5, size)
    nothing = np.zeros(size, dtype=np.uint64)
    return scene.payments(np.sort(time_ms), customer, terminals, log_amount, nothing)


SCENARIO = Scenario("compromised_terminal", share=0.0009, sizes=(16, 40), draw=draw)
