"""State written under another pipeline: new fields are missing in old rows, new conditions see old events."""

from dataclasses import replace

import numpy as np
import pytest

from mitra.history import CONFLICT, DUPLICATE, NEW, History, Layout, MemoryStore, Plan
from mitra.history.codec import UnknownStateError
from mitra.schema import Field, HistoryLimits, Labels
from rules.plan import Aggregate
from tests.factories.history import ENTITIES, LAYOUT, LOGIN, PAYMENT, WHERES, aggregate, columns, notes, touches
from tests.oracles.history import Label
from tests.unit.history.test_retention import DAY, START, feed, payment, plan_of


def test_a_new_condition_is_right_from_its_first_event():
    history, store = History(plan_of(aggregate("count", "customer", None, ("over", DAY)))), MemoryStore()
    feed(history, store, [payment(n, START + n) for n in range(60)])
    asked = [
        aggregate("count", "customer", None, ("over", DAY), where=WHERES[1]),
        aggregate("count", "customer", None, ("over", DAY), event="login"),
        aggregate("count", "customer", None, ("over", DAY), event="payment"),
        aggregate("distinct", "customer", "device", ("over", DAY), where=WHERES[1]),
    ]
    result = feed(History(plan_of(*asked)), store, [payment(60, START + 60)])
    assert result.values[0].tolist() == [61, 0, 61, 5]


def test_conditions_keep_their_bits_when_others_come_and_go():
    many = [
        aggregate("count", "customer", None, ("over", DAY), where=replace_text(WHERES[0], n), event=event)
        for n in range(40)
        for event in (None, "payment")
    ]
    store = MemoryStore()
    for step in (many[:3], many, many[70:], many[::-1]):
        history = History(plan_of(*step))
        number = len(store.data) * 1000
        result = feed(history, store, [payment(number + n, START + n) for n in range(30)])
        again = feed(History(plan_of(*step)), store, [payment(number + 30, START + 30)])
        assert len(set(result.values[-1].tolist())) == 1
        assert len(set(again.values[0].tolist())) == 1


def replace_text(condition, number):
    return replace(
        condition, text=f"amount > 0 and {number} == {number}", test=lambda v: None if v[0] is None else v[0] > 2
    )


def test_labels_are_found_under_a_new_list_of_conditions():
    labels = Labels("fraud", "labels", "id", "label", absent_is="legit", after_ms=0)

    def plan(*asked: Aggregate) -> Plan:
        return Plan(asked, LAYOUT, ENTITIES, labels, HistoryLimits())

    store = MemoryStore()
    first = plan(aggregate("sum", "customer", "fraud", ("over", DAY)))
    events = [payment(n, START + n) for n in range(30)]
    told = notes([(0, "anna", Label(f"id{n}", START + n, 1.0, START + n, 1)) for n in range(10)])
    History(first).process(0, store, columns(events), touches([(row, 0, "anna") for row in range(30)]), told, 0)
    asked = [
        aggregate("sum", "customer", "fraud", ("over", DAY), where=WHERES[1]),
        aggregate("sum", "customer", "fraud", ("over", DAY), where=WHERES[2]),
        aggregate("mean", "customer", "fraud", ("over", DAY), event="payment"),
    ]
    for number in (30, 31):
        result = feed(History(plan(*asked)), store, [payment(number, START + number)])
        assert result.values[0].tolist() == [10, 0, pytest.approx(10 / (number + 1))]


