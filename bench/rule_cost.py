"""What the parts of a rule cost, beside what `rules.cost` says of them.

    python -m bench.rule_cost [--json]

Each part is measured as the difference of two: rules, or histories, with many of it and with few. Times are CPU time of the
one thread in microseconds a transaction, the least of several runs.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count

import numpy as np

import mitra.pipeline_expressions  # noqa: F401 - supplies the functions of addresses
from mitra.hashing import text_hash
from mitra.history import Events, History, Layout, MemoryStore, Plan, Touches, warm_up
from mitra.schema import Entity, EventType, Field, HistoryLimits
from rules import ExpressionSchema, Rule, RuleSet, compile_features
from rules.cost import RULE_US, aggregate_us, tree_us
from rules.plan import Aggregate

Row = tuple[str, float, float]
"""What, measured, estimated; microseconds."""

RUNS = 40
"""The least of so many disturbs a busy machine little."""
CALLS = 200
EVENTS = 500
"""In the window of the histories that aggregates are answered from."""
KEYS, TOUCHES = 20, 5
"""Histories, and how often each is touched in a run: in a batch of its own, which is the dearest way."""
MINUTE_MS = 60_000
STEP_MS = 400 * MINUTE_MS // EVENTS
START_MS = 1_700_000_000_000

PAYMENT = EventType(
    "payment", "payments", "id", "time",
    (
        Field("id", "string"), Field("time", "integer"), Field("customer", "string"), Field("country", "string"),
        Field("address", "string"), Field("billing", "string"), Field("amount", "number"), Field("lat", "number"), Field("lon", "number"),
    ),
)  # fmt: skip
SCHEMA = ExpressionSchema((PAYMENT,), (Entity("customer", ("customer",)),), None, 90 * 86_400_000)
VALUES = {"amount": 120.5, "lat": 52.5, "lon": 13.4, "country": "DE", "customer": "c1"}
ADDRESS = "{0} Elm Street Apt 4, Dayton, OH {0}"

NODES = {
    "a comparison": "amount > {0}",
    "and": "amount > 1 and lat > {0}",
    "or": "amount > {0} or lat > {0}",
    "+": "amount + {0} > 9e9",
    "/": "amount / (lat - {0}) > 9e9",
    "in, of 4": 'country in ["A{0}", "B", "C", "D"]',
    "in, of 100": f'country in ["A{{0}}", {", ".join(map(repr, map(str, range(99))))}]',
    "not": "not amount < {0}",
    "if": "(amount if amount > {0} else {0}) > 9e9",
    "abs": "abs(amount - {0}) > 9e9",
    "log": "log(amount) > {0}",
    "sqrt": "sqrt(amount) > {0}",
    "round": "round(amount) > {0}",
    "round to digits": "round(amount, 2) > {0}",
    "least": "least(amount, lat, lon) > {0}",
    "default": "default(amount, 1) > {0}",
    "is_missing": "is_missing(amount) or lat > {0}",
    "hour": "hour(time) > {0}",
    "weekday": "weekday(time) > {0}",
    "day": "day(time) > {0}",
    "lower": 'lower(country) == "x{0}"',
    "starts_with": 'starts_with(country, "x{0}")',
    "contains": 'contains(country, "x{0}")',
    "distance_km": "distance_km(lat, lon, 51.5, 13.0) > {0}000",
}
ADDRESSES = {
    "address_similarity of two": "address_similarity(address, billing) > 2",
    "address_complete": "not address_complete(address)",
    "address_part": 'address_part(address, "city") == "toledo"',
}
AGGREGATES = {
    "count": 'count(by=customer, over="{0}m")',
    "sum": 'sum(amount, by=customer, over="{0}m")',
    "mean": 'mean(amount, by=customer, over="{0}m")',
    "std": 'std(amount, by=customer, over="{0}m")',
    "min": 'min(amount, by=customer, over="{0}m")',
    "max": 'max(amount, by=customer, over="{0}m")',
    "distinct of 3": 'distinct(country, by=customer, over="{0}m")',
    "distinct of 500": 'distinct(billing, by=customer, over="{0}m")',
    "first": 'first(amount, by=customer, over="{0}m")',
    "sum of the last 400": "sum(amount, by=customer, last={0})",
    "distinct of the last 400": "distinct(billing, by=customer, last={0})",
    "sum where": 'sum(amount, by=customer, over="400m", where=amount > {0})',
    "sum of the last 400 where": "sum(amount, by=customer, last={0}, where=amount > {0} - 400)",
    "sum of a session of 500": 'sum(amount, by=customer, over=session("{0}m"))',
    "quantile": 'quantile(amount, 0.9, by=customer, over="{0}m")',
    "most_common": 'most_common(country, by=customer, over="{0}m")',
    "most_common of 500": 'most_common(billing, by=customer, over="{0}m")',
    "trend": 'trend(amount, by=customer, over="{0}m")',
    "periodicity": 'periodicity("1d", by=customer, over="{0}m")',
    "quantile of the last 400": "quantile(amount, 0.9, by=customer, last={0})",
    "count of an event": 'count(by=customer, over="{0}m", event=payment)',
}


def least_us(call: Callable[[], object], calls: int) -> float:
    """Return the least CPU time of some runs, for each of `calls` transactions in a run."""
    found = []
    for _ in range(RUNS):
        began = time.thread_time_ns()
        call()
        found.append(time.thread_time_ns() - began)
    return min(found) / 1_000 / calls


def rule_set(texts: Iterable[str]) -> RuleSet:
    """Return rules of these conditions."""
    rules = [Rule(id=f"r{n}", when=text, outcome="review", version=1) for n, text in enumerate(texts)]
    return RuleSet.compile(rules, {}, SCHEMA)


def rules_us(texts: Iterable[str]) -> float:
    """Return what judging costs with rules of these conditions, none of which fires."""
    ruled = rule_set(texts)
    values = [VALUES[signal.name] if signal.kind == "field" else START_MS for signal in ruled.signals]

    def judge() -> None:
        for _ in range(CALLS):
            ruled.judge(values, START_MS, {})

    return least_us(judge, CALLS)


def estimated_us(text: str) -> float:
    """Return the estimate of a rule."""
    (expression,) = compile_features({"one": text}, SCHEMA).expressions.values()
    return RULE_US + tree_us(expression.tree)


def measured_nodes() -> Iterator[Row]:
    """Measure rules by what their conditions hold; the numbers are above any value."""
    for name, text in NODES.items():
        texts = [text.format(1_000 + n) for n in range(60)]
        yield f"rule: {name}", (rules_us(texts) - rules_us(texts[:10])) / 50, estimated_us(texts[0])


def measured_addresses() -> Iterator[Row]:
    """Measure rules that read addresses which were never read before."""
    numbers = count(10_000)
    for name, text in ADDRESSES.items():
        ruled = rule_set([text])

        def judge(ruled: RuleSet = ruled) -> None:
            for _ in range(20):
                ruled.judge([ADDRESS.format(next(numbers)) for _ in ruled.signals], START_MS, {})

        yield f"rule: {name}", least_us(judge, 20), estimated_us(text)


class Fed:
    """Histories that answer some aggregates, with EVENTS events in the widest window."""

    def __init__(self, aggregates: Sequence[Aggregate]) -> None:
        """Feed each its events."""
        self._history = History(Plan(aggregates, Layout.of([PAYMENT]), SCHEMA.entities, None, HistoryLimits()))
        self._store = MemoryStore()
        self._made = 0
        for _ in range(EVENTS):
            self._touch(self._next(range(KEYS)))

    def touch_us(self) -> float:
        """Return what one touch of one of them costs."""
        work = iter([self._next(range(key, key + 1)) for _ in range(RUNS * TOUCHES) for key in range(KEYS)])

        def touch() -> None:
            for _ in range(KEYS * TOUCHES):
                self._touch(next(work))

        return least_us(touch, KEYS * TOUCHES)

    def _touch(self, batch: tuple[Events, Touches]) -> None:
        self._history.process(0, self._store, *batch, None, START_MS)

    def _next(self, places: range) -> tuple[Events, Touches]:
        """Return a batch with the next event of some of the histories."""
        size = len(places)
        numbers = np.arange(size) + self._made
        self._made += size
        keys = [f"c{place}" for place in places]
        texts = [[key, ("DE", "FR", "JP")[n % 3], "", str(n)] for n, key in zip(numbers.tolist(), keys, strict=True)]
        events = Events(
            kind=np.zeros(size, np.uint8),
            time_ms=START_MS + numbers // KEYS * STEP_MS,
            id_hash=np.array([text_hash(str(n)) for n in numbers], np.int64),
            content_hash=numbers,
            numbers=np.stack([1.0 + numbers % 97, np.full(size, 52.0), np.full(size, 13.0)], axis=1),
            text_hashes=np.array([[text_hash(one) for one in row] for row in texts], np.int64),
            texts=texts,
        )
        return events, Touches(np.zeros(size, np.uint8), np.arange(size, dtype=np.int32), keys)


def measured_aggregates() -> Iterator[Row]:
    """Measure aggregates; below half a microsecond the differences are noise."""
    for name, text in AGGREGATES.items():
        aggregates = compile_features({f"a{n}": text.format(400 - n) for n in range(84)}, SCHEMA).aggregates
        many, few = Fed(aggregates).touch_us(), Fed(aggregates[:4]).touch_us()
        yield f"aggregate: {name}", (many - few) / 80, aggregate_us(aggregates[0])


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    warm_up()
    rows = [*measured_nodes(), *measured_addresses(), *measured_aggregates()]
    if args.json:
        print(json.dumps([{"what": what, "measured_us": m, "estimated_us": e} for what, m, e in rows]))
        return
    print(f"{'what':38} {'measured µs':>12} {'estimated µs':>13}")
    for what, measured, estimated in rows:
        print(f"{what:38} {measured:12.2f} {estimated:13.2f}")


if __name__ == "__main__":
    main()
