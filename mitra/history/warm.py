"""Compiles the kernels, or loads them from numba's cache, before the first event has to wait for them."""

import numpy as np

from mitra.history.batch import Events, LabelNotes, Touches, as_read
from mitra.history.history import History
from mitra.history.layout import Layout
from mitra.history.plan import Plan
from mitra.history.store import MemoryStore
from mitra.schema import Entity, EventType, Field, HistoryLimits
from rules.plan import Aggregate, Window


def warm_up() -> None:
    """Run every kernel once: some twenty seconds the first time on a machine, one or two from numba's cache."""
    event = EventType("warm", "warm", "id", "time", (Field("x", "number"), Field("s", "string")))
    entity = Entity("e", ("k",))
    window = Window("over", 1000)
    aggregate = Aggregate("distinct(s, by=e, over='1s')", "distinct", "e", "s", window, 0, None, None, "integer")
    layout = Layout.of([event])
    # So few rows that the oldest are sealed, folded and sampled too.
    plan = Plan([aggregate], layout, [entity], None, HistoryLimits(raw_events=48))
    store = MemoryStore()
    for _ in range(2):
        history = History(plan, 1 << 20)
        for batch in range(3):
            n = 30
            ids = np.arange(n, dtype=np.int64) + 1 + n * batch
            events = Events(
                np.zeros(n, np.uint8), as_read(ids * 10), as_read(ids), as_read(ids << 32), as_read(np.ones((n, 1))),
                as_read(np.ones((n, 1), np.int64)), [["a"]] * n,
            )  # fmt: skip
            touches = Touches(np.zeros(n, np.uint8), np.arange(n, dtype=np.int32), ["k"] * n)
            notes = LabelNotes(np.zeros(1, np.uint8), ["k"], ids[:1], ids[:1] * 10, np.ones(1), ids[:1] * 20, ids[:1])
            history.process(0, store, events, touches, notes.some([0]), 1000)
        history.ask(0, store, 0, "k", 0, (1000,))
