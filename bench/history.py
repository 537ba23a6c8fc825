"""What a touch of a history costs, what its state weighs and how far tiles are off.

    python bench/history.py [--json]

Touches are answered by `History.process` over a dict, in batches: what is measured is everything but the state store.
Times are CPU time of the one thread, so that a busy machine disturbs them less.
"""

import argparse
import json
import math
import platform
import time
from collections.abc import Iterator, Sequence

import numpy as np

from mitra.hashing import text_hash
from mitra.history import (
    JOURNAL_EVENTS,
    Events,
    History,
    LabelNotes,
    Layout,
    MemoryStore,
    Plan,
    Touches,
    no_events,
    warm_up,
)
from mitra.schema import Entity, EventType, Field, HistoryLimits, Labels
from rules.plan import Aggregate, Where, Window

HOUR, DAY = 3_600_000, 86_400_000
START = 1_700_000_000_000
NUMBERS, TEXTS = ("amount", "lat", "lon"), ("customer_id", "terminal_id", "device_id", "country")
PAYMENT = EventType(
    "payment", "payments", "id", "time",
    (Field("id", "string"), Field("time", "integer"), *(Field(n, "number") for n in NUMBERS), *(Field(n, "string") for n in TEXTS)),
)  # fmt: skip
LAYOUT = Layout.of([PAYMENT])
ENTITIES = tuple(Entity(name, (f"{name}_id",)) for name in ("customer", "terminal", "device"))


def ask(entity: str, function: str, field: str | None, over: int, where: Where | None = None) -> Aggregate:
    key = f"{function}({field}, by={entity}, over={over}, where={where.text if where else None})"
    return Aggregate(key, function, entity, field, Window("over", over), 0, where, None, "number")  # type: ignore[arg-type]


def forty(entity: str) -> list[Aggregate]:
    """Forty windowed aggregates: five windows, eight of each."""
    what = [
        ("count", None),
        ("sum", "amount"),
        ("mean", "amount"),
        ("max", "amount"),
        ("min", "amount"),
        ("std", "amount"),
    ]
    what += [("distinct", "country"), ("distinct", "customer_id" if entity == "terminal" else "terminal_id")]
    return [ask(entity, f, x, w) for w in (HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY) for f, x in what]


LARGE = Where("amount > 50", ("amount",), lambda v: v[0] > 50)
ABROAD = Where('country != "DE"', ("country",), lambda v: v[0] != "DE")
EIGHT = [
    ask("terminal", "count", None, 30 * DAY, LARGE),
    ask("terminal", "sum", "amount", 30 * DAY, ABROAD),
    ask("terminal", "mean", "amount", 7 * DAY, LARGE),
    ask("terminal", "std", "amount", 30 * DAY),
    ask("terminal", "max", "amount", DAY, ABROAD),
    ask("terminal", "distinct", "customer_id", 30 * DAY),
    ask("terminal", "distinct", "country", 7 * DAY, LARGE),
    ask("terminal", "distinct", "device_id", DAY, ABROAD),
]


FRAUDS = [
    Aggregate(
        f"{function}(fraud, over={over}, delay={delay})",
        function,
        "terminal",
        "fraud",
        Window("over", over),
        delay,
        None,
        None,
        "number",
    )
    for function, over, delay in (("mean", 7 * DAY, 7 * DAY), ("sum", 30 * DAY, 0))
]
KNOWN_AFTER = 7 * DAY


