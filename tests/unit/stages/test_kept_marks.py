"""Who is on a list: by revision and by the event's time, for one entity among many."""

from hypothesis import given
from hypothesis import strategies as st

from control_stream import Mark
from mitra.history import MemoryStore
from mitra.kept_marks import KeptMarks

numbers = st.integers(0, 6)
marks = st.builds(
    Mark,
    st.sampled_from(["list:a", "list:b", "snooze:r"]),
    st.sampled_from(["customer", "card"]),
    st.sampled_from(["x", "y", "größe"]),
    numbers,
    st.none() | numbers,
    st.none() | st.integers(0, 20),
)


@given(st.lists(st.lists(marks, max_size=4), max_size=6), numbers, st.integers(0, 20))
def test_names_are_those_of_the_marks_that_hold(batches: list[list[Mark]], revision: int, time_ms: int) -> None:
    store = MemoryStore()
    kept = KeptMarks(store)
    known: dict[tuple[str, str, str, int], Mark] = {}
    for batch in batches:
        kept.take(batch, 0, store)
        known.update({(*mark.place, mark.from_revision): mark for mark in batch})
    for one in (kept, KeptMarks(store)):
        for entity in ("customer", "card"):
            for key in ("x", "y", "größe"):
                expected = sorted(
                    mark.name
                    for mark in known.values()
                    if (mark.entity, mark.key) == (entity, key) and mark.holds(revision, time_ms)
                )
                assert sorted(one.names(entity, key, revision, time_ms, store)) == expected


def test_a_bucket_without_marks_says_so() -> None:
    store = MemoryStore()
    assert not KeptMarks(store).any
    KeptMarks(store).take([Mark("list:a", "card", "x", 1)], 0, store)
    assert KeptMarks(store).any


def test_what_was_closed_before_the_oldest_revision_goes() -> None:
    store = MemoryStore()
    kept = KeptMarks(store)
    kept.take([Mark("list:a", "card", "x", 1)], 0, store)
    size = sum(map(len, store.data.values()))
    kept.take([Mark("list:a", "card", "x", 1, 4)], 2, store)
    assert kept.names("card", "x", 3, 0, store) == ["list:a"]
    kept.take([Mark("list:b", "card", "x", 6)], 5, store)
    assert kept.names("card", "x", 3, 0, store) == []
    assert sum(map(len, store.data.values())) <= size + 4
