"""The simulator finds defects: each of these, planted, breaks a promise within a few dozen seeds."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mitra.decide import Decider, State
from mitra.hashing import text_hash
from mitra.history import History, MemoryStore
from mitra.route import Router
from mitra.stages.intake import Intake
from mitra.waiting_labels import WaitingLabels
from tests.simulation.cluster import Cluster
from tests.simulation.durable import Durable
from tests.simulation.simulation import Simulation

SEEDS = 200
Patch = pytest.MonkeyPatch


def forget_decisions(patch: Patch) -> None:
    commit = Decider.commit

    def forgetful(state: State, decided: Any) -> None:
        commit(State(state.pending, MemoryStore(), state.waiting), decided)

    patch.setattr(Decider, "commit", staticmethod(forgetful))


def forget_parts(patch: Patch) -> None:
    commit = Decider.commit

    def forgetful(state: State, decided: Any) -> None:
        commit(State(MemoryStore(), state.decisions, state.waiting), decided)

    patch.setattr(Decider, "commit", staticmethod(forgetful))


def mix_duplicates_parts(patch: Patch) -> None:
    from mitra.gather import _View  # noqa: PLC0415 - a planted defect

    patch.setattr(_View, "identities", lambda self: ((id, 0, 0, 0) for id in self.batch.ids))


def lose_early_labels(patch: Patch) -> None:
    patch.setattr(WaitingLabels, "take", lambda *_: [])


def lose_the_lanes_clock(patch: Patch) -> None:
    start = Cluster.start

    def forgetful(self: Cluster, parallelism: int) -> None:
        for lane in self.durable.lanes.values():
            lane.clock_ms = 0
        start(self, parallelism)

    patch.setattr(Cluster, "start", forgetful)


def lose_what_is_in_flight(patch: Patch) -> None:
    copy = Durable.copy

    def leaky(self: Durable) -> Durable:
        durable = copy(self)
        durable.decide_windows.clear()
        return durable

    patch.setattr(Durable, "copy", leaky)


def keep_histories_in_memory(patch: Patch) -> None:
    """Write every third batch only: the cache knows better until a crash."""
    process = History.process
    calls = [0]

    def lazy(self: History, bucket: int, store: Any, *rest: Any) -> Any:
        calls[0] += 1
        return process(self, bucket, store if calls[0] % 3 else MemoryStore(store.data.copy()), *rest)

    patch.setattr(History, "process", lazy)


def show_labels_too_early(patch: Patch) -> None:
    process = History.process

    def early(self: History, bucket: int, store: Any, events: Any, touches: Any, labels: Any, clock_ms: int) -> Any:
        if labels is not None:
            labels.known_at_ms = labels.known_at_ms - 3_600_000
        return process(self, bucket, store, events, touches, labels, clock_ms)

    patch.setattr(History, "process", early)


def reorder_within_a_batch(patch: Patch) -> None:
    sort = Intake._sort

    def reversed_sort(self: Intake, records: Sequence[str], now_ms: int) -> Any:
        return sort(self, records[::-1], now_ms)

    patch.setattr(Intake, "_sort", reversed_sort)


def take_logins_for_payments(patch: Patch) -> None:
    init = Router.__init__

    def unprefixed(self: Router, *rest: Any) -> None:
        init(self, *rest)
        self._id_prefix = ""

    patch.setattr(Router, "__init__", unprefixed)
    fresh_settings(patch)


def send_labels_elsewhere(patch: Patch) -> None:
    """Send labels to other buckets than decisions."""
    patch.setattr("mitra.reports.text_hash", lambda text: text_hash(text + "x"))


def fresh_settings(patch: Patch) -> None:
    from tests.simulation import setting, simulation  # noqa: PLC0415 - a planted defect

    patch.setattr(simulation, "setting", setting.setting.__wrapped__)


DEFECTS: tuple[Callable[[Patch], None], ...] = (
    forget_decisions,
    forget_parts,
    mix_duplicates_parts,
    lose_early_labels,
    lose_the_lanes_clock,
    lose_what_is_in_flight,
    keep_histories_in_memory,
    show_labels_too_early,
    reorder_within_a_batch,
    take_logins_for_payments,
    send_labels_elsewhere,
)


@pytest.mark.parametrize("plant", DEFECTS, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_found(plant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    for seed in range(SEEDS):
        try:
            Simulation(seed).run()
        except Exception:  # noqa: BLE001 - a broken promise or a stage that trips over it
            return
    pytest.fail(f"{SEEDS} seeds pass with the defect {plant.__name__}")
