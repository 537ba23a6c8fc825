"""Routing: which bucket gets what of an event, and which events are late."""

from array import array
from dataclasses import replace

import numpy as np
import pytest

from mitra.decode import Event, event_of
from mitra.hashing import bucket_of, text_hash
from mitra.lane import Lane, Source
from mitra.messages import EventBatch, cells
from mitra.route import LATE, Router, TextHashes, joined, key_reader
from mitra.schema import Entity
from tests.factories.stages import ENTITIES, LAYOUT, LOGIN, PAYMENT, payment, router, sources

NOW_MS = 10_000.0


def routed(events: list[Event], buckets: int = 4, lane: Lane | None = None) -> dict[int, EventBatch]:
    return dict(router(buckets=buckets).route(lane or Lane(0), events, sources(len(events)), NOW_MS, 0))


def longs(column: bytes) -> list[int]:
    return np.frombuffer(column, dtype=np.int64).tolist()


def touches(batch: EventBatch) -> list[tuple[str, str, str]]:
    """Return (event id, entity, key) of every touch."""
    rows = np.frombuffer(batch.touch_events, dtype=np.int32).tolist()
    return [
        (batch.ids[row], ENTITIES[entity].name, key)
        for entity, row, key in zip(batch.touch_entities, rows, batch.keys, strict=True)
    ]


def test_each_touch_goes_to_the_bucket_of_its_key() -> None:
    event = payment(terminal="t", shop=7)
    out = routed([event])
    found = {(entity, key): bucket for bucket, batch in out.items() for _, entity, key in touches(batch)}
    assert found == {
        ("customer", "c"): bucket_of("c", 4),
        ("terminal", "t"): bucket_of("t", 4),
        ("shop", "7"): bucket_of("7", 4),
        ("pair", "c\x1f7"): bucket_of("c\x1f7", 4),
    }


def test_a_missing_field_touches_nothing() -> None:
    out = routed([payment(terminal=None, shop=None)])
    assert [touch for batch in out.values() for touch in touches(batch)] == [("a", "customer", "c")]


def test_an_event_expects_one_part_from_each_bucket_it_touches() -> None:
    events = [payment(str(number), customer=f"c{number}", terminal=f"t{number}", shop=number) for number in range(40)]
    out = routed(events)
    batches = list(out.values())
    for event in events:
        holders = [(batch, batch.ids.index(event.id)) for batch in batches if event.id in batch.ids]
        assert {batch.expected[row] for batch, row in holders} == {len(holders)}
        assert [batch.payloads[row] for batch, row in holders if batch.payloads[row]] == [event.payload]


def test_one_bucket_expects_one_part_whatever_is_touched() -> None:
    (batch,) = routed([payment(terminal="t", shop=7)], buckets=1).values()
    assert batch.expected == b"\1"
    assert len(batch.keys) == 4
    assert batch.ids == ["a"]


def test_an_event_that_touches_no_entity_passes_the_bucket_of_its_id() -> None:
    lonely = Router((PAYMENT,), (), LAYOUT, 4)
    ((bucket, batch),) = lonely.route(Lane(0), [payment("lonely")], sources(1), 1.0, 0)
    assert bucket == bucket_of("lonely", 4)
    assert (batch.expected, batch.keys, len(batch.payloads)) == (b"\1", [], 1)


def test_columns_are_those_of_the_layout_with_missing_values_marked() -> None:
    (batch,) = routed([payment(terminal="t", amount=2.5), payment("b", shop=3)], buckets=1).values()
    assert np.frombuffer(batch.numbers).reshape(2, 2).tolist()[0][1] == 2.5
    assert np.isnan(np.frombuffer(batch.numbers).reshape(2, 2)).tolist() == [[True, False], [False, True]]
    assert batch.texts == [["c", "t"], ["c", None]]
    assert longs(batch.text_hashes) == [text_hash("c"), text_hash("t"), text_hash("c"), 0]
    assert longs(batch.times_ms) == [5000, 5000]
    assert longs(batch.id_hashes) == [text_hash("a"), text_hash("b")]


def test_sources_are_kept() -> None:
    ((_, batch),) = router(buckets=1).route(Lane(3), [payment()], [Source(0, 5, 1 << 40)], 9.5, 4)
    assert (batch.topics, batch.partitions, longs(batch.offsets)) == (b"\0", array("i", [5]).tobytes(), [1 << 40])
    assert (batch.lane, batch.revision, np.frombuffer(batch.decoded_ms).tolist()) == (3, 4, [9.5])


