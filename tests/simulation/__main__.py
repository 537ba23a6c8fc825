"""Runs many seeds and tells which break: `python -m tests.simulation [RUNS] [FIRST]`."""

import sys
import time
from collections import Counter

from tests.simulation.simulation import Simulation


def main(runs: int, first: int) -> int:
    """Run the seeds; print what went on and every seed that breaks a promise."""
    started = time.process_time()
    done: Counter[str] = Counter()
    broken = 0
    for seed in range(first, first + runs):
        simulation = Simulation(seed)
        try:
            simulation.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, the seed is told and the next one runs
            broken += 1
            print(f"MITRA_SEED={seed} {type(error).__name__}: {str(error)[:300]}")
        done.update(
            records=simulation.sent, steps=simulation.steps, snapshots=simulation.snapshots, crashes=simulation.crashes
        )
    seconds = time.process_time() - started
    told = ", ".join(f"{count} {name}" for name, count in done.items())
    print(f"{runs} runs ({told}) in {seconds:.1f} s of one core, {runs / seconds * 60:.0f} a minute; {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(numbers + [1000, 0][len(numbers) :])))
