"""Stolen cards buy goods that are sent to people who pass them on: other cards, other devices, the same few doors."""

import numpy as np

from mitra.sample import categories
from mitra.sample.columns import Payments
from mitra.sample.geography import CITIES
from mitra.sample.scenarios.scene import HOUR_MS, Scenario, Scene

_SHOPS = categories.numbers("electronics", "fashion", "jewellery", "home")


def draw(scene: Scene, size: int) -> Payments:
    """Return `size` purchases with as many cards, over one to four days, sent to one to three addresses of one city."""
    rng = scene.rng
    cards = scene.customers(size)
    customer = cards[np.arange(size) % len(cards)]
    doors = scene.drops(int(rng.integers(1, 4)), rng.integers(len(CITIES)))
    terminal = np.array([scene.web_terminal(_SHOPS) for _ in range(size)])
    hours = rng.uniform(24, 96)
    time_ms = scene.moment_ms() + np.sort(scene.waits_ms(0, hours * HOUR_MS, size))
    log_amount = scene.log_typical(customer, terminal) + np.log(rng.uniform(1.2, 3.5, size))
    # Each card has a machine of its own, and a connection in its owner's city.
    return scene.payments(
        time_ms, customer, terminal, log_amount, scene.devices(size), drop=doors[rng.integers(0, len(doors), size)]
    )


SCENARIO = Scenario("reshipping", share=0.00049, sizes=(5, 12), draw=draw)
