"""The demo's model: sample payments, their features out of the job, a small model of a hundred trees.

Writes examples/payments/model/ and tells how good it is on the last ten days, by scenario. Exit status 1 if the model
is bigger than a file in a repository should be.
"""

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.handbook import ROOT, run
from mitra.sample.tags import FRAUDS, NAMES
from models.artefact import load_model
from models.matrix import as_matrix
from models.metrics import auc_roc, average_precision

EXAMPLE = ROOT / "examples" / "payments"
SEED, CUSTOMERS, DAYS, START = 7, 5_000, 60, "2025-03-03"
# From the first day on, so that the model knows customers, cards and devices without a past: live, all begin so.
TRAIN = "2025-03-03..2025-04-14"
TEST = "2025-04-22..2025-05-01"
TEST_START_MS = 1_745_280_000_000  # 2025-04-22
PARAMETERS = ("n_estimators=80", "max_depth=5", "learning_rate=0.15", "min_child_weight=2", "subsample=0.9")
MAX_BYTES = 300_000
Shares = dict[str, dict[str, float]]


def mitra(*arguments: str | Path) -> None:
    """Run a command of mitra with its output on the terminal; end with its exit status if it fails."""
    run([sys.executable, "-m", "mitra.cli", *map(str, arguments)])


def without_model(pipeline: Path, folder: Path) -> Path:
    """Return a copy of the pipeline file without its section `model`: features need none, and the old may not fit."""
    text = re.sub(r"(?m)^model:\n(?:[ \t]+.*\n|#.*\n|\n)*", "", pipeline.read_text(encoding="utf-8"))
    copy = folder / pipeline.name
    copy.write_text(text, encoding="utf-8")
    return copy


def measure(features: Path, labels: Path, model_folder: Path) -> tuple[dict[str, float], Shares]:
    """Return the model's metrics on the test days, and the share reviewed and blocked of each name on a label."""
    model = load_model(model_folder)
    table = pq.read_table(features, columns=["transaction_id", "event_time", *model.features])
    names = _names(labels, table["transaction_id"].to_numpy())
    tested = table["event_time"].cast("int64").to_numpy() >= TEST_START_MS
    columns = [table[name].cast("float64").to_numpy(zero_copy_only=False) for name in model.features]
    rows = as_matrix(np.column_stack(columns)[tested])
    raw = model.raw_scores(rows)
    outcomes = model.outcomes(model.calibrate(raw))
    named = names[tested]
    is_fraud = np.isin(named, sorted(FRAUDS))
    metrics = {
        "payments": len(named),
        "frauds": int(is_fraud.sum()),
        "auc_roc": auc_roc(raw, is_fraud),
        "average_precision": average_precision(raw, is_fraud),
        "flagged": int((outcomes > 0).sum()),
        "precision_flagged": float(is_fraud[outcomes > 0].mean()),
    }
    shares = {
        name: {
            "payments": int((named == name).sum()),
            "flagged": float((outcomes[named == name] > 0).mean()),
            "blocked": float((outcomes[named == name] > 1).mean()),
        }
        for name in NAMES
        if (named == name).any()
    }
    return metrics, shares


def _names(labels: Path, ids: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the name on each payment's label, in the order of `ids`."""
    table = pq.read_table(labels, columns=["transaction_id", "scenario"])
    own, names = table["transaction_id"].to_numpy().astype(str), table["scenario"].to_numpy().astype(str)
    order = np.argsort(own)
    aligned: NDArray[np.str_] = names[order][np.searchsorted(own, ids.astype(str), sorter=order)]
    return aligned


def main() -> int:
    """Sample, replay, train, measure and tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.demo_model", description=__doc__, allow_abbrev=False)
    parser.add_argument("--output", metavar="DIR", type=Path, default=EXAMPLE / "model", help="the artefact's folder")
    parser.add_argument("--customers", type=int, default=CUSTOMERS, help=f"(default: {CUSTOMERS})")
    parser.add_argument(
        "--keep", metavar="DIR", type=Path, help="leave sample and features here; used if there already"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mitra-demo-model-") as name:
        folder = args.keep or Path(name)
        sample, features = folder / "sample", folder / "features"
        payments, labels = sample / "payments.parquet", sample / "labels.parquet"
        decisions = features / "decisions.parquet"
        folder.mkdir(parents=True, exist_ok=True)
        pipeline = without_model(EXAMPLE / "pipeline.yaml", folder)
        if not decisions.is_file():
            mitra(
                "sample", "--seed", str(SEED), "--customers", str(args.customers), "--days", str(DAYS),
                "--start", START, "--output", sample,
            )  # fmt: skip
            mitra("replay", pipeline, "--transactions", payments, "--labels", labels, "--output", features)
        mitra(
            "train", pipeline, "--features", features, "--labels", labels, "--train", TRAIN, "--test", TEST,
            "--params", *PARAMETERS, "--version", "1", "--target-flagged-share", "0.006", "--output", args.output, "--overwrite",
        )  # fmt: skip
        metrics, shares = measure(decisions, labels, args.output)
    size = sum(file.stat().st_size for file in args.output.iterdir())
    if args.json:
        print(json.dumps({**metrics, "model_bytes": size, "by_name": shares}))
    else:
        _tell(metrics, shares, size)
    return 0 if size <= MAX_BYTES else 1


def _tell(metrics: dict[str, float], shares: Shares, size: int) -> None:
    print(f"\ntest days: {metrics['payments']:,} payments, {metrics['frauds']} frauds")
    print(f"AUC ROC {metrics['auc_roc']:.4f}  average precision {metrics['average_precision']:.4f}")
    print(f"flagged {metrics['flagged']}, of which frauds {metrics['precision_flagged']:.1%}")
    print(f"{'name':22}{'payments':>10}{'flagged':>10}{'blocked':>10}")
    for name, share in shares.items():
        print(f"{name:22}{share['payments']:10,}{share['flagged']:10.1%}{share['blocked']:10.1%}")
    print(f"model: {size:,} bytes (at most {MAX_BYTES:,})")


if __name__ == "__main__":
    sys.exit(main())
