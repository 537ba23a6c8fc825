"""Idle entities go when nothing reaches their events any more, a few at a time; lifetime totals stay."""

from mitra.history import History, MemoryStore
from mitra.history.sweep import CHUNK_KEYS, LOOKS
from tests.factories.history import aggregate, columns, touches
from tests.unit.history.test_retention import DAY, START, feed, payment, plan_of

NOTHING = columns([])


def idle(history: History, store: MemoryStore, clock_ms: int) -> None:
    history.process(0, store, NOTHING, touches([]), None, clock_ms)


def entities(store: MemoryStore) -> set[str]:
    return {key for key in store.data if not key.startswith("\0")}


def test_an_idle_entity_goes_with_all_its_keys():
    plan = plan_of(aggregate("count", "customer", None, ("over", DAY)), max_window_ms=10 * DAY, raw_events=64)
    history, store = History(plan), MemoryStore()
    feed(history, store, [payment(n, START + n * 1000) for n in range(300)])
    idle(history, store, START + 11 * DAY)
    assert entities(store)
    idle(history, store, START + 13 * DAY)
    assert {key.split("\0")[1] for key in store.data} == {"layout", "conditions", "days"}
    result = feed(history, store, [payment(1, START + 13 * DAY)])
    assert result.arrival[0] == 1


def test_an_active_entity_moves_to_a_later_day():
    plan = plan_of(aggregate("count", "customer", None, ("over", DAY)), max_window_ms=10 * DAY)
    history, store = History(plan), MemoryStore()
    for n in range(40):
        result = feed(history, store, [payment(n, START + n * DAY)], clock_ms=START + n * DAY)
        assert result.arrival[0] == n + 1
    days = [key for key in store.data if key.startswith("\0day\0")]
    assert len(days) == 1
    idle(history, store, START + 60 * DAY)
    assert not entities(store)
    assert not [key for key in store.data if key.startswith("\0day\0")]


def test_lifetime_totals_survive_the_sweep():
    plan = plan_of(
        aggregate("sum", "customer", "amount"), aggregate("first", "customer", "device"), max_window_ms=10 * DAY
    )
    history, store = History(plan), MemoryStore()
    feed(history, store, [payment(n, START + n) for n in range(50)])
    idle(history, store, START + 20 * DAY)
    assert len(entities(store)) == 1
    assert not any(key.startswith("\0s") for key in store.data)
    result = feed(History(plan), store, [payment(50, START + 21 * DAY)])
    assert result.values[0, 0] == sum(1.0 + n % 7 for n in range(51))
    assert result.texts == [["d0"]]
    assert result.arrival[0] == 51
    assert result.approximate is None


def test_a_batch_looks_at_a_few_entities_only():
    plan = plan_of(aggregate("count", "customer", None, ("over", DAY)), max_window_ms=10 * DAY)
    history, store = History(plan), MemoryStore()
    many = 3 * CHUNK_KEYS + 5
    for n in range(many):
        feed(history, store, [payment(n, START)], key=f"c{n}")
    assert len(entities(store)) == many
    left = many
    while left:
        idle(history, store, START + 20 * DAY)
        assert left - LOOKS <= len(entities(store)) < left
        left = len(entities(store))
        history = History(plan)
    assert {key.split("\0")[1] for key in store.data} == {"layout", "conditions", "days"}


def test_however_many_entities_a_batch_starts_more_are_looked_at():
    plan = plan_of(aggregate("count", "customer", None, ("over", DAY)), max_window_ms=10 * DAY)
    history, store = History(plan), MemoryStore()
    for day in range(100):
        events = [payment(n, START + day * DAY) for n in range(100 * day, 100 * day + 100)]
        rows = [(row, 0, f"c{day}-{row}") for row in range(100)]
        history.process(0, store, columns(events), touches(rows), None, START + day * DAY)
    assert len(entities(store)) < 100 * 15
