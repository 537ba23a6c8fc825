"""The example of orders: what is told is what a naive count over all that has happened gives, whenever one looks."""

import json
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mitra.pipeline import load_pipeline
from tests.factories.wired import WiredJob
from tests.oracles.orders import HALF_HOUR_MS, KINDS, Step, figures

PIPELINE = load_pipeline(Path(__file__).parents[3] / "examples" / "orders" / "pipeline.yaml")
START_MS = 1_700_000_000_000
STORES = ("s1", "s2", "größe")


class Watched:
    """The job and, by store, all that happened; what was told last is compared with what the oracle counts."""

    def __init__(self) -> None:
        self.job = WiredJob(PIPELINE)
        self.steps: dict[str, list[Step]] = {store: [] for store in STORES}
        self.known: dict[tuple[str, str], Any] = {}
        self.as_of: dict[tuple[str, str], int] = {}
        self.begun_ms: dict[str, int] = {}
        self.made = 0

    def happen(self, now_ms: int, store: str, step: Step) -> None:
        self.made += 1
        event = {"event_id": f"e{self.made}", "at": step.at_ms, "order_id": step.order, "store": store, "amount": 1.0}
        self.job.read(now_ms, [(f"orders.{step.kind}", json.dumps(event).encode())])
        self.steps[store].append(step)
        self.begun_ms.setdefault(store, now_ms)

    def restart(self) -> None:
        self.job.restart()
        self.begun_ms.clear()

    def hear(self) -> int:
        """Take what was told since, and return how much; no figure goes back in time.

        None is told twice alike but behind a start, until it has been told as of a later time.
        """
        told, self.job.told = self.job.told, []
        for record in told:
            place = (record["key"], record["feature"])
            assert record["entity"] == "store"
            before_ms = self.as_of.get(place, 0)
            assert record["value"] != self.known.get(place, 0.5) or before_ms <= self.begun_ms.get(record["key"], inf)
            assert record["as_of"] >= before_ms
            self.known[place], self.as_of[place] = record["value"], record["as_of"]
        return len(told)

    def compare(self, now_ms: int) -> None:
        for store, steps in self.steps.items():
            if not steps:
                continue
            for name, value in figures(steps, now_ms).items():
                found = self.known.get((store, name))
                if value is None:
                    assert found is None, (store, name, found)
                else:
                    assert found == pytest.approx(value, rel=1e-9), (store, name, found, value)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_told_is_what_a_naive_count_gives(seed: int) -> None:
    random = Random(seed)
    watched, now_ms, heard = Watched(), START_MS, 0
    for number in range(250):
        store = random.choice(STORES)
        # Some come late, by less than half an hour, and so into windows that were told of.
        late_ms = random.choice([0, 0, 0, 0, random.randrange(HALF_HOUR_MS)])
        kind = random.choice(["created", *KINDS])
        watched.happen(now_ms, store, Step(kind, now_ms - late_ms, f"o{random.randrange(number // 3 + 1)}"))
        watched.job.tick(now_ms)
        heard += watched.hear()
        watched.compare(now_ms)
        if random.random() < 0.05:
            watched.restart()
            # Until a bucket hears of an event again, nothing is due in it: what happened meanwhile may lie in the backlog.
            for one in STORES:
                watched.happen(now_ms, one, Step("created", now_ms, f"again{number}"))
        for _ in range(random.choice([0, 1, 3])):
            now_ms += random.choice([1, 700, 60_000, 400_000])
            watched.job.tick(now_ms)
            heard += watched.hear()
            watched.compare(now_ms)
    assert heard > 500


def test_a_window_that_empties_is_told_at_that_moment_though_nothing_arrives() -> None:
    watched = Watched()
    for number, at_ms in enumerate((START_MS - 1_000, START_MS)):
        watched.happen(at_ms, "s1", Step("created", at_ms, f"o{number}"))
    watched.hear()
    assert watched.known["s1", "unpicked_30m"] == 2
    watched.job.tick(START_MS + HALF_HOUR_MS - 1)
    assert watched.hear() == 2
    assert watched.known["s1", "unpicked_30m"] == watched.known["s1", "created_30m"] == 1
    watched.job.tick(START_MS + HALF_HOUR_MS - 1)
    assert watched.hear() == 0
    watched.job.tick(START_MS + HALF_HOUR_MS + 40)
    assert watched.hear() == 2
    assert watched.known["s1", "unpicked_30m"] == watched.known["s1", "created_30m"] == 0
    assert watched.as_of["s1", "unpicked_30m"] == START_MS + HALF_HOUR_MS


def test_what_is_due_survives_a_restart() -> None:
    watched = Watched()
    watched.happen(START_MS, "s1", Step("created", START_MS, "o1"))
    watched.restart()
    watched.happen(START_MS + 1_000, "s2", Step("created", START_MS + 1_000, "o2"))
    watched.hear()
    for later_ms in (HALF_HOUR_MS, HALF_HOUR_MS + 61_000):
        watched.job.tick(START_MS + later_ms)
    watched.hear()
    assert watched.known["s1", "created_30m"] == watched.known["s2", "created_30m"] == 0
