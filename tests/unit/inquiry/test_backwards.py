"""A topic read backwards: each record once, the newest pieces first, no further than is asked."""

import random

import pytest

import mitra.inquiry.backwards
from mitra.inquiry.backwards import Backwards, Reach
from tests.factories.inquiries import START_MS, Consumer, Message


def quiet(*_: object) -> None:
    pass


def partitions(*sizes: int) -> list[list[Message]]:
    return [
        [Message(number, offset, START_MS + offset * 10 + number, b"%d" % offset, b"x") for offset in range(size)]
        for number, size in enumerate(sizes)
    ]


def places(found: list[Message]) -> list[tuple[int, int]]:
    return [(one.partition, one.offset) for one in found]


@pytest.mark.parametrize("seed", range(20))
def test_every_record_comes_once_whatever_the_pieces(monkeypatch: pytest.MonkeyPatch, seed: int):
    chance = random.Random(seed)
    monkeypatch.setattr(mitra.inquiry.backwards, "_PIECE", chance.randrange(1, 12))
    sizes = [chance.randrange(12) for _ in range(chance.randrange(1, 4))]
    consumer = Consumer("t", partitions(*sizes), most=chance.randrange(1, 5))
    records = Backwards(consumer, Reach(newest=1_000), "looking", quiet)
    found = list(records)
    assert sorted(places(found)) == [(number, offset) for number, size in enumerate(sizes) for offset in range(size)]
    assert (records.count, records.whole) == (sum(sizes), True)
    assert records.oldest_ms == (min(one.timestamp for one in found) if found else None)
    for number in range(len(sizes)):
        pieces = [one.offset for one in found if one.partition == number]
        assert pieces == sorted(pieces, reverse=True)


@pytest.mark.parametrize("since", [0, 25, 55, 200])
@pytest.mark.parametrize("until", [None, 40, 75])
def test_nothing_outside_the_span_is_given(since: int, until: int | None):
    until_ms = None if until is None else START_MS + until
    records = Backwards(
        Consumer("t", partitions(9, 4)), Reach(since_ms=START_MS + since), "looking", quiet, until_ms=until_ms
    )
    wanted = [
        (one.partition, one.offset)
        for records_ in partitions(9, 4)
        for one in records_
        if one.timestamp - START_MS >= since and (until is None or one.timestamp - START_MS <= until)
    ]
    assert sorted(places(list(records))) == wanted


def test_it_stops_behind_the_newest_and_says_that_there_is_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mitra.inquiry.backwards, "_PIECE", 4)
    consumer = Consumer("t", partitions(40, 40))
    records = Backwards(consumer, Reach(newest=8), "looking", quiet)
    assert {offset for _, offset in places(list(records))} <= set(range(34, 40))
    assert not records.whole
    assert consumer.reads < 30


def test_who_has_what_they_want_reads_no_further(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mitra.inquiry.backwards, "_PIECE", 4)
    consumer = Consumer("t", partitions(1_000))
    assert next(iter(Backwards(consumer, Reach(newest=1_000), "looking", quiet))).offset == 999
    assert consumer.reads < 10