def test_an_event_is_late_by_the_clock_of_its_lane_as_it_arrives() -> None:
    lane = Lane(0)
    (batch,) = routed([payment(str(t), t) for t in (5000, 4000, 3999, 9000, 7999, 8000)], 1, lane).values()
    assert list(batch.flags) == [0, 0, LATE, 0, LATE, 0]
    assert lane.clock_ms == batch.clock_ms == 9000
    (batch,) = routed([payment("later", 7000)], 1, lane).values()
    assert (list(batch.flags), lane.clock_ms) == ([LATE], 9000)


def test_an_event_from_the_future_makes_no_other_late() -> None:
    lane = Lane(0)
    (batch,) = routed([payment("ahead", 90_000), payment("right", 9_500), payment("old", 8_000)], 1, lane).values()
    assert list(batch.flags) == [0, 0, LATE]
    assert lane.clock_ms == NOW_MS


def test_nothing_comes_of_nothing() -> None:
    assert routed([]) == {}


def test_a_login_is_not_taken_for_the_payment_of_the_same_id() -> None:
    login = event_of("a", 5000, ("a", 5000, "c"))
    ((_, batch),) = router(1).route(Lane(0), [login], sources(1, topic=1), 1.0, 0)
    assert longs(batch.id_hashes) != [text_hash("a")]
    assert batch.kinds == b"\1"


@pytest.mark.parametrize(
    ("fields", "values", "key"),
    [
        (("customer",), ("a", 1, "c", None, 7, 1.0), "c"),
        (("shop",), ("a", 1, "c", None, 7, 1.0), "7"),
        (("shop",), ("a", 1, "c", None, None, 1.0), None),
        (("customer", "shop"), ("a", 1, "c", None, 7, 1.0), "c\x1f7"),
        (("customer", "terminal"), ("a", 1, "c", None, 7, 1.0), None),
    ],
)
def test_keys_are_texts_of_fields(fields: tuple[str, ...], values: tuple[object, ...], key: str | None) -> None:
    read = key_reader(Entity("e", fields), PAYMENT)
    assert read is not None
    assert read(values) == key


def test_no_two_entities_of_several_fields_share_a_key() -> None:
    pieces = ["", "a", "0", "1", "\x1e", "\x1f", "\x1e1", "a\x1f", "\x1fb", "\x1e0\x1f", "a\x1fb"]
    pairs = [(one, other) for one in pieces for other in pieces]
    triples = [(*pair, piece) for pair in pairs for piece in pieces]
    for entities in (pairs, triples):
        assert len({joined(entity) for entity in entities}) == len(entities)


def test_an_event_without_an_entitys_fields_has_no_key() -> None:
    assert key_reader(Entity("terminal", ("terminal",)), LOGIN) is None


def test_text_hashes_forget_when_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mitra.route._HASHES_KEPT", 3)
    hashes = TextHashes()
    assert [hashes[text] for text in ("a", "b", "c", "a", None)] == [*map(text_hash, "abca"), 0]
    assert len(hashes) <= 4


def test_hashes_of_long_texts_take_no_memory() -> None:
    hashes = TextHashes()
    assert hashes["x" * 129] == text_hash("x" * 129)
    assert hashes["x" * 128] == text_hash("x" * 128)
    assert set(hashes) == {None, "x" * 128}


@pytest.mark.parametrize("count", [1, 5, 24, 25, 200])
def test_cells_picks_rows_however_many(count: int) -> None:
    column = array("q", range(1000)).tobytes()
    rows = list(range(0, 1000, 5))[:count]
    assert longs(cells(column, 8, rows)) == rows
    assert cells(column, 8, range(1000)) == column
    assert cells(b"", 0, [0, 1]) == b""


def test_what_a_type_sends_out_of_order_is_waited_for() -> None:
    slow = replace(LOGIN, out_of_order_ms=3_000)
    lane = Lane(0, opening_ms=0)
    ((_, batch),) = Router((PAYMENT, slow), ENTITIES, LAYOUT, 1).route(
        lane, [payment("a", 9_000)], sources(1), NOW_MS, 0
    )
    assert (batch.clock_ms, batch.settled_ms) == (9_000, 6_000)


def test_the_future_settles_nothing() -> None:
    lane = Lane(0, opening_ms=0)
    ((_, batch),) = router(1).route(lane, [payment("ahead", 90_000)], sources(1), NOW_MS, 0)
    assert batch.settled_ms == NOW_MS
