"""A copied card is used far away, soon after its owner paid with it in a shop at home."""

import numpy as np

from mitra.sample.columns import Payments
from mitra.sample.geography import CITY_LAT, CITY_LON, distance_km
from mitra.sample.scenarios.scene import MINUTE_MS, Scenario, Scene

_FAR_KM = 1_500.0
_SOONEST_MS, _LATEST_MS = 12 * MINUTE_MS, 60 * MINUTE_MS  # so at least 1,500 km/h


def draw(scene: Scene, size: int) -> Payments:
    """Return `size` payments in a city at least 1,500 km away, the first within the hour, the others soon after it."""
    rng, honest, world = scene.rng, scene.honest, scene.world
    in_shops = np.flatnonzero(world.terminals.city[honest.terminal] >= 0)
    anchor = int(rng.choice(in_shops)) if len(in_shops) else int(rng.integers(len(honest)))
    lat, lon = honest.lat_e4[anchor] / 10_000, honest.lon_e4[anchor] / 10_000
    far = np.flatnonzero(distance_km(CITY_LAT, CITY_LON, lat, lon) > _FAR_KM)
    city = np.full(size, far[rng.integers(len(far))])
    waits = scene.waits_ms(_SOONEST_MS, _LATEST_MS, 1)[0] + np.cumsum(scene.waits_ms(0, 25 * MINUTE_MS, size))
    customer = np.full(size, honest.customer[anchor])
    terminal = world.terminals.in_cities(rng.random(size), city)
    log_amount = scene.log_typical(customer, terminal) + rng.normal(0.5, 0.6, size)
    nothing = np.zeros(size, dtype=np.uint64)
    return scene.payments(
        honest.time_ms[anchor] + waits, customer, terminal, log_amount, nothing, card=np.full(size, honest.card[anchor])
    )


SCENARIO = Scenario("impossible_travel", share=0.0009, sizes=(1, 4), draw=draw)
