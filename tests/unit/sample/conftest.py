"""One sample of a month, big enough for every scenario to occur several times."""

import pytest

from mitra.sample.columns import Payments, concatenate
from mitra.sample.generator import make_payments
from mitra.sample.world import World, make_world

START_MS = 1_740_960_000_000  # Monday, 2025-03-03


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(11, 4_000)


@pytest.fixture(scope="session")
def month(world: World) -> Payments:
    return concatenate(list(make_payments(world, days=30, start_ms=START_MS)))
