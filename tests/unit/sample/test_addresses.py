"""Addresses: who has which, how they are written, and what reshipping, gifts and moves look like."""

import numpy as np
import pytest

from mitra.sample import tags
from mitra.sample.addresses import Writer, _slip
from mitra.sample.columns import Payments
from mitra.sample.geography import CITIES
from mitra.sample.post import CITY_BITS, Post
from mitra.sample.world import World
from models.addresses import address_complete, address_part, address_similarity

DAY_MS = 86_400_000


def _of(month: Payments, name: str) -> Payments:
    return month.take(month.tag == tags.TAG[name])


def test_only_online_payments_have_addresses_and_only_goods_are_sent(month: Payments, world: World) -> None:
    online = month.terminal >= world.terminals.street
    assert np.array_equal(month.billing != 0, online)
    shipped = month.shipping != 0
    assert np.array_equal(shipped, Post(world).ships(month.terminal))
    assert 0.3 < shipped[online].mean() < 0.7


def test_a_household_has_one_home_in_its_city(month: Payments, world: World) -> None:
    billed = month.take(month.billing != 0)
    city = (billed.billing & np.uint64((1 << CITY_BITS) - 1)).astype(np.int64)
    assert np.array_equal(city, world.customers.city[billed.customer])
    for customer in range(200):
        assert len(np.unique(billed.billing[billed.customer == customer])) <= 2
    family = np.flatnonzero(world.customers.family >= 0)
    when = np.full(len(family), month.time_ms[0])
    shop = np.full(len(family), world.terminals.street)
    homes = Post(world).billing(when, family, shop)
    households = world.customers.family[family]
    assert len(np.unique(homes)) == len(np.unique(households)) < len(family)


def test_ordinary_goods_go_where_the_card_is_billed(month: Payments) -> None:
    ordinary = _of(month, "ordinary")
    sent = ordinary.take(ordinary.shipping != 0)
    assert len(sent) > 10_000
    assert np.array_equal(sent.shipping, sent.billing)


def test_the_moved_are_billed_to_the_old_home_for_weeks(month: Payments) -> None:
    moved = _of(month, "moved")
    assert (moved.shipping != moved.billing).all()
    for customer in np.unique(moved.customer)[:50]:
        own = moved.take(moved.customer == customer)
        assert len(np.unique(own.shipping)) == len(np.unique(own.billing)) == 1
        later = month.take((month.customer == customer) & (month.time_ms > own.time_ms[-1]) & (month.billing != 0))
        assert set(later.billing.tolist()) <= {int(own.billing[0]), int(own.shipping[0])}


def test_gifts_go_to_other_people_s_homes(month: Payments, world: World) -> None:
    gifts = _of(month, "gift")
    homes = set(month.billing[month.billing != 0].tolist())
    assert np.mean([place in homes for place in gifts.shipping.tolist()]) > 0.8
    assert (gifts.shipping != gifts.billing).mean() > 0.99


def test_reshipping_sends_many_cards_goods_to_few_doors(month: Payments) -> None:
    frauds = _of(month, "reshipping")
    assert (frauds.shipping != 0).all()
    doors, counts = np.unique(frauds.shipping, return_counts=True)
    assert len(doors) < len(frauds) / 2
    assert not set(doors.tolist()) & set(month.shipping[month.tag != tags.TAG["reshipping"]].tolist())
    busiest = frauds.take(frauds.shipping == doors[np.argmax(counts)])
    assert len(np.unique(busiest.customer)) == len(np.unique(busiest.device)) == len(busiest) >= 3


def test_the_same_door_is_written_in_many_ways_and_read_as_one(month: Payments) -> None:
    sent = month.take(np.flatnonzero((month.shipping != 0) & (month.shipping == month.billing))[:2_000])
    billing, shipping = Writer().of(sent)
    pairs = [(one, other) for one, other in zip(billing, shipping, strict=True) if one and other]
    assert len(pairs) == len(sent)
    differ = [(one, other) for one, other in pairs if one != other]
    assert 0.05 < len(differ) / len(pairs) < 0.5
    alike = np.array([address_similarity(one, other) for one, other in differ])
    assert np.mean(alike > 0.8) > 0.95


def test_other_doors_are_told_apart(month: Payments) -> None:
    sent = _of(month, "reshipping")
    alike = [address_similarity(one or "", other or "") for one, other in zip(*Writer().of(sent), strict=True)]
    assert np.mean(np.array(alike) < 0.6) > 0.95


def test_written_addresses_have_the_parts_of_their_place(month: Payments) -> None:
    sent = month.take(np.flatnonzero(month.billing != 0)[:1_000])
    texts = [text for text in Writer().of(sent)[0] if text]
    assert np.mean([address_complete(text) is True for text in texts]) > 0.95
    codes = [address_part(text, "postcode") for text in texts]
    cities = (sent.billing & np.uint64((1 << CITY_BITS) - 1)).tolist()
    right = [code.startswith(str(10 + 2 * city)) for code, city in zip(codes, cities, strict=True) if code]
    assert np.mean(right) > 0.98
    assert max(cities) < len(CITIES)


@pytest.mark.parametrize("slip", range(1, 97))
def test_a_slip_changes_one_text_by_one_letter(slip: int) -> None:
    street, town = _slip("Alderwick", "Norham", slip)
    assert (street == "Alderwick") or (town == "Norham")
    assert abs(len(street + town) - len("AlderwickNorham")) <= 1
