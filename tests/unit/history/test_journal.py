"""The journal of a bucket: entities are written seldom, nothing is lost by it, and it stays short."""

import pytest

from mitra.history import Events, History, Layout, MemoryStore, Plan
from mitra.history import writing as writing_module
from mitra.history.journal import TRIM, JournalStateError
from mitra.history.store import JOURNAL_KEY, journal_key
from mitra.schema import EventType, Field, HistoryLimits, Labels
from tests.factories.history import ENTITIES, LAYOUT, LOGIN, PAYMENT, WHERES, aggregate, columns, notes, touches
from tests.oracles.history import Label, PastEvent
from tests.unit.history.test_retention import DAY, HEADER, START, feed, payment, plan_of

EVER = (aggregate("sum", "customer", "amount"), aggregate("count", "customer"))


class Counting(MemoryStore):
    """Counts how often each key is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: dict[str, int] = {}

    def put_all(self, entries: dict[str, bytes]) -> None:
        super().put_all(entries)
        for key in entries:
            self.writes[key] = self.writes.get(key, 0) + 1


def after_a_restart(store: MemoryStore) -> MemoryStore:
    return MemoryStore(dict(store.data))


def test_an_entity_is_written_once_for_many_events():
    history, store = History(plan_of(*EVER), journal_events=100), Counting()
    for n in range(1000):
        feed(history, store, [payment(n, START + n)])
    assert store.writes[HEADER] == 1000 // 101
    result = feed(History(plan_of(*EVER), journal_events=100), after_a_restart(store), [payment(1000, START + 1000)])
    assert result.values[0].tolist() == [sum(1.0 + n % 7 for n in range(1001)), 1001.0]


def test_an_entity_nobody_touches_any_more_is_written_in_time_and_the_journal_stays_short():
    history, store = History(plan_of(*EVER), journal_events=50), MemoryStore()
    feed(history, store, [payment(0, START)], key="once")
    for n in range(1, 400):
        feed(history, store, [payment(n, START + n)])
    assert "customer\0once" in store.data
    logged = [key for key in store.data if key.startswith("\0journal\0")]
    assert len(logged) <= 2 * 50 + TRIM
    assert journal_key(1) not in store.data


def test_what_a_backlog_left_is_written_in_small_shares_and_the_journal_is_cut_behind_it():
    history, store = History(plan_of(*EVER), journal_events=20), Counting()
    backlog = [payment(n, START + n) for n in range(500)]
    touched = [(n, 0, f"c{n}") for n in range(500)]
    history.process(0, store, columns(backlog), touches(touched), None, 0)
    written = 0
    for n in range(200):
        feed(history, store, [payment(1000 + n, START + 1000 + n)])
        now = sum(key.startswith("customer\0c") for key in store.data)
        assert now - written <= writing_module.LEAST
        written = now
    assert written == 500
    assert journal_key(1) not in store.data


def test_what_the_journal_repeats_is_not_counted_again_though_its_rows_are_folded():
    # Rows that are folded away are no longer there to tell a repeated event by.
    plan = plan_of(*EVER, raw_events=8)
    history, store = History(plan, journal_events=30), MemoryStore()
    for n in range(200):
        feed(history, store, [payment(n, START + n)])
        again = History(plan, journal_events=30)
        result = feed(again, after_a_restart(store), [payment(500, START + 500)])
        assert result.values[0].tolist() == [sum(1.0 + m % 7 for m in [*range(n + 1), 500]), n + 2.0]


def test_labels_in_the_journal_are_noted_after_a_restart():
    told_by = Labels("fraud", "labels", "id", "label", absent_is="legit", after_ms=DAY)
    plan = Plan([aggregate("sum", "customer", "fraud")], LAYOUT, ENTITIES, told_by, HistoryLimits())
    history, store = History(plan, journal_events=1000), MemoryStore()
    feed(history, store, [payment(0, START)])
    told = notes([(0, "anna", Label("id0", START, 1.0, START + 10, 1))])
    history.process(0, store, columns([]), touches([]), told, 0)
    assert HEADER not in store.data
    result = feed(History(plan, journal_events=1000), after_a_restart(store), [payment(1, START + 20)])
    assert result.values[0, 0] == 1.0


def test_the_journal_is_read_under_another_layout_by_name():
    history, store = History(plan_of(*EVER), journal_events=1000), MemoryStore()
    for n in range(5):
        feed(history, store, [payment(n, START + n)])
    assert HEADER not in store.data
    event = EventType(
        "payment", "payments", "id", "time",
        (Field("id", "string"), Field("time", "integer"), Field("fee", "number"), Field("amount", "number"), Field("device", "string")),
    )  # fmt: skip
    layout = Layout.of([LOGIN, event])
    asked = (
        aggregate("sum", "customer", "amount", where=WHERES[0]),
        aggregate("distinct", "customer", "device"),
        aggregate("count", "customer", "fee"),
        aggregate("count", "customer", event="payment"),
    )
    plan = Plan(asked, layout, ENTITIES[::-1], None, HistoryLimits())
    late = PastEvent("payment", START + 10, "id10", 0, {"fee": 1.0, "amount": 20.0, "device": "d9"})
    result = History(plan, journal_events=1000).process(
        0, after_a_restart(store), columns([late], layout), touches([(0, 1, "anna")]), None, 0
    )
    assert result.values[0].tolist() == [20.0, 6.0, 1.0, 6.0]
    assert PAYMENT.name in LAYOUT.events


def test_an_idle_entity_is_forgotten_though_it_was_never_written():
    plan = plan_of(aggregate("count", "customer", None, ("over", DAY)), max_window_ms=10 * DAY)
    history, store = History(plan, journal_events=1000), MemoryStore()
    feed(history, store, [payment(0, START)])
    feed(history, store, [payment(1, START + 30 * DAY)], clock_ms=START + 30 * DAY, key="other")
    feed(history, store, [payment(2, START + 60 * DAY)], clock_ms=START + 60 * DAY)
    again = History(plan, journal_events=1000)
    for day in range(70, 200, 10):
        feed(again, store, [payment(1000 + day, START + day * DAY)], clock_ms=START + day * DAY, key=f"c{day}")
    for day in range(200, 240):
        again.process(0, store, columns([]), touches([]), None, START + day * DAY)
    assert not [key for key in store.data if not key.startswith("\0")]
    assert not [key for key in store.data if key.startswith("\0day\0")]


def test_an_entity_with_many_open_rows_is_written_before_its_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writing_module, "OPEN_FAR", 40)
    history, store = History(plan_of(*EVER), journal_events=10_000), Counting()
    for n in range(400):
        feed(history, store, [payment(n, START + n)])
    assert 400 // 40 <= store.writes[HEADER] + 1 <= 400 // 30


def test_short_memory_makes_entities_be_written_early_and_none_is_lost():
    plan = plan_of(*EVER)
    history, store = History(plan, cache_bytes=40_000, journal_events=100_000), MemoryStore()
    for n in range(600):
        feed(history, store, [payment(n, START + n)], key=f"c{n % 200}")
    written = [key for key in store.data if key.startswith("customer\0")]
    assert len(written) > 100
    again = History(plan, journal_events=100_000)
    for n in range(200):
        assert feed(again, store, [payment(600 + n, START + 1000)], key=f"c{n}").values[0, 1] == 4.0


def test_short_memory_costs_one_write_for_each_that_is_forgotten_and_none_for_who_is_busy():
    history, store = History(plan_of(*EVER), cache_bytes=250_000, journal_events=100_000), Counting()
    for n in range(1_000):
        feed(history, store, [payment(2 * n, START + n)])
        feed(history, store, [payment(2 * n + 1, START + n)], key=f"c{n % 200}")
    assert store.writes[HEADER] == 1_000 // 256, "the busy one is never the least recently used, but has many open rows"
    assert sum(count for key, count in store.writes.items() if key.startswith("customer\0")) <= 1_000
    held = [record for record in history._shared.cache.records.values() if record.since]
    assert len(held) > 10, "what memory has room for stays to be written"
    assert history._shared.cache.size_bytes < 1.2 * 250_000


def test_short_memory_is_made_room_in_by_each_bucket_for_its_own_and_another_ones_are_passed():
    history = History(plan_of(*EVER), cache_bytes=40_000, journal_events=100_000)
    silent, busy = MemoryStore(), MemoryStore()
    silent_keys = [f"s{n}" for n in range(15)]
    for n, key in enumerate(silent_keys):
        history.process(1, silent, columns([payment(n, START + n)]), touches([(0, 0, key)]), None, 0)
    for n in range(1_000):
        feed(history, busy, [payment(n, START + n)], key=f"c{n % 200}")
    cache = history._shared.cache
    assert {f"customer\0{key}" for key in silent_keys} <= set(cache.records), "nobody else can write them"
    assert cache.size_bytes < 1.2 * 40_000
    for n, key in enumerate(silent_keys):
        found = history.process(1, silent, columns([payment(100 + n, START + 100)]), touches([(0, 0, key)]), None, 0)
        assert found.values[0, 1] == 2.0


def test_a_failed_batch_leaves_what_the_journal_says():
    class Broken(MemoryStore):
        broken = False

        def put_all(self, entries: dict[str, bytes]) -> None:
            if self.broken:
                raise OSError("disk full")
            super().put_all(entries)

    history, store = History(plan_of(*EVER), journal_events=1000), Broken()
    feed(history, store, [payment(0, START)])
    store.broken = True
    with pytest.raises(OSError, match="disk full"):
        feed(history, store, [payment(1, START + 1)])
    store.broken = False
    assert feed(history, store, [payment(1, START + 1)]).values[0].tolist() == [3.0, 2.0]


def test_a_log_of_a_newer_release_is_refused():
    store = MemoryStore({JOURNAL_KEY: b"\x09whatever"})
    with pytest.raises(JournalStateError, match=r"a bucket's journal has version=9, this release reads 1"):
        feed(History(plan_of(*EVER), journal_events=10), store, [payment(0, START)])


def test_events_without_touches_are_not_in_the_journal():
    history, store = History(plan_of(*EVER), journal_events=10), MemoryStore()
    empty: Events = columns([])
    for day in range(10):
        history.process(0, store, empty, touches([]), None, START + day * DAY)
    assert not [key for key in store.data if key.startswith("\0journal")]
