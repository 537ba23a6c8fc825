"""The oracle itself, against the definitions taken word by word."""

import numpy as np
import pytest

from tests.oracles.handbook import DAY_S, DELAY_S, FEATURES, WINDOWS_DAYS, Transactions, features


def transactions(seed, count=400):
    """Make few customers and terminals, with many ties and windows' edges hit exactly."""
    rng = np.random.default_rng(seed)
    time_s = 1_522_540_800 + rng.integers(0, 60, count) * DAY_S + rng.integers(0, 3, count) * 3600 * 8
    ids = rng.permutation(count)
    order = np.lexsort((ids, time_s))
    columns = (ids, time_s, rng.integers(0, 5, count), rng.integers(0, 4, count), rng.integers(1, 10_000, count))
    fraud = (rng.random(count) < 0.2).astype(np.int64)
    return Transactions(*(column[order] for column in (*columns, fraud)))


@pytest.mark.parametrize("seed", range(5))
def test_windows_hold_what_their_definition_says(seed):
    data = transactions(seed)
    found = features(data)
    assert tuple(found) == FEATURES
    places = range(len(data.id))
    for here in places:
        now = data.time_s[here]
        for days in WINDOWS_DAYS:
            own = [
                place
                for place in places[: here + 1]
                if data.customer[place] == data.customer[here] and now - days * DAY_S < data.time_s[place] <= now
            ]
            past = [
                place
                for place in places
                if data.terminal[place] == data.terminal[here]
                and now - DELAY_S - days * DAY_S < data.time_s[place] <= now - DELAY_S
            ]
            assert found[f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"][here] == len(own)
            assert found[f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"][here] == pytest.approx(
                sum(data.cents[place] / 100 for place in own) / len(own), abs=1e-9
            )
            assert found[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"][here] == len(past)
            risk = sum(int(data.fraud[place]) for place in past) / len(past) if past else 0.0
            assert found[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"][here] == pytest.approx(risk, abs=1e-12)


@pytest.mark.parametrize(
    ("moment", "weekend", "night"),
    [
        ("2018-04-06T23:59:59", 0, 0),
        ("2018-04-07T00:00:00", 1, 1),
        ("2018-04-08T06:59:59", 1, 1),
        ("2018-04-09T07:00:00", 0, 0),
    ],
)
def test_weekend_and_night(moment, weekend, night):
    time_s = np.array([np.datetime64(moment, "s").astype(np.int64)])
    one = np.array([1])
    found = features(Transactions(one, time_s, one, one, one, one))
    assert found["TX_DURING_WEEKEND"].tolist() == [weekend]
    assert found["TX_DURING_NIGHT"].tolist() == [night]
