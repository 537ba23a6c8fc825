"""Histories answer what the naive oracle answers, whatever arrives in whatever order, batch, cache and after any restart."""

import math
from dataclasses import dataclass, field, replace
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mitra.history.labels as labels_module
import mitra.history.sealing as chunk
from mitra.history import CONFLICT, DUPLICATE, NEW, History, MemoryStore, Plan, Result
from mitra.schema import HistoryLimits, Labels
from rules.plan import Pair
from tests.factories.history import ENTITIES, LAYOUT, WHERES, aggregate, columns, notes, question, touches
from tests.oracles.history import Label, OracleHistory, PastEvent

AMOUNTS = [None, 0.0, -0.0, 0.1, 9.99, 10.0, 10.01, 123456.789, -17.3, 1e-3, 70.0, 70.0]
KEYS = ["a", "b", "\0s0\0customer\0a", "ключ"]
STATUS = {NEW: "new", DUPLICATE: "duplicate", CONFLICT: "conflict"}
SERIES = {"quantile", "most_common", "trend", "periodicity"}
OF_ELAPSED = {"count", "sum", "mean", "min", "max", "std", "quantile", "trend"}
NUMERIC, TEXT = ("amount", "items", "online"), ("country", "device")


@st.composite
def asked(draw):
    function = draw(
        st.sampled_from(
            ["count", "sum", "mean", "min", "max", "std", "distinct", "previous", "first", "seconds_since", "quantile",
             "most_common", "trend", "periodicity", "open"]
        )
    )  # fmt: skip
    parameter = pair = None
    if function == "quantile":
        parameter = draw(st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]))
    elif function == "periodicity":
        parameter = draw(st.sampled_from([7.0, 100.0, 1000.0]))
    if function in {"seconds_since", "periodicity", "open"}:
        name = None
    elif function == "count":
        name = draw(st.sampled_from([None, *NUMERIC, *TEXT, "fraud"]))
    elif function in {"distinct", "previous", "first", "most_common"}:
        name = draw(st.sampled_from([*NUMERIC, *TEXT]))
    elif function in {"quantile", "trend"}:
        name = draw(st.sampled_from(NUMERIC))
    else:
        name = draw(st.sampled_from([*NUMERIC, "fraud"]))
    window = draw(
        st.one_of(
            st.tuples(st.just("over"), st.sampled_from([1, 10, 100, 400, 2000])),
            st.tuples(st.just("last"), st.sampled_from([1, 2, 3, 10, 50])),
            st.tuples(st.just("session"), st.sampled_from([1, 10, 60, 300])),
            *([] if function in SERIES else [st.just(("ever", 0))]),
        )
    )
    delay = draw(st.sampled_from([0, 0, 0, 1, 50, 300]))
    where = draw(st.sampled_from([None, None, *WHERES]))
    event = draw(st.sampled_from([None, None, "payment", "login"]))
    if function == "open" or (function in OF_ELAPSED and name != "fraud" and draw(st.integers(0, 2)) == 0):
        begin, *ends = draw(st.sampled_from([("payment", "login"), ("login", "payment")]))
        # Only payments have a country, so no login would match one.
        shared = draw(st.sampled_from(["device", "device", "country"]))
        pair = Pair(begin, tuple(ends), shared)
        name, event = None, begin if function == "open" else ends[0]
    return function, name, window, delay, where, event, parameter, pair


@st.composite
def payments(draw):
    kind = draw(st.sampled_from(["payment", "payment", "login"]))
    values = {"device": draw(st.sampled_from(["d1", "d2", "d3", "ünï" * 90]))}
    if kind == "payment":
        values |= {
            "amount": draw(st.sampled_from(AMOUNTS)),
            "items": draw(st.sampled_from([None, 1, 2, 3])),
            "online": draw(st.sampled_from([None, True, False])),
            "country": draw(st.sampled_from([None, "DE", "FR", "JP"])),
        }
        if draw(st.booleans()):
            values["device"] = None
    return PastEvent(
        kind, draw(st.integers(0, 1000)), f"id{draw(st.integers(0, 300))}", draw(st.sampled_from([0, 0, 0, 1])), values
    )


