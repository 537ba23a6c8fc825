"""Defects that the simulator has found and that are not mended yet: when one is, its test here says so by passing."""

import pytest

from control_stream import Activate
from mitra.history import MemoryStore
from mitra.messages import decode
from tests.simulation import changes
from tests.simulation.setting import setting
from tests.simulation.simulation import Simulation
from tests.simulation.world import START_MS

SEEDS = 400


def run_all() -> None:
    for seed in range(SEEDS):
        Simulation(seed).run()


@pytest.mark.xfail(
    strict=True, reason="a change that can't be read takes the place of what was answered to its id before"
)
def test_an_id_keeps_its_first_answer_though_it_comes_again_unreadably(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "UNREADABLE_AGAIN", True)
    run_all()


@pytest.mark.xfail(strict=True, reason="a run's attempt is its wall clock, which may lie below that of the run before")
def test_a_run_on_a_machine_whose_clock_is_behind_has_a_higher_attempt_all_the_same() -> None:
    """Else buckets that have marked a revision for the run before never say to this one that it is active."""
    store = MemoryStore()

    def attempt(now_ms: float) -> int:
        stage = setting(1, 1).govern(store, lambda: now_ms)
        [message] = [decode(blob) for target, _, blob in stage.tick() if target == "intake"]
        assert isinstance(message, Activate)
        return message.attempt

    first = attempt(START_MS)
    assert attempt(START_MS - 500) > first
