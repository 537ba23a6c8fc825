"""The edges of what may come: no events, no aggregates, many conditions, wide texts, far times, foreign buckets."""

from dataclasses import replace

import numpy as np
import pytest

from mitra.errors import MitraError
from mitra.history import CONFLICT, History, Layout, MemoryStore, Plan, warm_up
from mitra.schema import HistoryLimits, Labels
from rules.plan import Aggregate, Window
from tests.factories.history import ENTITIES, LAYOUT, LOGIN, PAYMENT, WHERES, aggregate, columns, notes, touches
from tests.oracles.history import Label, PastEvent
from tests.unit.history.test_retention import DAY, HEADER, START, feed, payment, plan_of


def test_no_touches_write_nothing():
    history, store = History(plan_of(aggregate("count", "customer"))), MemoryStore()
    result = history.process(0, store, columns([]), touches([]), None, START)
    assert result.values.shape == (0, 1)
    assert not store.data


def test_a_plan_without_aggregates_keeps_events():
    store = MemoryStore()
    feed(History(plan_of()), store, [payment(n, START + n) for n in range(30)])
    result = feed(History(plan_of(aggregate("count", "customer"))), store, [payment(30, START + 30)])
    assert result.values[0, 0] == 31


@pytest.mark.parametrize("time_ms", [0, 1, 4_102_444_800_000, 253_402_300_799_000])
def test_times_from_1970_to_9999_are_kept(time_ms):
    plan = plan_of(aggregate("count", "customer", None, ("over", DAY)), aggregate("seconds_since", "customer"))
    store = MemoryStore()
    feed(History(plan), store, [payment(0, time_ms)])
    result = feed(History(plan), store, [payment(1, time_ms + 1500)])
    assert result.values[0].tolist() == [2, 1.5]


def test_long_and_foreign_texts_come_back():
    asked = [aggregate("previous", "customer", "device"), aggregate("previous", "customer", "country")]
    plan, store = plan_of(*asked), MemoryStore()
    long = "ß" * 40_000
    feed(History(plan), store, [PastEvent("payment", START, "a", 0, {"device": long, "country": ""})])
    result = feed(History(plan), store, [payment(1, START + 1)])
    assert result.texts == [[long, ""]]


def test_a_conflict_has_no_values_and_the_stored_events_arrival():
    history, store = History(plan_of(aggregate("count", "customer"))), MemoryStore()
    feed(history, store, [payment(n, START + n) for n in range(3)])
    other = PastEvent("payment", START + 1, "id1", 1, {"amount": 9.0})
    result = feed(history, store, [other])
    assert (result.status[0], result.arrival[0]) == (CONFLICT, 2)
    assert np.isnan(result.values[0, 0])


def test_small_caches_answer_as_large_ones():
    asked = [
        aggregate("sum", "customer", "amount", ("over", DAY)),
        aggregate("distinct", "customer", "device", ("over", DAY)),
    ]
    answers = []
    for cache_bytes in (0, 10_000, 1 << 24):
        history, store, rows = History(plan_of(*asked), cache_bytes), MemoryStore(), []
        for n in range(60):
            part = [payment(n * 20 + i, START + n * 20 + i) for i in range(20)]
            members = [(i, 0, f"c{(n + i) % 7}") for i in range(20)]
            rows.append(history.process(0, store, columns(part), touches(members), None, 0).values)
        answers.append(np.vstack(rows))
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])


def test_labels_that_say_what_silence_says_do_not_pile_up():
    labels = Labels("fraud", "labels", "id", "label", absent_is="legit", after_ms=1000)
    plan = Plan(
        [aggregate("mean", "customer", "fraud", ("over", DAY), 1000)], LAYOUT, ENTITIES, labels, HistoryLimits()
    )
    history, store = History(plan), MemoryStore()
    for n in range(400):
        event = payment(n, START + n * 1000)
        told = notes(
            [
                (
                    0,
                    "anna",
                    Label(event.id, event.time_ms, float(n % 50 == 0), event.time_ms + 1000, event.time_ms + 1000),
                )
            ]
        )
        result = history.process(0, store, columns([event]), touches([(0, 0, "anna")]), told, 0)
        assert n == 0 or result.values[0, 0] == pytest.approx(((n - 1) // 50 + 1) / n)
    assert len(store.data["\0l\0" + HEADER]) < 64 * 50


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (aggregate("sum", "customer", "device"), "sum of field='device', which is a string"),
        (aggregate("sum", "customer", "colour"), "histories keep no field='colour'"),
        (aggregate("count", "card"), "by=card; entities are customer, terminal"),
        (aggregate("count", "customer", event="refund"), "event='refund'; the pipeline has payment, login"),
        (Aggregate("sum()", "sum", "customer", None, Window("ever"), 0, None, None, "number"), "sum needs a field"),
    ],
)
def test_what_a_plan_cannot_ask_is_told(asked, told):
    with pytest.raises(MitraError, match=told):
        plan_of(asked)


def test_a_layout_holds_the_fields_of_all_event_types():
    layout = Layout.of([PAYMENT, LOGIN])
    assert layout.numeric == ("amount", "items", "online")
    assert layout.text == ("country", "device")
    assert Layout.decode(layout.encoded) == layout
    assert layout.fingerprint != Layout.of([LOGIN, PAYMENT]).fingerprint


def test_predicates_get_values_in_their_own_types():
    seen = []
    where = WHERES[3]

    def test(values):
        seen.append(values)
        return True

    asked = [
        aggregate("count", "customer", where=type(where)("all", ("amount", "items", "online", "country", "time"), test))
    ]
    event = PastEvent("payment", START, "a", 0, {"amount": 2.5, "items": 3, "online": False, "country": None})
    feed(History(plan_of(*asked)), MemoryStore(), [event])
    assert [list(values) for values in seen] == [[2.5, 3, False, None, START]]
    assert [type(value) for value in seen[0][:3]] == [float, int, bool]


def test_warming_up_twice_is_cheap():
    warm_up()
    warm_up()


@pytest.mark.parametrize("restart", [False, True])
def test_long_texts_are_answered_though_nobody_remembers_them(restart):
    plan = plan_of(
        aggregate("previous", "customer", "country"), aggregate("first", "customer", "country"), raw_events=32
    )
    history, store = History(plan), MemoryStore()
    events = [payment(n, START + n * 1000) for n in range(60)]
    long = [replace(event, values=event.values | {"country": f"{n} " * 100}) for n, event in enumerate(events)]
    # One comes late, among rows that are sealed.
    order = [*range(40), 45, *range(41, 45), *range(46, 60), 40]
    answers = []
    for first in range(0, 60, 7):
        answers += feed(history, store, [long[n] for n in order[first : first + 7]]).texts
        if restart:
            history = History(plan)
    assert [row[0] for row in answers[1:40]] == [f"{n} " * 100 for n in range(39)]
    assert answers[-1][0] == "39 " * 100
    assert answers[-2] == ["58 " * 100, "0 " * 100]
    assert all(len(text) <= 128 for text in history._shared.recent.values())
