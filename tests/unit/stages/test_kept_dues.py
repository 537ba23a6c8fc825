"""Due times in slots against a list of all of them, over restarts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mitra.history import MemoryStore
from mitra.kept_dues import SLOT_MS, Due, KeptDues

TIMES = st.integers(0, 6 * SLOT_MS)
STEPS = st.lists(st.tuples(st.sampled_from(("add", "take", "restart")), st.lists(TIMES, max_size=4)), max_size=20)


@settings(deadline=None)
@given(STEPS)
def test_each_due_time_is_given_once_in_order_when_its_time_has_come(steps: list[tuple[str, list[int]]]) -> None:
    store, number = MemoryStore(), 0
    kept, wanted, clock = KeptDues(store), list[Due](), 0
    for what, times in steps:
        if what == "add":
            dues = [Due(time, "s", "customer", "c", number + place, place) for place, time in enumerate(times)]
            number += len(dues)
            kept.add(dues, store)
            wanted += dues
        elif what == "take":
            clock = max(clock, *times) if times else clock
            found = kept.take(clock, store)
            ripe = sorted(due for due in wanted if due.due_ms < clock)
            assert sorted(found) == ripe
            assert [one.due_ms for one in found] == [one.due_ms for one in ripe]
            wanted = [due for due in wanted if due.due_ms >= clock]
        else:
            kept = KeptDues(store)
        assert kept.any is bool(wanted)
    kept.take(7 * SLOT_MS, store)
    assert store.data == {}