@dataclass
class Twin:
    """Histories and their oracle, fed the same."""

    plan: Plan
    asked: list
    absent_after: int | None
    stores: dict = field(default_factory=lambda: {0: MemoryStore(), 1: MemoryStore()})
    oracles: dict = field(default_factory=dict)
    history: History | None = None
    journal_events: int = 0

    def oracle(self, entity: int, key: str) -> OracleHistory:
        return self.oracles.setdefault((entity, key), OracleHistory("fraud", self.absent_after))

    def feed(self, events, members, labels, cache_bytes) -> None:
        if self.history is None:
            self.history = History(self.plan, cache_bytes, self.journal_events)
        for bucket in (0, 1):
            mine = [m for m in members if KEYS.index(m[2]) % 2 == bucket]
            my_labels = [x for x in labels if KEYS.index(x[1]) % 2 == bucket]
            result = self.history.process(
                bucket, self.stores[bucket], columns(events), touches(mine), notes(my_labels) if my_labels else None, 0
            )
            for entity, key, label in my_labels:
                self.oracle(entity, key).note(label)
            for row, (event, entity, key) in enumerate(mine):
                self.check(result, row, events[event], entity, key)

    def check(self, result: Result, row: int, event: PastEvent, entity: int, key: str) -> None:
        places = self.plan.columns[entity]
        questions = [question(*self.asked[place][1:]) for place in places]
        status, arrival, answers = self.oracle(entity, key).touch(event, questions)
        assert STATUS[int(result.status[row])] == status
        assert result.arrival[row] == arrival
        numeric = [place for place in places if self.plan.aggregates[place].value_type != "string"]
        for column, answer in enumerate(answers):
            about = (self.plan.aggregates[places[column]].key, event)
            if column < len(numeric):
                same(result.values[row, column], answer, about)
            else:
                assert result.texts[row][column - len(numeric)] == answer, about
        if status == "conflict":
            assert np.isnan(result.values[row]).all()


def same(found: float, wanted: float | None, about: tuple[str, object]) -> None:
    # A slope a day of amounts that lie milliseconds apart: what is left of two large numbers that are nearly equal.
    close = 30.0 if about[0].startswith("trend") else 1e-9
    if wanted is None:
        assert math.isnan(found), (about, found, wanted)
    else:
        assert math.isclose(found, float(wanted), rel_tol=1e-9, abs_tol=close), (about, found, wanted)


@st.composite
def scenarios(draw):
    questions = draw(
        st.lists(st.tuples(st.sampled_from(["customer", "terminal"]), asked()), min_size=0, max_size=12, unique_by=repr)
    )
    absent_after = draw(st.sampled_from([None, 0, 40, 300]))
    steps = []
    for _ in range(draw(st.integers(1, 8))):
        events = draw(st.lists(payments(), max_size=draw(st.sampled_from([3, 30]))))
        members = []
        for row in range(len(events)):
            members += [
                (row, *m)
                for m in draw(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(KEYS[:3])), min_size=1, max_size=3))
            ]
        labels = draw(
            st.lists(
                st.tuples(
                    st.integers(0, 1), st.sampled_from(KEYS[:3]), st.integers(0, 300), st.sampled_from([0.0, 1.0, 1.0]),
                    st.integers(0, 1300), st.integers(1, 4),
                ),
                max_size=6,
            )
        )  # fmt: skip
        steps.append(
            (
                events,
                members,
                labels,
                draw(st.booleans()),
                draw(st.sampled_from([0, 9000, 1 << 20])),
                draw(st.integers(0, 3)),
            )
        )
    sizes = draw(st.sampled_from([(20, 4, 128), (3, 1, 4), (1, 0, 2), (6, 2, 7)]))
    return questions, absent_after, steps, sizes, draw(st.sampled_from([0, 1, 5, 30, 1000]))


