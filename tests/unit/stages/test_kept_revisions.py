"""What a bucket keeps of revisions: in order, over restarts, and no longer than a message may be stamped with them."""

import pytest

from control_stream import Delta
from mitra.errors import MitraError
from mitra.history import MemoryStore
from mitra.kept_revisions import CHAIN_MOST, KeptRevisions
from mitra.messages import Marker, Revise
from rules import Rule


def change(number: int) -> bytes:
    name = f"r{number}"
    return Delta({name: Rule(id=name, when="amount > 1", outcome="block")}, {}, {}, {name: 1}).encode()


def revise(number: int, base: int) -> Revise:
    return Revise(1, number, base, [change(number)], [])


def names(kept: KeptRevisions, number: int) -> list[str]:
    return sorted(kept.live_sets[number].rules)


def test_a_revision_builds_on_the_one_before_and_is_there_again_after_a_restart() -> None:
    store = MemoryStore()
    kept = KeptRevisions(store, 1)
    kept.prepare(revise(3, 0), store)
    kept.prepare(revise(5, 3), store)
    kept.prepare(revise(5, 3), store)  # sent again
    for one in (kept, KeptRevisions(store, 1)):
        assert list(one.numbers) == [0, 3, 5]
        assert (names(one, 0), names(one, 3), names(one, 5)) == ([], ["r3"], ["r3", "r5"])


def test_a_revision_that_builds_on_another_than_the_last_is_told() -> None:
    store = MemoryStore()
    kept = KeptRevisions(store, 1)
    with pytest.raises(MitraError, match="revision 9 builds on 7, but this bucket's last one is 0"):
        kept.prepare(revise(9, 7), store)


def test_an_older_revision_goes_when_the_last_sender_has_marked() -> None:
    store = MemoryStore()
    kept = KeptRevisions(store, 2)
    kept.prepare(revise(3, 0), store)
    assert kept.mark(Marker(8, 3, 0), store) is None
    assert list(kept.numbers) == [0, 3]
    assert kept.mark(Marker(8, 3, 1), store) == (3, 8)
    assert list(kept.numbers) == [3]
    assert (KeptRevisions(store, 2).running, list(KeptRevisions(store, 2).numbers)) == (3, [3])


def test_markers_of_a_new_run_are_answered_again_and_those_of_an_old_one_are_not() -> None:
    store = MemoryStore()
    kept = KeptRevisions(store, 1)
    kept.prepare(revise(3, 0), store)
    assert kept.mark(Marker(8, 3, 0), store) == (3, 8)
    assert kept.mark(Marker(8, 3, 0), store) is None
    assert kept.mark(Marker(7, 3, 0), store) is None
    assert kept.mark(Marker(9, 3, 0), store) == (3, 9)
    assert kept.mark(Marker(9, 3, 4), store) is None  # a lane that is no more


def test_a_revision_stays_as_long_as_a_record_waits_under_it() -> None:
    store = MemoryStore()
    kept = KeptRevisions(store, 1)
    for number, base in ((3, 0), (5, 3), (6, 5)):
        kept.prepare(revise(number, base), store)
    assert kept.mark(Marker(8, 5, 0), store, oldest=3) == (3, 8)
    assert kept.reach(store, 3) is None
    assert list(kept.numbers) == [3, 5, 6]
    assert kept.mark(Marker(8, 6, 0), store, oldest=3) is None
    assert kept.reach(store, 5) == (5, 8)
    assert kept.reach(store, None) == (6, 8)
    assert list(kept.numbers) == [6]


def test_after_a_restart_what_had_to_wait_is_told_when_it_has_gone() -> None:
    store = MemoryStore()
    kept = KeptRevisions(store, 1)
    kept.prepare(revise(3, 0), store)
    assert kept.mark(Marker(8, 3, 0), store, oldest=0) == (0, 8)
    again = KeptRevisions(store, 1)
    assert (again.running, list(again.numbers)) == (0, [0, 3])
    assert again.reach(store, None) == (3, 8)
    assert KeptRevisions(store, 1).reach(store, None) is None


def test_with_another_number_of_senders_all_have_to_mark_again() -> None:
    store = MemoryStore()
    kept = KeptRevisions(store, 1)
    kept.prepare(revise(3, 0), store)
    kept.mark(Marker(8, 3, 0), store)
    wider = KeptRevisions(store, 2)
    assert wider.running == 3
    assert wider.mark(Marker(9, 3, 0), store) is None
    assert wider.mark(Marker(9, 3, 1), store) == (3, 9)


def test_a_long_chain_is_folded_into_its_base() -> None:
    store = MemoryStore()
    kept = KeptRevisions(store, 1)
    for number in range(1, 3 * CHAIN_MOST):
        kept.prepare(revise(number, number - 1), store)
        kept.mark(Marker(1, number, 0), store)
    assert len(store.data) <= CHAIN_MOST + 2
    again = KeptRevisions(store, 1)
    last = 3 * CHAIN_MOST - 1
    assert list(again.numbers) == [last]
    assert names(again, last) == sorted(f"r{number}" for number in range(1, last + 1))
    again.prepare(revise(last + 1, last), store)
    assert len(names(again, last + 1)) == last + 1