def test_a_field_that_is_added_is_missing_in_old_rows_and_one_that_is_gone_is_left_out():
    store = MemoryStore()
    feed(History(plan_of(aggregate("count", "customer"))), store, [payment(n, START + n) for n in range(40)])
    fields = tuple(field for field in PAYMENT.fields if field.name not in {"items", "online"})
    wider = replace(
        PAYMENT, fields=(Field("tip", "number", required=False), *fields, Field("city", "string", required=False))
    )
    layout = Layout.of([LOGIN, wider])
    asked = [
        aggregate("count", "customer", "tip", ("over", DAY)),
        aggregate("sum", "customer", "amount", ("over", DAY)),
        aggregate("distinct", "customer", "device", ("over", DAY)),
        Aggregate(
            "count of cities",
            "count",
            "customer",
            "city",
            aggregate("count", "customer").window,
            0,
            None,
            None,
            "integer",
        ),
        aggregate("count", "customer", None, ("over", DAY), event="payment"),
    ]
    plan = Plan(asked, layout, ENTITIES, None, HistoryLimits())
    event = payment(40, START + 40)
    event = replace(event, values=event.values | {"tip": 2.0, "city": "Kyiv"})
    for restart in range(2):
        batch = columns([replace(event, id=f"new{restart}")], layout)
        result = History(plan).process(0, store, batch, touches([(0, 0, "anna")]), None, 0)
        amounts = sum(1.0 + n % 7 for n in range(40)) + (restart + 1) * (1.0 + 40 % 7)
        assert result.values[0].tolist() == [restart + 1, amounts, 5, restart + 1, 41 + restart]


def test_an_event_sent_again_with_more_fields_is_a_duplicate():
    store = MemoryStore()
    feed(History(plan_of(aggregate("count", "customer"))), store, [payment(n, START + n) for n in range(40)])
    wider = replace(PAYMENT, fields=(*PAYMENT.fields, Field("tip", "number", required=False)))
    layout = Layout.of([LOGIN, wider])
    history = History(Plan([aggregate("count", "customer")], layout, ENTITIES, None, HistoryLimits()))

    def send(number: int, content: int) -> int:
        event = payment(number, START + number)
        batch = columns([replace(event, content=content, values=event.values | {"tip": 2.0})], layout)
        return int(history.process(0, store, batch, touches([(0, 0, "anna")]), None, 0).status[0])

    assert [send(3, 1), send(39, 1)] == [DUPLICATE, DUPLICATE]
    assert [send(40, 1), send(40, 1), send(40, 2)] == [NEW, DUPLICATE, CONFLICT]


def test_a_source_that_tiles_lack_is_marked_until_it_is_covered():
    store = MemoryStore()
    feed(
        History(plan_of(aggregate("count", "customer"), raw_events=64)),
        store,
        [payment(n, START + n * 1000) for n in range(300)],
    )
    asked = [
        aggregate("count", "customer", None, ("over", DAY), where=WHERES[1]),
        aggregate("sum", "customer", "amount", ("over", DAY)),
        aggregate("distinct", "customer", "device", ("over", DAY)),
        aggregate("sum", "customer", "amount"),
    ]
    result = feed(History(plan_of(*asked, raw_events=64)), store, [payment(300, START + 300_000)])
    assert result.approximate is not None
    assert result.approximate[0].tolist() == [True, False, True, True]
    assert result.values[0, 1] == sum(1.0 + n % 7 for n in range(301))


def test_bytes_of_a_newer_release_are_refused():
    plan = plan_of(aggregate("count", "customer"))
    store = MemoryStore()
    feed(History(plan), store, [payment(0, START)])
    store.data["customer\0anna"] = b"\x63" + store.data["customer\0anna"][1:]
    with pytest.raises(UnknownStateError, match="version=99; this release reads 1"):
        feed(History(plan), store, [payment(1, START)])


class BrokenStore(MemoryStore):
    broken = False

    def put_all(self, entries: dict[str, bytes]) -> None:
        if self.broken:
            raise OSError("disk full")
        super().put_all(entries)


def test_what_could_not_be_written_is_not_remembered():
    asked = [aggregate("count", "customer"), aggregate("distinct", "customer", "device")]
    history, store = History(plan_of(*asked)), BrokenStore()
    feed(history, store, [payment(n, START + n) for n in range(30)])
    store.broken = True
    with pytest.raises(OSError, match="disk full"):
        feed(history, store, [payment(n, START + n) for n in range(30, 60)])
    store.broken = False
    result = feed(history, store, [payment(n, START + n) for n in range(30, 60)])
    assert result.arrival.tolist() == list(range(31, 61))
    assert result.values[:, 0].tolist() == list(range(31, 61))
    assert not np.isnan(result.values).any()
