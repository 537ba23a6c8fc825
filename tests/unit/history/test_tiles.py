"""Answers that reach into tiles are close, and say that they are not exact."""

from itertools import pairwise

import numpy as np
import pytest

from mitra.history import History, MemoryStore
from mitra.history.tiles import AGES_MS, SAMPLE, WIDTHS_MS
from tests.factories.history import aggregate, columns, touches
from tests.oracles.history import PastEvent
from tests.unit.history.test_retention import DAY, HEADER, HOUR, START, plan_of


def busy(count: int, span_ms: int, people: int) -> list[PastEvent]:
    random = np.random.default_rng(3)
    amounts = np.round(random.lognormal(3, 1, count), 2).tolist()
    devices = random.integers(0, people, count).tolist()
    return [
        PastEvent(
            "payment", START + i * span_ms // count, f"id{i}", 0, {"amount": amounts[i], "device": f"d{devices[i]}"}
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("span_ms", "window_ms"),
    [(HOUR, 5 * 60_000), (HOUR, 30 * 60_000), (30 * DAY, DAY), (30 * DAY, 7 * DAY), (30 * DAY, 20 * DAY)],
)
def test_a_window_over_tiles_is_off_by_a_few_percent_of_a_tile_at_most(span_ms, window_ms):
    asked = [
        aggregate("count", "customer", None, ("over", window_ms)),
        aggregate("sum", "customer", "amount", ("over", window_ms)),
        aggregate("std", "customer", "amount", ("over", window_ms)),
        aggregate("max", "customer", "amount", ("over", window_ms)),
        aggregate("distinct", "customer", "device", ("over", window_ms)),
    ]
    plan = plan_of(*asked, raw_events=256)
    history, store = History(plan), MemoryStore()
    events = busy(12_000, span_ms, 500)
    for first in range(0, len(events), 500):
        part = events[first : first + 500]
        result = history.process(
            0, store, columns(part), touches([(row, 0, "anna") for row in range(len(part))]), None, 0
        )
    times = np.array([event.time_ms for event in events])
    amounts = np.array([event.values["amount"] for event in events])
    assert result.approximate is not None
    assert result.approximate[:, :4].all(axis=1).sum() > 400
    assert not result.approximate[:, 4].any()
    for back in range(0, 500, 25):
        row = len(events) - 1 - back
        inside = slice(int(np.searchsorted(times, times[row] - window_ms, side="right")), row + 1)
        count, total, deviation, most, distinct = result.values[499 - back]
        assert count == pytest.approx(inside.stop - inside.start, rel=0.01)
        assert total == pytest.approx(amounts[inside].sum(), rel=0.03)
        assert deviation == pytest.approx(amounts[inside].std(), rel=0.1)
        assert most >= amounts[inside].max()
        assert distinct == len({event.values["device"] for event in events[inside]})


def test_a_sample_of_distinct_values_is_exact_until_there_are_too_many():
    plan = plan_of(aggregate("distinct", "customer", "device"), raw_events=64)
    history, store = History(plan), MemoryStore()
    worst = 0.0
    for n in range(0, 20_000, 100):
        part = [PastEvent("payment", START + i, f"id{i}", 0, {"device": f"d{i}"}) for i in range(n, n + 100)]
        result = history.process(0, store, columns(part), touches([(row, 0, "anna") for row in range(100)]), None, 0)
        if n + 100 <= SAMPLE:
            assert result.values[:, 0].tolist() == list(range(n + 1, n + 101))
            assert result.approximate is None
        else:
            worst = max(worst, abs(result.values[-1, 0] / (n + 100) - 1))
    assert result.approximate is not None
    assert worst < 0.15
    assert len(store.data["\0t\0" + HEADER]) < 24_000


def test_widths_nest_and_ages_leave_room_for_the_windows_they_serve():
    assert all(wide % narrow == 0 for narrow, wide in pairwise(WIDTHS_MS.tolist()))
    # A window as long as the age at which tiles widen has an edge of at most a twentieth of it.
    assert all(width <= age / 20 for width, age in zip(WIDTHS_MS[:-1], AGES_MS, strict=True))
