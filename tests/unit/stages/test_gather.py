"""Gathering: a record goes on when all its parts have come, in whatever batches they came."""

import math

import pytest

from mitra.gather import Gathered, gather
from mitra.history import MemoryStore
from mitra.messages import PartBatch
from tests.factories.stages import FIELDS, NAMES, PLAN, part, payment


class Bucket:
    """A decide bucket that gathers, and writes what gathering tells it to."""

    def __init__(self) -> None:
        self.pending = MemoryStore()

    def gather(self, *batches: PartBatch) -> Gathered:
        gathered, puts, removes = gather(self.pending, batches, PLAN, 2, NAMES)
        self.pending.put_all(puts)
        for key in removes:
            self.pending.remove(key)
        return gathered


FIRST = part(payment(), expected=2, entities=[0, 3], keys=["c", "p"], values=[[1.0, 2.0], [3.0, 4.0]])
SECOND = part(payment(), expected=2, entities=[1], keys=["t"], values=[[5.0, 6.0]], payload=False)


def touched(gathered: Gathered) -> list[tuple[int, int, str, list[float]]]:
    """Return (row, entity, key, values) of the touches of complete records."""
    columns = zip(gathered.rows, gathered.entities, gathered.keys, gathered.values.tolist(), strict=True)
    return sorted((int(row), int(entity), key, values) for row, entity, key, values in columns if row >= 0)


ALL = [(0, 0, "c", [1.0, 2.0]), (0, 1, "t", [5.0, 6.0]), (0, 3, "p", [3.0, 4.0])]


def test_parts_of_one_batch_are_complete_at_once() -> None:
    bucket = Bucket()
    gathered = bucket.gather(FIRST, SECOND)
    assert gathered.identities == [("a", 0, 0, 0)]
    assert gathered.payloads == [payment().payload]
    assert touched(gathered) == ALL
    assert bucket.pending.data == {}


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)])
def test_parts_of_two_batches_wait_for_each_other(order: tuple[PartBatch, PartBatch]) -> None:
    bucket = Bucket()
    assert bucket.gather(order[0]).identities == []
    assert list(bucket.pending.data) == ["a"]
    gathered = bucket.gather(order[1])
    assert gathered.identities == [("a", 0, 0, 0)]
    assert gathered.payloads == [payment().payload]
    assert touched(gathered) == ALL
    assert bucket.pending.data == {}


def test_the_parts_of_a_duplicate_do_not_mix_with_those_of_the_first() -> None:
    bucket = Bucket()
    again = part(payment(), expected=2, offset=9, entities=[1], keys=["t"], values=[[7.0, 8.0]])
    assert bucket.gather(FIRST, again).identities == []
    assert bucket.gather(SECOND).identities == [("a", 0, 0, 0)]
    assert list(bucket.pending.data) == ["a"]
    rest = part(payment(), expected=2, offset=9, entities=[0], keys=["c"], values=[[9.0, 9.0]], payload=False)
    gathered = bucket.gather(rest)
    assert gathered.identities == [("a", 0, 0, 9)]
    assert touched(gathered) == [(0, 0, "c", [9.0, 9.0]), (0, 1, "t", [7.0, 8.0])]
    assert bucket.pending.data == {}


def test_the_same_offset_of_another_partition_is_another_record() -> None:
    elsewhere = part(payment(), expected=2, partition=1)
    assert Bucket().gather(FIRST, elsewhere).identities == []


def test_three_parts_in_three_batches() -> None:
    bucket = Bucket()
    parts = [part(payment(), expected=3, entities=[e], keys=[str(e)], payload=e == 1) for e in range(3)]
    assert [bucket.gather(one).identities for one in parts] == [[], [], [("a", 0, 0, 0)]]
    assert bucket.pending.data == {}


def test_a_batch_of_many_records_keeps_each_ones_touches() -> None:
    whole = part(payment(), expected=1)
    many = part(payment(), expected=2)
    for name in ("topics", "partitions", "offsets", "flags", "decoded_ms", "history_ms", "times_ms", "payloads"):
        setattr(many, name, getattr(many, name) * 2)
    many.ids, many.expected, many.touch_events = ["x", "y"], b"\2\1", FIRST.touch_events[:4] + b"\1\0\0\0"
    many.touch_entities, many.statuses, many.arrivals = b"\0\0", b"\0\0", many.arrivals * 2
    many.values, many.keys = whole.values + SECOND.values, ["of x", "of y"]
    bucket = Bucket()
    gathered = bucket.gather(many)
    assert gathered.identities == [("y", 0, 0, 0)]
    assert touched(gathered) == [(0, 0, "of y", [5.0, 6.0])]
    gathered = bucket.gather(part(payment("x"), expected=2, entities=[2], keys=["rest"], payload=False))
    assert touched(gathered) == [(0, 0, "of x", [1.0, 2.0]), (0, 2, "rest", [1.0, 2.0])]


def test_texts_and_approximations_of_some_parts_only() -> None:
    marked = part(payment(), expected=2, texts=[["DE"]], approximate=b"\0\1")
    gathered = Bucket().gather(marked, SECOND)
    assert gathered.texts == [["DE"], []]
    assert gathered.approximate is not None
    assert gathered.approximate.tolist() == [[0, 1], [0, 0]]
    assert Bucket().gather(FIRST, SECOND).approximate is None


def test_the_last_answer_tells_when_history_was_done() -> None:
    late = part(payment(), expected=2, history_ms=SECOND.decoded_ms, entities=[1])
    assert Bucket().gather(FIRST, late).history_ms == [1002.0]


def test_the_answers_of_another_plan_are_missing() -> None:
    old = part(payment(), expected=1, plan=PLAN + 1, values=[[1.0, 2.0, 3.0]], texts=[["DE"]])
    gathered = Bucket().gather(old, part(payment("b"), texts=[["FR"]]))
    assert gathered.foreign is not None
    assert (gathered.foreign.tolist(), gathered.foreign_payloads) == ([True, False], {0: FIELDS})
    assert all(math.isnan(value) for value in gathered.values[0])
    assert gathered.values[1].tolist() == [1.0, 2.0]
    assert gathered.texts == [[], ["FR"]]


def test_the_entities_of_another_plan_are_known_by_name() -> None:
    old = part(payment(), plan=PLAN + 1, entities=[0, 1], keys=["gone", "t"], values=[[1.0], [2.0]])
    old.entities = ["gone", "terminal"]
    gathered = Bucket().gather(old)
    assert [touch[:3] for touch in touched(gathered)] == [(0, NAMES.index("terminal"), "t")]


def test_a_plan_without_aggregates_has_no_values() -> None:
    bare = part(payment(), entities=[], keys=[], values=[])
    gathered, _, _ = gather(MemoryStore(), [bare], PLAN, 0, NAMES)
    assert gathered.identities == [("a", 0, 0, 0)]
    assert gathered.values.shape == (0, 0)
