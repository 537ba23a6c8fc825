"""What is kept, for how long, and how many bytes it takes."""

import numpy as np
import pytest

from mitra.history import DUPLICATE, NEW, History, MemoryStore, Plan
from mitra.history.store import segment_key, tiles_key
from mitra.schema import HistoryLimits
from rules.plan import Aggregate
from tests.factories.history import ENTITIES, LAYOUT, aggregate, columns, touches
from tests.oracles.history import PastEvent

HOUR, DAY = 3_600_000, 86_400_000
START = 1_700_000_000_000
HEADER = "customer\0anna"


def payment(number: int, time_ms: int) -> PastEvent:
    return PastEvent(
        "payment", time_ms, f"id{number}", 0, {"amount": 1.0 + number % 7, "device": f"d{number % 5}", "country": "DE"}
    )


def plan_of(*asked: Aggregate, **limits: int) -> Plan:
    return Plan(asked, LAYOUT, ENTITIES, None, HistoryLimits(**limits))


def feed(history: History, store: MemoryStore, events: list[PastEvent], clock_ms: int = 0, key: str = "anna"):
    rows = [(row, 0, key) for row in range(len(events))]
    return history.process(0, store, columns(events), touches(rows), None, clock_ms)


def state_bytes(store: MemoryStore) -> int:
    return sum(len(data) for key, data in store.data.items() if not key.startswith("\0layout"))


def test_bytes_of_state_grow_with_the_events_kept_and_no_further():
    plan = plan_of(aggregate("count", "customer", None, ("over", 7 * DAY)), raw_events=512)
    history, store, sizes = History(plan), MemoryStore(), {}
    for first in range(0, 4000, 50):
        feed(history, store, [payment(n, START + n * 60_000) for n in range(first, first + 50)])
        sizes[first + 50] = state_bytes(store)
    per_event = (sizes[400] - sizes[100]) / 300
    row = 8 * plan.stored_columns
    assert per_event < row + 8
    assert sizes[4000] < 512 * (row + 8) + 40_000
    assert sizes[4000] < 1.3 * sizes[2000]


def test_an_append_writes_the_header_and_seldom_more():
    class Counting(MemoryStore):
        written = 0

        def put_all(self, entries: dict[str, bytes]) -> None:
            super().put_all(entries)
            self.written += sum(map(len, entries.values()))

    plan = plan_of(aggregate("count", "customer", None, ("over", 7 * DAY)))
    history, store = History(plan), Counting()
    for n in range(1500):
        feed(history, store, [payment(n, START + n * 60_000)])
    row = 8 * plan.stored_columns
    assert store.written / 1500 < 22 * row


def test_rows_that_no_window_reaches_go():
    plan = plan_of(aggregate("count", "customer", None, ("over", 7 * DAY)), max_window_ms=10 * DAY)
    history, store = History(plan), MemoryStore()
    for n in range(400):
        result = feed(history, store, [payment(n, START + n * DAY // 4)])
        assert result.values[0, 0] == min(n + 1, 28)
        assert result.approximate is None
    rows = History(plan)
    feed(rows, store, [payment(999, START + 100 * DAY)])
    kept = rows._shared.cache.info[rows._shared.cache.records[HEADER].handle, 2]
    assert kept <= 11 * 4 + 32 + 1
    assert tiles_key(HEADER) not in store.data
    assert sum(key.startswith("\0s") for key in store.data) <= 2


def test_lifetime_totals_outlive_rows_and_tiles():
    asked = [
        aggregate("sum", "customer", "amount"),
        aggregate("std", "customer", "amount"),
        aggregate("distinct", "customer", "device"),
        aggregate("first", "customer", "device"),
        aggregate("previous", "customer", "country"),
    ]
    plan = plan_of(*asked, max_window_ms=10 * DAY, raw_events=64)
    history, store = History(plan), MemoryStore()
    amounts = []
    for n in range(500):
        result = feed(history, store, [payment(n, START + n * DAY)])
        amounts.append(1.0 + n % 7)
        if n % 50 == 1:
            history = History(plan)
        assert result.values[0, 0] == pytest.approx(sum(amounts))
        assert result.values[0, 1] == pytest.approx(np.std(amounts), abs=1e-12)
        assert result.values[0, 2] == min(n + 1, 5)
        assert result.texts == [["d0", "DE" if n else None]]
        assert result.approximate is None


def test_a_duplicate_is_known_as_long_as_its_event_is_a_row():
    plan = plan_of(aggregate("count", "customer"), raw_events=64)
    history, store = History(plan), MemoryStore()
    feed(history, store, [payment(n, START + n) for n in range(100)])
    again = feed(history, store, [payment(99, START + 99), payment(0, START)])
    assert again.status.tolist() == [DUPLICATE, NEW]
    assert again.arrival.tolist() == [100, 101]
    assert again.values[0, 0] == 100


def test_segments_of_folded_rows_are_removed():
    plan = plan_of(aggregate("count", "customer", None, ("over", 7 * DAY)), raw_events=256)
    history, store = History(plan), MemoryStore()
    for n in range(0, 2000, 10):
        feed(history, store, [payment(i, START + i * 1000) for i in range(n, n + 10)])
    assert segment_key(HEADER, 0) not in store.data
    assert sum(key.startswith("\0s") for key in store.data) <= 3


def test_a_batch_that_overflows_the_rows_many_times_is_answered_as_one_event_at_a_time():
    asked = [
        aggregate("count", "customer", None, ("over", 7 * DAY)),
        aggregate("std", "customer", "amount", ("over", DAY)),
    ]
    plan = plan_of(*asked, aggregate("previous", "customer", "device"), raw_events=32)
    events = [payment(n, START + n * 1000) for n in range(300)]
    whole = feed(History(plan), MemoryStore(), events)
    history, store = History(plan), MemoryStore()
    single = [feed(history, store, [event]) for event in events]
    assert np.array_equal(whole.values, np.vstack([result.values for result in single]), equal_nan=True)
    assert whole.texts == [row for result in single for row in result.texts]


def test_totals_that_begin_after_events_were_dropped_say_so():
    feed_all = [payment(n, START + n * DAY // 4) for n in range(80)]
    store = MemoryStore()
    feed(History(plan_of(max_window_ms=10 * DAY, raw_events=64)), store, feed_all)
    asked = (aggregate("sum", "customer", "amount"), aggregate("count", "customer", None, ("over", DAY)))
    history = History(plan_of(*asked, max_window_ms=10 * DAY, raw_events=64))
    for n in range(80, 160):
        result = feed(history, store, [payment(n, START + n * DAY // 4)])
        assert result.values[0, 0] < sum(1.0 + m % 7 for m in range(n + 1))
        assert result.approximate is not None
        assert result.approximate[0].tolist() == [True, False]
