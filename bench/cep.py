"""The job's own matcher against Flink's CEP library: random patterns that both can run, over random streams of events.

`python -m bench.cep --patterns 200 --streams 10 --seed 5` prints how many pairs of pattern and stream have a match, and every pair in
which the two engines differ. Exit status 1 if any does, or less than a third of the pairs match anything.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.factories.cep import both_can, differences, flink_finds, stream


def main(arguments: list[str]) -> int:
    """Compare the engines; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.cep", description=__doc__)
    parser.add_argument("--patterns", type=int, default=200)
    parser.add_argument("--streams", type=int, default=10)
    parser.add_argument("--seed", type=int, default=5)
    chosen = parser.parse_args(arguments)
    os.environ["JDK_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=1"  # planning is most of it, and runs once
    chance = random.Random(chosen.seed)
    streams = [stream(chance) for _ in range(chosen.streams)]
    pairs = both_can(chosen.patterns, chosen.seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mitra-cep-") as folder:
        flink = flink_finds(pairs, streams, Path(folder) / "cep")
    took_s = time.monotonic() - began
    matching, wrong = differences(pairs, streams, flink)
    for one in wrong:
        sys.stdout.write(f"{one}\n\n")
    compared, found = len(pairs) * len(streams), sum(map(len, flink.values()))
    sys.stdout.write(
        f"{len(pairs)} patterns x {len(streams)} streams = {compared} pairs; {matching} match something, {found} matches; "
        f"{len(wrong)} differ; Flink took {took_s:.0f} s\n"
    )
    return int(bool(wrong) or matching * 3 < compared)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
