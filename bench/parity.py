"""Parity: every feature of every published transaction, out of the job, against an oracle that knows nothing of Mitra.

`python -m bench.parity` replays and compares; `--replay DIR` compares what a replay has already written. Exit status 1 if
any value is off by more than 1e-9.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.handbook import Files, part_of_customers, published, replay
from tests.oracles import handbook as oracle

TOLERANCE = 1e-9
EXAMPLES = 3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """How one feature of the job compares with the oracle's: values off, the worst of them, and the first few."""

    feature: str
    off: int
    worst: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Every value of the oracle, compared. `lacking`: transactions without exactly one decision, all their values off."""

    compared: int
    lacking: int
    differences: tuple[Difference, ...]

    @property
    def off(self) -> int:
        """How many values are off."""
        return sum(difference.off for difference in self.differences)


def compare(decisions: Path, files: Files) -> Comparison:
    """Compare the 14 features in `decisions`, a replay's Parquet file, with the oracle's over `files`."""
    data = oracle.read(files.transactions, files.labels)
    expected = oracle.features(data)
    table = pq.read_table(decisions, columns=["transaction_id", *oracle.FEATURES])
    ids = table["transaction_id"].to_numpy().astype(np.int64)
    order = np.argsort(ids, kind="stable")
    first = np.searchsorted(ids, data.id, side="left", sorter=order)
    once = np.searchsorted(ids, data.id, side="right", sorter=order) - first == 1
    rows = order[np.minimum(first, len(ids) - 1)] if len(ids) else np.zeros(len(data.id), dtype=np.int64)
    differences = []
    for feature in oracle.FEATURES:
        found = np.where(once, _floats(table[feature])[rows], np.nan) if len(ids) else np.full(len(data.id), np.nan)
        differences.append(_difference(feature, data.id, found, expected[feature]))
    return Comparison(len(data.id) * len(oracle.FEATURES), int((~once).sum()), tuple(differences))


def _floats(column: Any) -> Floats:
    """Return a column as numbers: true and false as 1 and 0, null as NaN."""
    return np.asarray(column.cast("float64").to_numpy(), dtype=np.float64)


def _difference(feature: str, ids: NDArray[np.int64], found: Floats, expected: Floats) -> Difference:
    gap = np.abs(found - expected)
    off = ~(gap <= TOLERANCE)  # a value that is missing is off, too
    worst = float(np.nanmax(gap)) if np.isfinite(gap).any() else float("nan")
    examples = tuple(
        f"transaction {ids[place]}: {found[place]:.12g}, expected {expected[place]:.12g}"
        for place in np.flatnonzero(off)[:EXAMPLES]
    )
    return Difference(feature, int(off.sum()), worst, examples)


def main() -> int:
    """Replay, compare and tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.parity", description=__doc__, allow_abbrev=False)
    parser.add_argument("--replay", metavar="DIR", type=Path, help="a replay's output, instead of replaying now")
    parser.add_argument("--customers-fraction", metavar="P", type=float, default=1.0, help="part of the customers (1)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mitra-parity-") as folder:
        files = part_of_customers(published(), args.customers_fraction, Path(folder))
        output = args.replay or Path(folder) / "replay"
        seconds = None if args.replay else replay(files, output).seconds
        started = time.monotonic()
        comparison = compare(output / "decisions.parquet" if output.is_dir() else output, files)
        _tell(comparison, seconds, time.monotonic() - started, as_json=args.json)
    return 1 if comparison.off else 0


def _tell(comparison: Comparison, replay_seconds: float | None, compare_seconds: float, *, as_json: bool) -> None:
    if as_json:
        found = {
            "values": comparison.compared,
            "off": comparison.off,
            "transactions_without_one_decision": comparison.lacking,
            "worst": {difference.feature: difference.worst for difference in comparison.differences},
            "replay_seconds": replay_seconds,
            "compare_seconds": compare_seconds,
        }
        print(json.dumps(found))
        return
    width = max(len(feature) for feature in oracle.FEATURES)
    print(f"{'feature':{width}}  {'off':>9}  worst")
    for difference in comparison.differences:
        print(f"{difference.feature:{width}}  {difference.off:>9,}  {difference.worst:.1e}")
        for example in difference.examples:
            print(f"    {example}", file=sys.stderr)
    if replay_seconds is not None:
        print(f"replay: {replay_seconds:.1f} s")
    if comparison.lacking:
        print(f"{comparison.lacking:,} transactions without exactly one decision", file=sys.stderr)
    print(f"{comparison.compared:,} values compared, {comparison.off:,} off by more than {TOLERANCE:g}")


if __name__ == "__main__":
    sys.exit(main())
