"""Somebody else has the password: a device never seen, and within hours several purchases that are easily resold."""

import numpy as np

from mitra.sample import categories
from mitra.sample.columns import Payments
from mitra.sample.geography import CITIES
from mitra.sample.scenarios.scene import MINUTE_MS, Scenario, Scene

_SHOPS = categories.numbers("electronics", "jewellery", "digital_goods", "travel")
_BY_PROXY = 0.5  # so many come through a connection in the customer's own city


def draw(scene: Scene, size: int) -> Payments:
    """Return `size` purchases of one customer on a new device, each several times what they usually pay."""
    rng = scene.rng
    customer = np.repeat(scene.customers(1), size)
    city = np.full(size, -1 if rng.random() < _BY_PROXY else rng.integers(len(CITIES)))
    terminal = np.array([scene.web_terminal(_SHOPS) for _ in range(size)])
    time_ms = scene.moment_ms() + np.cumsum(scene.waits_ms(2 * MINUTE_MS, 40 * MINUTE_MS, size))
    log_amount = scene.log_typical(customer, terminal) + np.log(rng.uniform(2.5, 7.0, size))
    device = np.repeat(scene.devices(1), size)
    drop = np.repeat(scene.drops(1, rng.integers(len(CITIES))), size)
    return scene.payments(time_ms, customer, terminal, log_amount, device, card=1, city=city, drop=drop)


SCENARIO = Scenario("account_takeover", share=0.0009, sizes=(3, 8), draw=draw)
