"""A few devices pay from many customers' accounts: a ring that cashes them out, one after the other."""

import numpy as np

from mitra.sample import categories
from mitra.sample.columns import Payments
from mitra.sample.scenarios.scene import HOUR_MS, Scenario, Scene

_SHOPS = categories.numbers("electronics", "fashion", "digital_goods", "home")
CUSTOMERS_A_DEVICE = 6


def draw(scene: Scene, size: int) -> Payments:
    """Return `size` purchases on a few devices shared by six customers each, over one to three days."""
    rng = scene.rng
    count = max(1, size // (2 * CUSTOMERS_A_DEVICE))
    devices = scene.devices(count)
    members = scene.customers(count * CUSTOMERS_A_DEVICE)
    # The members take turns, so each device is seen with its six customers before anyone comes again.
    turn = np.arange(size) % len(members)
    customer = members[turn]
    shops = np.array([scene.web_terminal(_SHOPS) for _ in range(3)])
    terminal = shops[rng.integers(0, len(shops), size)]
    home = scene.world.customers.city[members[0]]
    hours = rng.uniform(24, 72)
    time_ms = scene.moment_ms() + np.sort(scene.waits_ms(0, hours * HOUR_MS, size))
    log_amount = np.log(rng.uniform(60, 320, size))
    return scene.payments(time_ms, customer, terminal, log_amount, devices[turn % count], city=np.full(size, home))


SCENARIO = Scenario("device_ring", share=0.0009, sizes=(12, 36), draw=draw)
