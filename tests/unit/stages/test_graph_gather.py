"""Gathering with a graph: who waits for its answer, for how long, and what becomes of answers that come late."""

import random
from array import array
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitra.graph_asking import Identity, Said
from mitra.graph_gather import Collected, GraphGather, Ready
from mitra.history import MemoryStore
from mitra.messages import PartBatch, Told
from tests.factories.stages import part, payment

PLAN, DEADLINE_MS, DECODED_MS = 7, 100, 1000.0
FIRST = part(payment(), expected=2)
SECOND = part(payment(), expected=2, entities=[1], keys=["t"], values=[[5.0, 6.0]], payload=False)
A: Identity = ("a", 0, 0, 0)


def told(id: str = "a", value: float = 3.0, *, offset: int = 0, complete: bool = True, plan: int = PLAN) -> Told:
    return Told(
        plan=plan,
        ids=[id],
        topics=b"\0",
        partitions=array("i", [0]).tobytes(),
        offsets=array("q", [offset]).tobytes(),
        width=1,
        values=np.array([value]).tobytes(),
        capped=b"\0",
        complete=bytes([complete]),
    )


class Bucket:
    """A decide bucket that gathers, and writes what gathering tells it to."""

    def __init__(self) -> None:
        self.pending = MemoryStore()
        self.decided: set[str] = set()
        self.late = 0
        self.restore(0.0)

    def restore(self, now_ms: float) -> None:
        self.gather = GraphGather(self.pending, PLAN, DEADLINE_MS, now_ms)

    def take(self, *messages: PartBatch | Told, now_ms: float = DECODED_MS) -> list[Ready]:
        parts = [one for one in messages if isinstance(one, PartBatch)]
        answers = [one for one in messages if isinstance(one, Told)]
        collected = self.gather.collect(parts, answers, self.gather.overdue(now_ms), self.decided.__contains__)
        self.write(collected)
        found = [ready for _, each in sorted(collected.ready.items()) for ready in each]
        self.decided |= {ready.identity[0] for ready in found}
        return found

    def write(self, collected: Collected) -> None:
        self.late += collected.late
        self.pending.put_all(collected.puts)
        for key in collected.removes:
            self.pending.remove(key)


def values(ready: Sequence[Ready]) -> list[tuple[str, float | None]]:
    return [(one.identity[0], None if one.said is None else float(np.frombuffer(one.said.values)[0])) for one in ready]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)])
def test_parts_and_answer_come_together_in_any_order(order: tuple[int, ...]) -> None:
    bucket = Bucket()
    messages = [FIRST, SECOND, told()]
    assert bucket.take(messages[order[0]]) == []
    assert bucket.take(messages[order[1]]) == []
    assert values(bucket.take(messages[order[2]])) == [("a", 3.0)]
    assert (bucket.pending.data, bucket.gather.waits, bucket.late) == ({}, {}, 0)


def test_all_in_one_batch_touches_no_state() -> None:
    bucket = Bucket()
    assert values(bucket.take(told(), SECOND, FIRST)) == [("a", 3.0)]
    assert bucket.pending.data == {}


def test_who_has_all_parts_waits_until_its_deadline_and_no_longer() -> None:
    bucket = Bucket()
    assert bucket.take(FIRST, SECOND) == []
    assert bucket.gather.next_due_ms() == DECODED_MS + DEADLINE_MS
    assert bucket.take(now_ms=DECODED_MS + DEADLINE_MS - 1) == []
    assert values(bucket.take(now_ms=DECODED_MS + DEADLINE_MS)) == [("a", None)]
    assert (bucket.pending.data, bucket.gather.next_due_ms()) == ({}, None)


def test_who_lacks_a_part_has_no_deadline() -> None:
    bucket = Bucket()
    assert bucket.take(FIRST, told()) == []
    assert bucket.take(now_ms=DECODED_MS * 1_000) == []
    assert values(bucket.take(SECOND)) == [("a", 3.0)]


def test_an_answer_behind_its_decision_is_dropped_and_counted() -> None:
    bucket = Bucket()
    bucket.take(FIRST, SECOND)
    bucket.take(now_ms=DECODED_MS + DEADLINE_MS)
    assert bucket.take(told()) == []
    assert (bucket.pending.data, bucket.late) == ({}, 1)


def test_a_duplicate_of_what_is_decided_waits_for_nobody() -> None:
    bucket = Bucket()
    bucket.take(FIRST, SECOND, told())
    again = part(payment(), expected=1, offset=9)
    assert [one.identity for one in bucket.take(again)] == [("a", 0, 0, 9)]
    assert bucket.take(told(offset=9)) == []
    assert bucket.late == 1


def test_after_a_restore_a_deadline_counts_from_the_first_input() -> None:
    bucket = Bucket()
    bucket.take(FIRST, SECOND)
    bucket.restore(90_000.0)
    assert bucket.gather.next_due_ms() == 90_000.0 + DEADLINE_MS
    assert bucket.take(now_ms=90_001.0) == []
    assert values(bucket.take(told(), now_ms=90_002.0)) == [("a", 3.0)]


def test_an_answer_to_other_questions_is_none() -> None:
    bucket = Bucket()
    assert values(bucket.take(FIRST, SECOND, told(plan=8))) == [("a", None)]


def test_an_incomplete_answer_says_so() -> None:
    assert Bucket().take(FIRST, SECOND, told(complete=False))[0].said == Said(np.array([3.0]).tobytes(), b"\0", False)


def test_the_oldest_revision_is_that_of_what_has_its_parts_and_waits() -> None:
    bucket = Bucket()
    assert bucket.gather.oldest() is None
    bucket.take(FIRST)
    assert bucket.gather.oldest() is None  # its other part comes before any marker
    bucket.take(SECOND)
    bucket.restore(0.0)
    assert bucket.gather.oldest() == FIRST.revision
    bucket.take(told())
    assert bucket.gather.oldest() is None


@given(st.lists(st.integers(1, 3), min_size=1, max_size=6), st.randoms(use_true_random=False), st.integers(1, 8))
def test_every_record_goes_on_once_whatever_the_order_the_batches_and_restores(
    expected: list[int], numbers: random.Random, pieces: int
) -> None:
    messages: list[PartBatch | Told] = []
    for number, count in enumerate(expected):
        messages += [part(payment(str(number)), expected=count, entities=[e], payload=e == 0) for e in range(count)]
        if numbers.random() < 0.7:
            messages.append(told(str(number), float(number)))
    numbers.shuffle(messages)
    bucket = Bucket()
    found: list[tuple[str, float | None]] = []
    for start in range(0, len(messages), pieces):
        found += values(bucket.take(*messages[start : start + pieces]))
        if numbers.random() < 0.3:
            bucket.restore(DECODED_MS)
    found += values(bucket.take(now_ms=DECODED_MS + DEADLINE_MS))
    answered = {one.ids[0] for one in messages if isinstance(one, Told)}
    assert sorted(found) == [(str(n), float(n) if str(n) in answered else None) for n in range(len(expected))]
    assert bucket.pending.data == {}
