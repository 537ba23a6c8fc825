"""Every scenario occurs, is rare, and bears its mark."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitra.sample import tags
from mitra.sample.columns import NO_DEVICE, Payments
from mitra.sample.generator import make_payments
from mitra.sample.geography import distance_km
from mitra.sample.habits import NEW_PHONE_MS
from mitra.sample.scenarios import MAX_FRAUD_SHARE, SCENARIOS
from mitra.sample.world import World, make_world

START_MS = 1_740_960_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
IS_FRAUD = np.array(tags.IS_FRAUD)


def _of(month: Payments, name: str) -> Payments:
    return month.take(month.tag == tags.TAG[name])


def _groups(payments: Payments, column: str) -> Iterator[Payments]:
    values = getattr(payments, column)
    for value in np.unique(values):
        yield payments.take(values == value)


def _speed_kmh(before: Payments, after: Payments) -> float:
    """Return the speed from the last payment of one to the first of the other."""
    degrees = [
        np.array([p[i] / 10_000])
        for p, i in ((before.lat_e4, -1), (before.lon_e4, -1), (after.lat_e4, 0), (after.lon_e4, 0))
    ]
    hours = (after.time_ms[0] - before.time_ms[-1]) / HOUR_MS
    return float(distance_km(*degrees)[0] / hours)


@given(seed=st.integers(0, 2**32), customers=st.integers(1, 1_500), days=st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_frauds_are_rare_at_the_end_of_every_piece(seed: int, customers: int, days: int) -> None:
    payments = frauds = 0
    for piece in make_payments(make_world(seed, customers), days=days, start_ms=START_MS):
        payments += len(piece)
        frauds += int(IS_FRAUD[piece.tag].sum())
        assert frauds <= MAX_FRAUD_SHARE * payments


def test_every_name_on_a_label_occurs_several_times(month: Payments) -> None:
    counts = np.bincount(month.tag, minlength=len(tags.NAMES))
    assert min(counts) >= 100, dict(zip(tags.NAMES, counts.tolist(), strict=True))


def test_most_of_a_scenario_s_grant_is_used(month: Payments) -> None:
    honest = len(month) - int(np.isin(month.tag, [tags.TAG[scenario.name] for scenario in SCENARIOS]).sum())
    for scenario in SCENARIOS:
        assert 0.6 * scenario.share * honest < len(_of(month, scenario.name)) <= scenario.share * honest


def test_frauds_and_look_alikes_are_all_names_but_ordinary() -> None:
    assert tags.FRAUDS | tags.LOOK_ALIKES | {"ordinary"} == set(tags.NAMES)
    assert {scenario.name for scenario in SCENARIOS} >= tags.FRAUDS


def test_a_card_testing_burst_is_many_tiny_payments_in_one_shop_within_minutes(month: Payments) -> None:
    bursts = list(_groups(_of(month, "card_testing_burst"), "device"))
    assert len(bursts) >= 6
    whole = [burst for burst in bursts if len(burst) >= 9]
    assert len(whole) >= len(bursts) - 1  # the month's end may cut one
    for burst in whole:
        assert burst.time_ms[-1] - burst.time_ms[0] < 10 * 60_000
        assert len(set(burst.terminal.tolist())) == 1
        assert len(set(burst.customer.tolist())) >= 2
        assert burst.cents.max() <= 500


def test_impossible_travel_is_faster_than_any_aircraft(month: Payments) -> None:
    impossible = _of(month, "impossible_travel")
    honest = month.take(~IS_FRAUD[month.tag])
    firsts = 0
    for frauds in _groups(impossible, "customer"):
        own = honest.take((honest.customer == frauds.customer[0]) & (honest.time_ms < frauds.time_ms[0]))
        firsts += 1
        assert _speed_kmh(own, frauds) > 900
    assert firsts >= 50


def test_a_compromised_terminal_takes_many_copied_cards_over_days(month: Payments, world: World) -> None:
    terminals = list(_groups(_of(month, "compromised_terminal"), "terminal"))
    assert len(terminals) >= 3
    for frauds in terminals:
        assert world.terminals.city[frauds.terminal[0]] >= 0
        assert set(frauds.device.tolist()) == {int(NO_DEVICE)}
    longest = max(terminals, key=len)
    assert len(set(longest.customer.tolist())) >= 5
    assert longest.time_ms[-1] - longest.time_ms[0] > 5 * DAY_MS


def test_an_account_takeover_is_dear_and_on_a_device_never_seen(month: Payments) -> None:
    takeovers = list(_groups(_of(month, "account_takeover"), "device"))
    assert len(takeovers) >= 20
    others = set(month.device[month.tag != tags.TAG["account_takeover"]].tolist())
    ratios = []
    for frauds in takeovers:
        assert set(frauds.customer.tolist()) == {int(frauds.customer[0])}
        assert int(frauds.device[0]) not in others
        own = month.take((month.customer == frauds.customer[0]) & ~IS_FRAUD[month.tag])
        if len(own):
            ratios.append(frauds.cents.mean() / own.cents.mean())
    assert np.median(ratios) > 3


def test_a_ring_shares_its_devices_among_many_customers(month: Payments) -> None:
    devices = list(_groups(_of(month, "device_ring"), "device"))
    assert len(devices) >= 10
    shared = [len(set(frauds.customer.tolist())) for frauds in devices]
    assert np.mean(np.array(shared) >= 5) > 0.8
    assert not set(_of(month, "device_ring").device.tolist()) & set(month.device[~IS_FRAUD[month.tag]].tolist())


def test_travellers_pay_far_from_home_and_take_their_time(month: Payments, world: World) -> None:
    away = _of(month, "traveller")
    home = world.customers.city[away.customer]
    distance = distance_km(
        away.lat_e4 / 10_000,
        away.lon_e4 / 10_000,
        world.customers.lat[away.customer],
        world.customers.lon[away.customer],
    )
    assert len(np.unique(away.customer)) > 100
    assert np.mean(distance > 150) == 1.0
    assert len(np.unique(home)) > 10
    honest = month.take(~IS_FRAUD[month.tag])
    order = np.lexsort((honest.time_ms, honest.customer))
    honest = honest.take(order)
    same = honest.customer[1:] == honest.customer[:-1]
    hours = np.diff(honest.time_ms)[same] / HOUR_MS
    lat, lon = honest.lat_e4 / 10_000, honest.lon_e4 / 10_000
    travelled = distance_km(lat[:-1], lon[:-1], lat[1:], lon[1:])[same]
    far = travelled > 100
    assert far.sum() > 100
    assert np.mean(travelled[far] / hours[far] > 900) < 0.01


def test_families_share_a_device_at_one_home(month: Payments, world: World) -> None:
    shared = _of(month, "family_device")
    sizes = []
    for payments in _groups(shared, "device"):
        members = np.unique(payments.customer)
        sizes.append(len(members))
        assert len(np.unique(world.customers.family[members])) == 1
        assert len(np.unique(world.customers.lat[members])) == 1
    assert max(sizes) >= 4
    assert np.mean(np.array(sizes) >= 2) > 0.5


def test_a_new_phone_is_labelled_in_its_first_days_and_stays(month: Payments) -> None:
    fresh = _of(month, "new_phone")
    kept = 0
    for payments in _groups(fresh, "device"):
        first = payments.time_ms[0]
        everywhere = month.take(month.device == payments.device[0])
        assert everywhere.time_ms[0] == first
        assert set(everywhere.customer.tolist()) == {int(payments.customer[0])}
        assert payments.time_ms[-1] - first < NEW_PHONE_MS
        kept += everywhere.time_ms[-1] - first > NEW_PHONE_MS
    assert kept > 20


def test_a_big_purchase_is_many_times_the_usual(month: Payments, world: World) -> None:
    big = _of(month, "big_purchase")
    usual = month.take(month.tag == 0)
    mean = np.bincount(usual.customer, usual.cents, minlength=len(world.customers))
    mean /= np.maximum(np.bincount(usual.customer, minlength=len(world.customers)), 1)
    known = mean[big.customer] > 0
    assert np.median(big.cents[known] / mean[big.customer[known]]) > 5


def test_a_shopping_spree_is_many_payments_of_one_customer_in_one_city(month: Payments) -> None:
    spree = _of(month, "shopping_spree")
    longest = 0
    for payments in _groups(spree, "customer"):
        within = np.searchsorted(payments.time_ms, payments.time_ms + 2 * HOUR_MS) - np.arange(len(payments))
        longest = max(longest, int(within.max()))
    assert longest >= 5


@pytest.mark.parametrize("name", sorted(tags.LOOK_ALIKES))
def test_a_look_alike_is_legit(name: str) -> None:
    assert not tags.IS_FRAUD[tags.TAG[name]]