@pytest.fixture(autouse=True)
def _sizes(monkeypatch):
    before = chunk.OPEN_MOST, chunk.OPEN_LEAST, chunk.SEGMENT_ROWS
    # Versions come in any order here, however far apart.
    monkeypatch.setattr(labels_module, "SILENT_NOTES", 1 << 20)
    yield
    chunk.OPEN_MOST, chunk.OPEN_LEAST, chunk.SEGMENT_ROWS = before


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(scenarios())
def test_histories_answer_what_the_oracle_answers(scenario):
    questions, absent_after, steps, sizes, journal_events = scenario
    chunk.OPEN_MOST, chunk.OPEN_LEAST, chunk.SEGMENT_ROWS = sizes
    aggregates = [aggregate(q[0], entity, *q[1:]) for entity, q in questions]
    labels = Labels(
        "fraud",
        "labels",
        "id",
        "label",
        absent_is=None if absent_after is None else "legit",
        after_ms=absent_after or 0,
    )
    plans = [
        Plan(aggregates[:count], LAYOUT, ENTITIES, labels, HistoryLimits()) for count in (len(aggregates) // 2, None)
    ]
    twin = Twin(plans[1], [(entity, *q) for entity, q in questions], absent_after, journal_events=journal_events)
    first: dict[str, PastEvent] = {}
    for events, members, notes_of, restart, cache_bytes, plan in steps:
        if plan < len(plans) and twin.plan is not plans[plan]:
            twin.plan = plans[plan]
            if twin.history is not None:
                twin.history.replan(twin.plan)
        if restart:
            twin.history = None
        # An id has one time and kind: what differs under the same id is its content.
        arriving = [first.setdefault(e.id, e) if e.content == first.setdefault(e.id, e).content else e for e in events]
        told = [
            (entity, key, Label(f"id{i}", first[f"id{i}"].time_ms if f"id{i}" in first else i, value, known, version))
            for entity, key, i, value, known, version in notes_of
        ]
        told = [x for x in told if x[2].id in first]
        twin.feed(arriving, members, told, cache_bytes)


def random_event(random: Random, number: int) -> PastEvent:
    kind = random.choice(["payment", "payment", "login"])
    values = {"device": random.choice(["d1", "d2", f"device-{number % 300}"])}
    if kind == "payment":
        values |= {
            "amount": random.choice([*AMOUNTS, random.lognormvariate(3, 2)]),
            "items": random.choice([None, 1, 2, 3]),
            "online": random.choice([None, True, False]),
            "country": random.choice([None, "DE", "FR", "JP"]),
        }
    time_ms = number * 3 + (random.choice([0, 0, 0, 10, 100, 3000]) and random.randrange(-3000, 1))
    return PastEvent(kind, max(0, time_ms), f"id{number}", 0, values)


LONG = [
    (entity, function, name, window, delay, where, None)
    for entity in ("customer",)
    for function, name, window, delay, where in [
        ("count", None, ("over", 300), 0, None),
        ("sum", "amount", ("over", 1500), 0, WHERES[1]),
        ("std", "amount", ("ever", 0), 100, None),
        ("max", "amount", ("over", 1500), 600, None),
        ("distinct", "device", ("over", 1500), 0, None),
        ("distinct", "device", ("last", 40), 0, WHERES[1]),
        ("distinct", "items", ("ever", 0), 0, None),
        ("mean", "fraud", ("over", 1500), 300, None),
        ("previous", "device", ("ever", 0), 900, WHERES[2]),
        ("first", "country", ("over", 1200), 0, None),
        ("seconds_since", None, ("ever", 0), 0, WHERES[0]),
        ("sum", "amount", ("session", 12), 0, None),
        ("distinct", "device", ("session", 9), 30, WHERES[1]),
        ("first", "country", ("session", 20), 0, WHERES[1]),
        ("mean", "fraud", ("session", 30), 200, None),
        ("most_common", "country", ("over", 900), 0, None),
        ("most_common", "items", ("last", 60), 0, WHERES[0]),
        ("trend", "amount", ("over", 1500), 0, WHERES[1]),
        ("trend", "items", ("session", 15), 0, None),
    ]
]
LONG += [
    ("customer", "quantile", "amount", ("over", 1500), 0, WHERES[1], None, 0.9),
    ("customer", "quantile", "amount", ("last", 200), 50, None, None, 0.5),
    ("customer", "periodicity", None, ("over", 1500), 0, None, "login", 333.0),
    ("customer", "mean", None, ("last", 50), 0, None, "login", None, Pair("payment", ("login",), "device")),
    ("customer", "open", None, ("ever", 0), 0, WHERES[1], "payment", None, Pair("payment", ("login",), "device")),
    ("customer", "open", None, ("over", 400), 50, None, "login", None, Pair("login", ("payment",), "device")),
]


@pytest.mark.parametrize("seed", range(4))
def test_histories_of_hundreds_of_events_answer_what_the_oracle_answers(seed):
    random = Random(seed)
    plan = Plan(
        [aggregate(q[1], q[0], *q[2:]) for q in LONG], LAYOUT, ENTITIES,
        Labels("fraud", "labels", "id", "label", absent_is="legit", after_ms=250), HistoryLimits(),
    )  # fmt: skip
    twin = Twin(plan, LONG, 250)
    number = 0
    seen: list[PastEvent] = []
    while number < 600:
        events = [random_event(random, number + i) for i in range(random.choice([1, 3, 40]))]
        number += len(events)
        seen += events
        if random.random() < 0.3:
            events.append(random.choice(seen))
        if random.random() < 0.1:
            twin.history = None
        labels = [
            (
                0,
                "a",
                Label(
                    e.id,
                    e.time_ms,
                    float(random.random() < 0.7),
                    e.time_ms + random.randrange(600),
                    random.randrange(1, 4),
                ),
            )
            for e in random.sample(seen, min(3, len(seen)))
        ]
        twin.feed(events, [(row, 0, "a") for row in range(len(events))], labels, 1 << 20)


SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000
FOLDED = [
    ("customer", function, name, window, delay, where, event)
    for function, name, window, delay, where, event in [
        ("count", None, ("over", HOUR), 0, None, None),
        ("sum", "amount", ("over", DAY), 0, None, None),
        ("mean", "amount", ("over", 7 * DAY), 0, WHERES[1], None),
        ("std", "amount", ("over", 30 * DAY), DAY, None, None),
        ("max", "items", ("over", 30 * DAY), 0, None, "payment"),
        ("min", "amount", ("ever", 0), 0, WHERES[0], None),
        ("sum", "amount", ("ever", 0), 0, None, None),
        ("std", "amount", ("ever", 0), 0, None, None),
        ("count", "country", ("ever", 0), HOUR, None, None),
        ("count", None, ("last", 30), 0, WHERES[2], None),
        ("distinct", "device", ("over", 30 * DAY), 0, None, None),
        ("distinct", "country", ("over", DAY), 0, WHERES[0], None),
        ("distinct", "items", ("ever", 0), 0, None, None),
        ("distinct", "country", ("last", 5), 0, None, None),
        ("mean", "fraud", ("over", 7 * DAY), DAY, None, None),
        ("sum", "fraud", ("over", 30 * DAY), 0, WHERES[2], None),
        ("count", "fraud", ("ever", 0), 0, None, None),
        ("previous", "country", ("ever", 0), 0, WHERES[2], None),
        ("previous", "amount", ("ever", 0), DAY, None, "payment"),
        ("first", "device", ("ever", 0), 0, None, None),
        ("first", "amount", ("over", 30 * DAY), 0, None, None),
        ("seconds_since", None, ("ever", 0), 0, WHERES[3], None),
        ("sum", "amount", ("session", 2 * SECOND), 0, None, None),
        ("count", None, ("session", HOUR), 0, WHERES[0], None),
        ("distinct", "country", ("session", 3 * HOUR), 0, None, "payment"),
        ("first", "amount", ("session", 90 * SECOND), 0, None, None),
        ("mean", "fraud", ("session", HOUR), DAY, None, None),
        ("most_common", "country", ("over", HOUR), 0, None, None),
        ("most_common", "items", ("last", 8), 0, None, None),
        ("trend", "amount", ("over", DAY), 0, None, "payment"),
        ("trend", "amount", ("session", 3 * HOUR), 0, None, None),
    ]
]
FOLDED += [
    ("customer", "quantile", "amount", ("over", HOUR), 0, WHERES[2], None, 0.9),
    ("customer", "quantile", "amount", ("last", 5), SECOND, None, None, 0.25),
    ("customer", "periodicity", None, ("over", 7 * DAY), 0, None, None, float(DAY)),
    ("customer", "sum", None, ("over", DAY), 0, None, "login", None, Pair("payment", ("login",), "device")),
    ("customer", "std", None, ("ever", 0), 0, None, "payment", None, Pair("login", ("payment",), "device")),
    ("customer", "quantile", None, ("last", 3), 0, None, "login", 0.5, Pair("payment", ("login",), "device")),
    ("customer", "open", None, ("over", HOUR), SECOND, None, "payment", None, Pair("payment", ("login",), "device")),
    ("customer", "open", None, ("ever", 0), 0, None, "login", None, Pair("login", ("payment",), "device")),
]


class FoldingTwin(Twin):
    """Compares what is not marked approximate; counts what is."""

    marked = 0
    compared = 0
    newest_ms = 0

    def check(self, result: Result, row: int, event: PastEvent, entity: int, key: str) -> None:
        places = self.plan.columns[entity]
        questions = [question(*self.asked[place][1:]) for place in places]
        _, arrival, answers = self.oracle(entity, key).touch(event, questions)
        self.newest_ms = max(self.newest_ms, event.time_ms)
        assert result.arrival[row] == arrival
        numeric = [place for place in places if self.plan.aggregates[place].value_type != "string"]
        for column, answer in enumerate(answers):
            about = (self.plan.aggregates[places[column]].key, event)
            if column >= len(numeric):
                # A late event may ask for one between the first and the last that were folded, and nothing is kept of how
                # often a folded text came: that is missing.
                missing = event.time_ms < self.newest_ms or "most_common" in about[0]
                found = result.texts[row][column - len(numeric)]
                assert found == answer or (found is None and missing), (about, found, answer)
            elif result.approximate is not None and result.approximate[row, column]:
                self.marked += 1
            else:
                self.compared += 1
                same(result.values[row, column], answer, about)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_folded_is_answered_exactly_or_marked_approximate(seed):
    random = Random(seed)
    raw, step = random.choice([3, 16, 40]), random.choice([SECOND, 60 * SECOND, HOUR])
    chunk.OPEN_MOST, chunk.OPEN_LEAST, chunk.SEGMENT_ROWS = random.choice([(20, 4, 128), (3, 1, 4), (6, 2, 7)])
    plan = Plan(
        [aggregate(q[1], q[0], *q[2:]) for q in FOLDED], LAYOUT, ENTITIES,
        Labels("fraud", "labels", "id", "label", absent_is="legit", after_ms=2 * HOUR), HistoryLimits(raw_events=raw),
    )  # fmt: skip
    twin = FoldingTwin(plan, FOLDED, 2 * HOUR)
    number, now, seen = 0, 1_700_000_000_000, []
    while number < 400:
        events = []
        for _ in range(random.choice([1, 3, 20])):
            event = random_event(random, number)
            now += int(random.expovariate(1) * step)
            late = random.choice([0, 0, 0, 0, 0, step * raw // 2, step * raw * 3])
            events.append(replace(event, time_ms=now - (late and random.randrange(late))))
            number += 1
        seen += events
        if random.random() < 0.1:
            twin.history = None
        labels = [
            (
                0,
                "a",
                Label(
                    e.id,
                    e.time_ms,
                    float(random.random() < 0.7),
                    e.time_ms + random.randrange(3 * step),
                    random.randrange(1, 4),
                ),
            )
            for e in random.sample(seen, min(2, len(seen)))
        ]
        twin.feed(events, [(row, 0, "a") for row in range(len(events))], labels, 1 << 20)
    assert min(twin.compared, twin.marked) > 400
