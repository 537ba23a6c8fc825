"""Stolen card numbers are tried out: within minutes, many tiny payments in one web shop from one machine."""

import numpy as np

from mitra.sample import categories
from mitra.sample.columns import Payments
from mitra.sample.geography import CITIES
from mitra.sample.scenarios.scene import SECOND_MS, Scenario, Scene

_SHOPS = categories.numbers("digital_goods", "entertainment", "transport")
_TRIES_A_CARD = 3


def draw(scene: Scene, size: int) -> Payments:
    """Return `size` tests of about a third as many cards, seconds apart, of 0.50 to 4.50 each."""
    rng = scene.rng
    cards = scene.customers(max(2, size // _TRIES_A_CARD))
    # Each card is tried some times in a row; the list of cards is worked off from its first to its last.
    customer = np.sort(rng.integers(0, len(cards), size))
    time_ms = scene.moment_ms() + np.cumsum(rng.integers(3 * SECOND_MS, 25 * SECOND_MS, size))
    terminal = np.full(size, scene.web_terminal(_SHOPS))
    log_amount = np.log(rng.uniform(0.5, 4.5, size))
    city = np.full(size, rng.integers(len(CITIES)))
    device = np.repeat(scene.devices(1), size)
    return scene.payments(time_ms, cards[customer], terminal, log_amount, device, city=city)


SCENARIO = Scenario("card_testing_burst", share=0.0009, sizes=(9, 24), draw=draw)
