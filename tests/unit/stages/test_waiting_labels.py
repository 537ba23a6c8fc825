"""Labels that wait: held, taken, given up at their hour, whatever their transaction is called."""

import pytest

from mitra.history import MemoryStore
from mitra.waiting_labels import HOUR_MS, WaitingLabel, WaitingLabels


def label(version: int = 1, due_hour: int = 10) -> WaitingLabel:
    return WaitingLabel(1.0, 500, version, "analyst", due_hour, 2, 0, version, b"{}")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def waiting() -> WaitingLabels:
    return WaitingLabels()


def test_what_was_held_is_taken_once(waiting: WaitingLabels, store: MemoryStore) -> None:
    assert waiting.hold(0, store, "a", label(1)) == 11 * HOUR_MS
    waiting.hold(0, store, "a", label(2, due_hour=12))
    waiting.hold(0, store, "b", label())
    assert waiting.take(0, store, "a") == [label(1), label(2, due_hour=12)]
    assert waiting.take(0, store, "a") == []
    assert waiting.take(0, store, "b") == [label()]


def test_a_version_is_held_once(waiting: WaitingLabels, store: MemoryStore) -> None:
    waiting.hold(0, store, "a", label(1))
    waiting.hold(0, store, "a", label(1, due_hour=20))
    assert waiting.take(0, store, "a") == [label(1)]


def test_a_bucket_where_nothing_waits_is_not_searched(waiting: WaitingLabels, store: MemoryStore) -> None:
    waiting.take(0, store, "a")
    reads: list[str] = []
    store.get = reads.append  # type: ignore[method-assign, assignment]
    assert waiting.take(0, store, "b") == []
    assert reads == []


def test_a_restart_finds_what_was_held(store: MemoryStore) -> None:
    WaitingLabels().hold(3, store, "a", label())
    assert WaitingLabels().take(3, store, "a") == [label()]
    assert WaitingLabels().take(3, store, "a") == []


@pytest.mark.parametrize("restart", [False, True])
def test_labels_expire_after_their_hour_each_once(waiting: WaitingLabels, store: MemoryStore, restart: bool) -> None:
    waiting.hold(0, store, "a", label(1, 10))
    waiting.hold(0, store, "a", label(2, 12))
    waiting.hold(0, store, "b", label(1, 11))
    waiting.hold(0, store, "gone", label(1, 10))
    waiting.take(0, store, "gone")
    if restart:
        waiting = WaitingLabels()
    assert waiting.expire(0, store, 10 * HOUR_MS + HOUR_MS - 1) == []
    assert waiting.expire(0, store, 11 * HOUR_MS) == [("a", label(1, 10))]
    assert waiting.expire(0, store, 11 * HOUR_MS) == []
    assert waiting.expire(0, store, 30 * HOUR_MS) == [("b", label(1, 11)), ("a", label(2, 12))]
    assert waiting.take(0, store, "a") == []


def test_hours_that_were_slept_through_are_served(store: MemoryStore) -> None:
    WaitingLabels().hold(0, store, "a", label(1, 10))
    assert WaitingLabels().expire(0, store, 5000 * HOUR_MS) == [("a", label(1, 10))]


def test_a_label_that_falls_due_before_others_held_earlier(waiting: WaitingLabels, store: MemoryStore) -> None:
    waiting.hold(0, store, "a", label(1, 20))
    waiting.hold(0, store, "b", label(1, 10))
    assert waiting.expire(0, store, 15 * HOUR_MS) == [("b", label(1, 10))]
    assert waiting.expire(0, store, 25 * HOUR_MS) == [("a", label(1, 20))]


def test_a_page_is_rewritten_and_not_the_list(waiting: WaitingLabels, store: MemoryStore) -> None:
    written: list[int] = []
    put_all = store.put_all
    for number in range(2000):
        store.put_all = put_all  # type: ignore[method-assign]
        if number == 1999:
            store.put_all = lambda entries: written.append(sum(map(len, entries.values())))  # type: ignore[method-assign]
        waiting.hold(0, store, f"id-{number}", label())
    assert written[0] < 4096
    store.put_all = put_all  # type: ignore[method-assign]
    waiting.hold(0, store, "id-1999", label())
    assert len(waiting.expire(0, store, 11 * HOUR_MS)) == 2000


def test_everything_is_gone_in_the_end(waiting: WaitingLabels, store: MemoryStore) -> None:
    for number in range(600):
        waiting.hold(0, store, f"id-{number}", label(due_hour=10 + number % 3))
    for number in range(0, 600, 2):
        waiting.take(0, store, f"id-{number}")
    assert len(waiting.expire(0, store, 100 * HOUR_MS)) == 300
    assert len(store.data) == 2


@pytest.mark.parametrize("id", ["\0count", "\0oldest", "\0size\0010", "\0due\00010\0000", "=a", ""])
def test_no_id_is_taken_for_bookkeeping(waiting: WaitingLabels, store: MemoryStore, id: str) -> None:
    waiting.hold(0, store, "a", label())
    waiting.hold(0, store, id, label(2))
    assert waiting.take(0, store, id) == [label(2)]
    assert waiting.take(0, store, "a") == [label()]
