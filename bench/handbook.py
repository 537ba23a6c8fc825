"""The published card transactions: where they lie, a part of their customers, and a replay of them."""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.usage import Watch

ROOT = Path(__file__).resolve().parent.parent
PIPELINE = ROOT / "examples" / "handbook" / "pipeline.yaml"
LABEL_DELAY = "7d"

# Knuth's multiplicative hash: neighbouring customer numbers fall far apart, the same on every machine.
_KNUTH = 2_654_435_761
_HASHES = 1 << 32


@dataclass(frozen=True)
class Files:
    """The two Parquet files of one data set."""

    transactions: Path
    labels: Path


def published() -> Files:
    """Return the published files, in the shared data folder beside the project or where MITRA_SHARED points."""
    shared = Path(os.environ.get("MITRA_SHARED", ROOT.parent / "shared"))
    folder = shared / "data" / "handbook"
    if not folder.is_dir():
        msg = f"there is no {folder}; put the shared data beside the project, or say where it is with MITRA_SHARED"
        raise SystemExit(msg)
    return Files(folder / "transactions.parquet", folder / "labels.parquet")


def part_of_customers(files: Files, fraction: float, folder: Path) -> Files:
    """Write the transactions of `fraction` of the customers, the same ones every time, into `folder`.

    A data set of its own: a terminal's past is then what these customers did there.
    """
    if not 0.0 < fraction <= 1.0:
        msg = f"fraction={fraction} of the customers is out of range; give more than 0 and at most 1"
        raise SystemExit(msg)
    if fraction == 1.0:
        return files
    table, labels = pq.read_table(files.transactions), pq.read_table(files.labels)
    customers = table["CUSTOMER_ID"].to_numpy().astype(np.uint64)
    chosen = customers * np.uint64(_KNUTH) % np.uint64(_HASHES) < fraction * _HASHES
    kept = table.filter(pa.array(chosen))
    ids = kept["TRANSACTION_ID"].to_numpy()
    part = Files(folder / "transactions.parquet", folder / "labels.parquet")
    pq.write_table(kept, part.transactions)
    pq.write_table(labels.filter(pa.array(np.isin(labels["TRANSACTION_ID"].to_numpy(), ids))), part.labels)
    return part


def options(name: str, about: str | None) -> argparse.Namespace:
    """Read the command line of a measurement on the published files."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=about, allow_abbrev=False)
    parser.add_argument("--features", metavar="DIR", type=Path, help="a replay's output, instead of a first replay")
    parser.add_argument("--fraction", type=float, default=1.0, help="this part of the customers (default: all)")
    return parser.parse_args()


@dataclass(frozen=True)
class Replayed:
    """What a replay took: the seconds of the whole command, and the resident memory of all its processes at its highest."""

    seconds: float
    peak_mb: float


def replay(files: Files, output: Path, *extra: str) -> Replayed:
    """Run `mitra replay` over `files` into the folder `output`."""
    command = [sys.executable, "-m", "mitra.cli", "replay", str(PIPELINE), "--transactions", str(files.transactions)]
    command += ["--labels", str(files.labels), "--label-delay", LABEL_DELAY, "--output", str(output), *extra]
    started = time.monotonic()
    with Popen(command, cwd=ROOT) as process, Watch({"replay": process.pid}) as watch:
        status = process.wait()
    seconds = time.monotonic() - started
    _check(command, status)
    return Replayed(seconds, watch.result()["replay"]["peak_mb"])


def features_of(args: argparse.Namespace, files: Files, folder: Path) -> Path:
    """Return a replay's output: that which `options` were given, or that of a first replay, below `folder`."""
    if args.features is not None:
        return Path(args.features)
    replay(files, folder / "features")
    return folder / "features"


def run(command: list[str]) -> None:
    """Run a command in the project's folder; end with its exit status if it fails."""
    _check(command, subprocess.run(command, cwd=ROOT, check=False).returncode)


def _check(command: list[str], status: int) -> None:
    if status:
        print(f"failed with exit status {status}: {' '.join(command)}", file=sys.stderr)
        raise SystemExit(status)
