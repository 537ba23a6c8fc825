"""Seeds that must pass; one of one's own runs with MITRA_SEED=…, more of them with MITRA_RUNS=…."""

import os

import msgspec
import pytest

from tests.simulation.simulation import Simulation

GROUP = 50


def groups() -> list[range]:
    """Return the seeds to run, some to a test."""
    seed = os.environ.get("MITRA_SEED")
    if seed is not None:
        return [range(int(seed), int(seed) + 1)]
    runs = int(os.environ.get("MITRA_RUNS", "500"))
    return [range(first, min(first + GROUP, runs)) for first in range(0, runs, GROUP)]


def run(seed: int) -> Simulation:
    """Run one seed; a failure names it."""
    try:
        return Simulation(seed).run()
    except Exception as error:
        error.add_note(f"MITRA_SEED={seed} runs it again")
        raise


@pytest.mark.parametrize("seeds", groups(), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_the_promises_hold_whatever_the_seed(seeds: range) -> None:
    for seed in seeds:
        run(seed)


def test_a_seed_always_gives_the_same_run() -> None:
    def told(seed: int) -> tuple[object, ...]:
        done = run(seed)
        line = done.journal.line
        decisions = [msgspec.json.encode(made.decision) for made in line.decisions]
        histories = {bucket: store.data for bucket, store in done.cluster.durable.histories.items()}
        return done.steps, done.crashes, decisions, line.letters, line.outcomes, histories

    for seed in range(5):
        assert told(seed) == told(seed)
