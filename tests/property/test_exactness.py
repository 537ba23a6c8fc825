"""What is said of a new aggregate's exactness is true: exact from the date on, and marked where it isn't before."""

import math
from random import Random

import pytest

from mitra.exactness import exact_from
from mitra.history import History, MemoryStore, Plan
from mitra.schema import HistoryLimits, Labels
from tests.factories.history import ENTITIES, LAYOUT, WHERES, aggregate, columns, question, touches
from tests.oracles.history import OracleHistory, PastEvent

MINUTE = 60_000
KEYS = ("busy", "calm", "late")
FUNCTIONS = ("count", "sum", "mean", "min", "max", "std", "distinct", "previous", "first", "seconds_since")


def asked(random: Random):
    function = random.choice(FUNCTIONS)
    if function == "seconds_since":
        name = None
    elif function == "count":
        name = random.choice([None, "amount", "country"])
    else:
        name = random.choice(["amount", "items"])
    window = random.choice([("over", size * MINUTE) for size in (1, 20, 90, 200)] + [("ever", 0), ("last", 5)])
    delay = random.choice([0, 0, 10 * MINUTE]) if window[0] == "over" else 0
    return function, name, window, delay, random.choice([None, *WHERES]), random.choice([None, None, "payment"])


def plan_of(questions) -> Plan:
    unique = {repr(one): one for one in questions}
    limits = HistoryLimits(raw_events=16, max_window_ms=240 * MINUTE)
    return Plan(
        [aggregate(q[0], "customer", *q[1:]) for q in unique.values()],
        LAYOUT,
        ENTITIES,
        Labels("fraud", "l", "id", "label"),
        limits,
    )


def event(random: Random, number: int, time_ms: int) -> PastEvent:
    values = {
        "amount": random.choice([None, 1.0, 5.0, 20.0, 70.0, random.random() * 100]),
        "items": random.choice([None, 1, 2, 3]),
        "online": random.choice([True, False]),
        "country": random.choice([None, "DE", "FR"]),
        "device": f"d{number % 7}",
    }
    return PastEvent("payment", time_ms, f"id{number}", 0, values)


@pytest.mark.parametrize("seed", range(12))
def test_a_new_aggregate_is_exact_from_when_it_is_said_to_be_and_marked_until_then(seed: int) -> None:
    random = Random(seed)
    first = [asked(random) for _ in range(random.randrange(4))]
    added = [asked(random) for _ in range(6)]
    narrow, wide = plan_of(first), plan_of([*first, *added])
    history, store = History(narrow), MemoryStore()
    whole, whole_store = History(wide), MemoryStore()
    oracles = {key: OracleHistory("fraud") for key in KEYS}
    by_key = {aggregate(q[0], "customer", *q[1:]).key: q for q in [*first, *added]}
    began: dict[str, int] = {}
    dates: dict[str, int] | None = None
    time_ms = newest_ms = 0
    change = random.randrange(50, 250)
    held = 0
    for number in range(500):
        time_ms += random.choice([1, 1, 1, 2, 30]) * MINUTE // 4
        key = random.choice(["busy", "busy", "busy", "calm"]) if number < change + 60 else random.choice(KEYS)
        one = event(random, number, max(0, time_ms - random.choice([0, 0, 0, 3 * MINUTE])))
        began.setdefault(key, one.time_ms)
        if number == change:
            history.replan(wide)
            dates = exact_from(wide.aggregates, narrow.aggregates, LAYOUT.text, newest_ms)
        newest_ms = max(newest_ms, one.time_ms)
        rows = touches([(0, 0, key)])
        found = history.process(0, store, columns([one]), rows, None, newest_ms)
        other = whole.process(0, whole_store, columns([one]), rows, None, newest_ms)
        places = wide.columns[0]
        questions = [question(*by_key[wide.aggregates[place].key]) for place in places]
        _, _, answers = oracles[key].touch(one, questions)
        if dates is None:
            continue
        for column, place in enumerate(wide.by_entity[0].numeric):
            name = wide.aggregates[place].key
            value, told = found.values[0, column], answers[column]
            marked = found.approximate is not None and bool(found.approximate[0, column])
            right = math.isnan(value) if told is None else math.isclose(value, float(told), rel_tol=1e-6, abs_tol=1e-6)
            assert marked or right, (name, number, value, told)
            begun = began[key] if wide.aggregates[place].window.kind == "ever" else one.time_ms
            if name in dates and begun < dates[name]:
                continue
            exact = other.approximate is None or not other.approximate[0, column]
            assert right or not exact, (name, number, value, told, other.values[0, column])
            held += exact
    assert held
