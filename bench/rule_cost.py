"""What the parts of a rule cost, beside what `rules.cost` says of them.

    python -m bench.rule_cost [--json]

Each part is measured as the difference of two: rules, or histories, with many of it and with few. Times are CPU time of the
one thread in microseconds a transaction, the least of several runs.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from mitra.hashing import text_hash
from mitra.history import Events, History, Layout, MemoryStore, Plan, Touches, warm_up
from mitra.schema import Entity, EventType, Field, HistoryLimits
from rules import ExpressionSchema, Rule, RuleSet, compile_features
from rules.cost import RULE_US, aggregate_us, tree_us
from rules.plan import Aggregate

RUNS = 7
CALLS = 2_000
EVENTS = 500
"""In the window of the history that aggregates are answered from."""
MINUTE_MS = 60_000
START_MS = 1_700_000_000_000

PAYMENT = EventType(
    "payment", "payments", "id", "time",
    (
        Field("id", "string"), Field("time", "integer"), Field("customer", "string"), Field("country", "string"),
        Field("amount", "number"), Field("lat", "number"), Field("lon", "number"),
    ),
)  # fmt: skip
SCHEMA = ExpressionSchema((PAYMENT,), (Entity("customer", ("customer",)),), None, 90 * 86_400_000)
VALUES = {"amount": 120.5, "lat": 52.5, "lon": 13.4, "country": "DE", "customer": "c1"}

NODES = {
    "compare": "amount > {0}",
    "arithmetic": "amount + {0} > 0",
    "in": 'country in ["A{0}", "B{0}", "C{0}", "D{0}"]',
    "not": "not amount > {0}",
    "choice": "(amount if amount > {0} else {0}) > 1",
    "log": "log(amount + {0}) > 9",
    "sqrt": "sqrt(amount + {0}) > 99",
    "round": "round(amount * {0}, 2) > 9e9",
    "hour": "hour(time) + {0} > 99",
    "weekday": "weekday(time) + {0} > 99",
    "day": "day(time) + {0} > 99",
    "lower": 'lower(country) == "x{0}"',
    "distance_km": "distance_km(lat, lon, {0}, 13.0) > 9e9",
}
AGGREGATES = {
    "count": 'count(by=customer, over="{0}m")',
    "sum": 'sum(amount, by=customer, over="{0}m")',
    "std": 'std(amount, by=customer, over="{0}m")',
    "max": 'max(amount, by=customer, over="{0}m")',
    "distinct": 'distinct(country, by=customer, over="{0}m")',
    "first": 'first(amount, by=customer, over="{0}m")',
    "count of the last": "count(by=customer, last={0}, where=amount > 50)",
    "sum where": 'sum(amount, by=customer, over="400m", where=amount > {0})',
}


def least_us(call: Callable[[], object], count: int) -> float:
    """Return the least CPU time of some runs, for each of `count` transactions in a run."""
    found = []
    for _ in range(RUNS):
        began = time.thread_time_ns()
        call()
        found.append(time.thread_time_ns() - began)
    return min(found) / 1_000 / count


def rules_us(texts: Iterable[str]) -> float:
    """Return what judging costs with rules of these conditions, none of which fires."""
    rules = [Rule(id=f"r{n}", when=text, outcome="review", version=1) for n, text in enumerate(texts)]
    ruled = RuleSet.compile(rules, {}, SCHEMA)
    values = [VALUES[signal.name] for signal in ruled.signals]

    def judge() -> None:
        for _ in range(CALLS):
            ruled.judge(values, START_MS, {})

    return least_us(judge, CALLS)


def measured_nodes() -> list[tuple[str, float, float]]:
    """Return (what, measured, estimated) of a rule by what its condition holds; the numbers are above any value."""
    found = []
    for name, text in NODES.items():
        texts = [text.format(1_000 + n) for n in range(60)]
        measured = (rules_us(texts) - rules_us(texts[:10])) / 50
        (expression,) = compile_features({"one": texts[0]}, SCHEMA).expressions.values()
        found.append((f"a rule with {name}", measured, RULE_US + tree_us(expression.tree)))
    return found


def touch_us(aggregates: Sequence[Aggregate]) -> float:
    """Return what a payment costs in a history that answers these, with EVENTS events in the widest window."""
    layout = Layout.of([PAYMENT])
    history = History(Plan(aggregates, layout, SCHEMA.entities, None, HistoryLimits()))
    store = MemoryStore()
    number = 0

    def feed(count: int) -> None:
        nonlocal number
        ids = range(number, number + count)
        number += count
        numbers = np.array([[1.0 + n % 97, 52.0, 13.0] for n in ids])
        texts = [["c1", ("DE", "FR", "JP")[n % 3]] for n in ids]
        history.process(
            0, store,
            Events(
                kind=np.zeros(count, np.uint8),
                time_ms=np.array([START_MS + n * 400 * MINUTE_MS // EVENTS for n in ids], np.int64),
                id_hash=np.array([text_hash(str(n)) for n in ids], np.int64),
                content_hash=np.array(ids, np.int64),
                numbers=numbers,
                text_hashes=np.array([[text_hash(one) for one in row] for row in texts], np.int64),
                texts=texts,
            ),
            Touches(np.zeros(count, np.uint8), np.arange(count, dtype=np.int32), ["c1"] * count),
            None, START_MS,
        )  # fmt: skip

    feed(EVENTS)
    return least_us(lambda: feed(50), 50)


def measured_aggregates() -> list[tuple[str, float, float]]:
    """Return (what, measured, estimated) of aggregates."""
    found = []
    for name, text in AGGREGATES.items():
        texts = {f"a{n}": text.format(400 - n) for n in range(24)}
        aggregates = compile_features(texts, SCHEMA).aggregates
        measured = (touch_us(aggregates) - touch_us(aggregates[:4])) / 20
        found.append((name, measured, aggregate_us(aggregates[0])))
    return found


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    warm_up()
    rows = [*measured_nodes(), *measured_aggregates()]
    if args.json:
        print(json.dumps([{"what": what, "measured_us": m, "estimated_us": e} for what, m, e in rows]))
        return
    print(f"{'what':30} {'measured µs':>12} {'estimated µs':>13}")
    for what, measured, estimated in rows:
        print(f"{what:30} {measured:12.2f} {estimated:13.2f}")


if __name__ == "__main__":
    main()
