"""The live stream: steady, ordered, keyed, the same for the same arguments, and quick."""

import time
from itertools import islice

import msgspec
import pytest

from mitra.errors import MitraError
from mitra.sample import Payment, live_payments, tags

START_MS = 1_740_960_000_000 + 15 * 3_600_000


@pytest.fixture(scope="module")
def payments() -> list[Payment]:
    return list(islice(live_payments(7, 100, START_MS, customers=20_000), 60_000))


def test_the_rate_holds_and_time_goes_on(payments: list[Payment]) -> None:
    times = [payment.event_time_ms for payment in payments]
    assert times == sorted(times)
    assert times[0] - START_MS < 1_000
    assert 98 < len(payments) / ((times[-1] - START_MS) / 1_000) < 102


def test_a_payment_is_keyed_by_its_customer_and_carries_its_truth_apart(payments: list[Payment]) -> None:
    for payment in payments[:2_000]:
        message = msgspec.json.decode(payment.value)
        assert message["customer_id"].encode() == payment.key
        assert message["transaction_id"] == payment.transaction_id
        assert message["event_time"] == payment.event_time_ms
        assert not {"scenario", "is_fraud"} & set(message)
        assert payment.is_fraud == (payment.scenario in tags.FRAUDS)
        assert ("device_id" in message) == (message["channel"] == "online")
    assert len({payment.transaction_id for payment in payments}) == len(payments)


def test_frauds_come_within_the_first_minute_and_stay_rare(payments: list[Payment]) -> None:
    first_minute = {payment.scenario for payment in payments if payment.event_time_ms < START_MS + 60_000}
    assert {"card_testing_burst", "impossible_travel", "account_takeover"} <= first_minute
    assert {payment.scenario for payment in payments} >= tags.FRAUDS
    assert sum(payment.is_fraud for payment in payments) / len(payments) < 0.01


def test_a_label_can_be_sent_when_the_caller_likes(payments: list[Payment]) -> None:
    fraud = next(payment for payment in payments if payment.is_fraud)
    expected = {"transaction_id": fraud.transaction_id, "is_fraud": True, "known_at": fraud.known_at_ms}
    assert msgspec.json.decode(fraud.label()) == expected
    assert msgspec.json.decode(fraud.label(5))["known_at"] == 5


def test_the_same_arguments_give_the_same_payments(payments: list[Payment]) -> None:
    again = list(islice(live_payments(7, 100, START_MS, customers=20_000), 3_000))
    assert again == payments[:3_000]


def test_two_starts_share_no_transaction(payments: list[Payment]) -> None:
    later = islice(live_payments(7, 100, START_MS + 1, customers=20_000), 3_000)
    assert not {payment.transaction_id for payment in later} & {payment.transaction_id for payment in payments}


def test_twenty_thousand_a_second_are_made() -> None:
    stream = live_payments(7, 1_000, START_MS, customers=20_000)
    next(stream)
    begun = time.process_time()
    assert sum(1 for _ in islice(stream, 40_000)) == 40_000
    assert time.process_time() - begun < 2.0


@pytest.mark.parametrize("rate", [0.0, -1.0, 1e9])
def test_a_rate_out_of_bounds_is_named(rate: float) -> None:
    with pytest.raises(MitraError, match="rate="):
        live_payments(1, rate, START_MS)