class Written(MemoryStore):
    """A bucket in a dict that counts what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def put_all(self, entries: dict[str, bytes]) -> None:
        """Write all entries."""
        self.written += sum(map(len, entries.values()))
        super().put_all(entries)


class Payments:
    """Made-up payments of so many customers, terminals and devices, in order of time."""

    def __init__(self, keys: int, terminals: int | None = None) -> None:
        self.random = np.random.default_rng(7)
        self.sizes = (keys, terminals or keys, keys)
        self.made = 0

    def batch(self, times: Sequence[int]) -> tuple[Events, list[list[str]]]:
        """Return events of these times and their texts."""
        n = len(times)
        picks = [self.random.integers(0, size, n).tolist() for size in self.sizes]
        countries = self.random.choice(["DE", "FR", "JP", "US"], n, p=[0.7, 0.1, 0.1, 0.1]).tolist()
        texts = [
            [f"C{a:07d}", f"T{b:07d}", f"D{c:07d}", country] for a, b, c, country in zip(*picks, countries, strict=True)
        ]
        ids = (np.arange(self.made, self.made + n, dtype=np.int64) + 1) * 0x9E3779B97F4A7C1
        self.made += n
        numbers = np.round(self.random.lognormal(3, 1, (n, 3)), 2)
        hashes = np.array([[text_hash(t) for t in row] for row in texts], np.int64)
        kinds = np.zeros(n, np.uint8)
        return Events(kinds, np.array(times, np.int64), ids, ids * 31, numbers, hashes, texts), texts  # type: ignore[arg-type]


def members(texts: list[list[str]], entities: Sequence[int]) -> Touches:
    """Return the touches of events with the entities of these places."""
    n, k = len(texts), len(entities)
    keys = [row[entity] for row in texts for entity in entities]
    return Touches(np.tile(np.array(entities, np.uint8), n), np.repeat(np.arange(n, dtype=np.int32), k), keys)


def spread(total: int, span_ms: int) -> Iterator[list[int]]:
    """Times of `total` events over a span, a thousand a batch."""
    step = span_ms / total
    for first in range(0, total, 1000):
        yield [START + int((first + i) * step) for i in range(min(1000, total - first))]


def entities_of(size: int, count: int, batches: int = 100, batch: int = 100) -> dict[str, float]:
    """Measure entities of `size` events in 30 days, three to an event, forty aggregates each."""
    plan = Plan([a for entity in ENTITIES for a in forty(entity.name)], LAYOUT, ENTITIES, None, HistoryLimits())
    history, store, payments = History(plan, 2 << 30), MemoryStore(), Payments(count)
    for times in spread(size * count, 30 * DAY):
        events, texts = payments.batch(times)
        history.process(0, store, events, members(texts, (0, 1, 2)), None, 0)
    step = 30 * DAY / (size * count)
    work = []
    for b in range(batches):
        times = [START + 30 * DAY + int((b * batch + i) * step) for i in range(batch)]
        events, texts = payments.batch(times)
        work.append((events, members(texts, (0, 1, 2))))
    began = time.thread_time()
    for events, touches in work:
        history.process(0, store, events, touches, None, 0)
    spent = time.thread_time() - began
    state = sum(map(len, store.data.values()))
    return {"us_per_touch": spent / (batches * batch * 3) * 1e6, "state_bytes_per_entity": state / (3 * count)}


def one_terminal(size: int, count: int, batch: int, batches: int = 100) -> dict[str, float]:
    """Measure terminals of `size` events in 30 days with eight aggregates with `where` and `distinct`."""
    plan = Plan(EIGHT, LAYOUT, ENTITIES, None, HistoryLimits())
    history, store, payments = History(plan, 2 << 30), MemoryStore(), Payments(5000, count)
    for times in spread(size * count, 30 * DAY):
        events, texts = payments.batch(times)
        history.process(0, store, events, members(texts, (1,)), None, 0)
    step = 30 * DAY / (size * count)
    work = []
    for b in range(batches):
        events, texts = payments.batch([START + 30 * DAY + int((b * batch + i) * step) for i in range(batch)])
        work.append((events, members(texts, (1,))))
    began = time.thread_time()
    for events, touches in work:
        history.process(0, store, events, touches, None, 0)
    spent = time.thread_time() - began
    return {
        "us_per_touch": spent / (batches * batch) * 1e6,
        "state_bytes_per_entity": sum(map(len, store.data.values())) / count,
    }


def labelled_terminal(size: int, share: float, *, silent_is_legit: bool, batches: int = 100) -> dict[str, float]:
    """Measure one terminal of `size` events in 30 days, of which a share gets a label a week later, by the journal of a live job."""
    labels = Labels("fraud", "labels", "id", "fraud", absent_is="legit" if silent_is_legit else None, after_ms=7 * DAY)
    plan = Plan([*EIGHT, *FRAUDS], LAYOUT, ENTITIES, labels, HistoryLimits())
    store, payments = Written(), Payments(5000, 1)
    history = History(plan, 2 << 30)
    chance = np.random.default_rng(3)
    waiting: list[tuple[int, int]] = []  # (time, id) of those that will be labelled

    def feed(times: list[int]) -> None:
        events, texts = payments.batch(times)
        chosen = np.flatnonzero(chance.random(len(times)) < share).tolist()
        waiting.extend((times[i], int(events.id_hash[i])) for i in chosen)
        known = [one for one in waiting[: 4 * len(times)] if one[0] + KNOWN_AFTER <= times[-1]]
        del waiting[: len(known)]
        history.process(0, store, events, members(texts, (1,)), None, 0)
        if known:
            at, ids = (np.array(column, np.int64) for column in zip(*known, strict=True))
            entities, said = np.ones(len(known), np.uint8), np.ones(len(known))
            notes = LabelNotes(entities, ["T0000000"] * len(known), ids, at, said, at + KNOWN_AFTER, at + KNOWN_AFTER)
            none = Touches(np.empty(0, np.uint8), np.empty(0, np.int32), [])
            history.process(0, store, no_events(LAYOUT), none, notes, 0)

    for times in spread(size, 30 * DAY):
        feed(times)
    history = History(plan, 2 << 30, JOURNAL_EVENTS)
    step = 30 * DAY / size
    feed([START + 30 * DAY])
    store.written = 0
    began = time.thread_time()
    for b in range(batches):
        feed([START + 30 * DAY + int((b * 100 + i) * step) for i in range(100)])
    spent = time.thread_time() - began
    return {
        "us_per_event": spent / (batches * 100) * 1e6,
        "bytes_written_per_event": store.written / (batches * 100),
        "state_bytes": sum(len(data) for key, data in store.data.items() if "journal" not in key),
    }


def tile_errors(size: int, span_ms: int, windows: Sequence[int]) -> list[dict[str, object]]:
    """Compare answers of an entity that has long outgrown its rows with exact values, over its last events."""
    functions = [
        ("count", None),
        ("sum", "amount"),
        ("std", "amount"),
        ("distinct", "customer_id"),
        ("distinct", "country"),
    ]
    plan = Plan(
        [ask("terminal", f, x, w) for w in windows for f, x in functions], LAYOUT, ENTITIES, None, HistoryLimits()
    )
    history, store, payments = History(plan, 2 << 30), MemoryStore(), Payments(5000, 1)
    columns: list[list[np.ndarray]] = [[], [], [], []]
    answers = []
    for times in spread(size, span_ms):
        events, texts = payments.batch(times)
        result = history.process(0, store, events, members(texts, (1,)), None, 0)
        for column, values in zip(
            columns,
            (events.time_ms, events.numbers[:, 0], events.text_hashes[:, 0], events.text_hashes[:, 3]),
            strict=True,
        ):
            column.append(values)
        answers.append(result.values)
    when, amount, customer, country = (np.concatenate(column) for column in columns)
    found = np.vstack(answers)
    rows = []
    for place, window in enumerate(windows):
        worst = dict.fromkeys(range(5), 0.0)
        for row in range(size - 2000, size, 40):
            first = int(np.searchsorted(when, when[row] - window, side="right"))
            inside = slice(first, row + 1)
            exact = (
                row + 1 - first, amount[inside].sum(), amount[inside].std(), len(np.unique(customer[inside])),
                len(np.unique(country[inside])),
            )  # fmt: skip
            for i, value in enumerate(exact):
                worst[i] = max(worst[i], abs(found[row, place * 5 + i] / value - 1) if value else math.inf)
        names = [f"{f} {x or ''}".strip() for f, x in functions]
        rows.append(
            {
                "events": size,
                "span_hours": span_ms // HOUR,
                "window_hours": window / HOUR,
                **dict(zip(names, worst.values(), strict=True)),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    warm_up()
    report: dict[str, object] = {"machine": f"{platform.machine()}, Python {platform.python_version()}"}
    report["3 entities × 40 aggregates"] = {
        f"{size} events": entities_of(size, count) for size, count in ((20, 5000), (100, 1000), (2000, 50))
    }
    report["terminal, 8 aggregates with where and distinct"] = {
        f"{size:,} events, {batch} a batch": one_terminal(size, count, batch)
        for size, count in ((100, 1000), (100_000, 1))
        for batch in (1, 100)
    }
    report["the same and two of labels, of one terminal"] = {
        f"{size:,} events, {share:.1%} labelled, silence is {'legit' if legit else 'unknown'}": labelled_terminal(
            size, share, silent_is_legit=legit
        )
        for size, share, legit in (
            (100, 0.01, True),
            (100_000, 0.005, True),
            (100_000, 0.1, True),
            (100_000, 1.0, False),
        )
    }
    report["largest error of tiles against exact values"] = [
        *tile_errors(100_000, 30 * DAY, (HOUR, DAY, 7 * DAY, 20 * DAY)),
        *tile_errors(100_000, HOUR, (HOUR // 60, HOUR // 12, HOUR // 2)),
    ]
    if options.json:
        print(json.dumps(report))
        return
    for title, rows in report.items():
        print(f"\n{title}")
        for row in (
            rows.items() if isinstance(rows, dict) else enumerate(rows) if isinstance(rows, list) else [("", rows)]
        ):
            values = row[1]
            text = ", ".join(f"{k} {v:,.4g}" for k, v in values.items()) if isinstance(values, dict) else str(values)
            print(f"  {row[0]}: {text}")


if __name__ == "__main__":
    main()
