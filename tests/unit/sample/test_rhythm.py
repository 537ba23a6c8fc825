"""People pay when people pay: by day, at week's end, often at the same places; labels come late."""

import numpy as np

from mitra.sample import tags
from mitra.sample.columns import Payments
from mitra.sample.geography import CITY_OFFSET_MS
from mitra.sample.labels import known_at_ms
from mitra.sample.rhythm import RHYTHM, quarter_of_week
from mitra.sample.world import World

DAY_MS = 86_400_000
START_MS = 1_740_960_000_000


def _local_hour(month: Payments, world: World) -> np.ndarray:
    return (month.time_ms + CITY_OFFSET_MS[world.customers.city[month.customer]]) // 3_600_000 % 24


def test_the_rhythm_s_values_are_shares_of_the_busiest_hour() -> None:
    assert RHYTHM.shape == (4, 672)
    assert 0 < RHYTHM.min() < RHYTHM.max() <= 1
    assert quarter_of_week(np.array([START_MS, START_MS + DAY_MS - 1])).tolist() == [0, 95]


def test_few_pay_at_night_but_the_night_owls(month: Payments, world: World) -> None:
    night = _local_hour(month, world) < 6
    owl = world.customers.owl[month.customer]
    assert 0.01 < night[~owl].mean() < 0.06
    assert 0.2 < night[owl].mean() < 0.5
    assert 0.02 < owl.mean() < 0.12


def test_shops_are_busiest_on_friday_and_quietest_on_sunday(month: Payments, world: World) -> None:
    in_shops = world.terminals.city[month.terminal] >= 0
    month = month.take(in_shops & (month.time_ms < START_MS + 28 * DAY_MS))
    weekday = np.bincount((month.time_ms - START_MS) // DAY_MS % 7, minlength=7)
    assert weekday.argmin() == 6
    assert weekday.argmax() in {4, 5}


def test_popularity_is_skewed_as_in_life(month: Payments, world: World) -> None:
    by_terminal = np.sort(np.bincount(month.terminal, minlength=len(world.terminals)))[::-1]
    top_tenth = by_terminal[: len(by_terminal) // 10].sum() / len(month)
    assert 0.3 < top_tenth < 0.8
    by_customer = np.sort(np.bincount(month.customer, minlength=len(world.customers)))[::-1]
    assert 0.2 < by_customer[: len(by_customer) // 10].sum() / len(month) < 0.5


def test_customers_pay_about_twice_a_day(month: Payments, world: World) -> None:
    assert 1.4 < len(month) / 30 / len(world.customers) < 2.4


def test_some_customers_come_only_later(month: Payments, world: World) -> None:
    late = world.customers.joined_day[month.customer] * DAY_MS + START_MS
    honest = month.tag < tags.TAG["shopping_spree"]
    assert (month.time_ms[honest] >= late[honest]).all()
    assert (world.customers.joined_day > 0).mean() > 0.1


def test_a_fraud_is_known_in_days_and_silence_means_legit_after_a_week(month: Payments) -> None:
    waits = known_at_ms(month) - month.time_ms
    fraud = np.array(tags.IS_FRAUD)[month.tag]
    assert set(waits[~fraud].tolist()) == {7 * DAY_MS}
    assert waits[fraud].min() >= 2 * 3_600_000
    assert waits[fraud].max() <= 30 * DAY_MS
    assert DAY_MS < np.median(waits[fraud]) < 3 * DAY_MS
    assert 0.02 < (waits[fraud] > 7 * DAY_MS).mean() < 0.12
