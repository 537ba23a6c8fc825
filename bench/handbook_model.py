"""The book's XGBoost row, with scores that came out of the job.

Replays the published transactions, trains on the job's features with `mitra train`, replays again with the model, and
measures the job's raw scores. Exit status 1 if a metric is outside its bar.

Metrics are the raw score's: calibration keeps the order of scores but for ties it makes, and a published metric ranks.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.handbook import LABEL_DELAY, PIPELINE, Files, Replayed, published, replay, run
from models.metrics import auc_roc, average_precision, card_precision, unknown_cards

# What the book prints, and how far a run may be from it.
PUBLISHED = {"auc_roc": (0.862, 0.003), "average_precision": (0.639, 0.005), "card_precision_100": (0.273, 0.005)}
TRAIN = ("2018-07-25", "2018-07-31")
TEST = ("2018-08-08", "2018-08-14")
LABEL_DELAY_DAYS = 7
# The book's XGBoost was of the time when these were the defaults.
PARAMETERS = ("defaults=xgboost", "tree_method=exact", "base_score=0.5")
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Rows:
    """The transactions that a window's metrics are measured on: columns of equal length."""

    scores: NDArray[np.float64]
    labels: NDArray[np.bool_]
    days: NDArray[np.int64]
    customers: NDArray[np.int64]

    def metrics(self) -> dict[str, float]:
        """Return the book's three metrics."""
        return {
            "auc_roc": auc_roc(self.scores, self.labels),
            "average_precision": average_precision(self.scores, self.labels),
            "card_precision_100": card_precision(self.scores, self.labels, self.days, self.customers),
        }


def scored_rows(decisions: Path, files: Files) -> Rows:
    """Return the test week's rows as the book chooses them, with the raw scores in `decisions`."""
    table = pq.read_table(decisions, columns=["transaction_id", "event_time", "raw_score"])
    ids = table["transaction_id"].to_numpy().astype(np.int64)
    days = table["event_time"].cast("int64").to_numpy() // DAY_MS
    scores = np.asarray(table["raw_score"].to_numpy(), dtype=np.float64)
    labels = _aligned(files.labels, "TX_FRAUD", ids).astype(bool)
    customers = _aligned(files.transactions, "CUSTOMER_ID", ids)
    rows = unknown_cards(days, labels, customers, train=_days(TRAIN), test=_days(TEST), label_delay=LABEL_DELAY_DAYS)
    if np.isnan(scores[rows]).any():
        msg = f"{decisions}: {int(np.isnan(scores[rows]).sum())} transactions of the test week have no raw score"
        raise SystemExit(msg)
    return Rows(scores[rows], labels[rows], days[rows], customers[rows])


def _aligned(path: Path, column: str, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a column of a published file, in the order of `ids`."""
    table = pq.read_table(path, columns=["TRANSACTION_ID", column])
    own = table["TRANSACTION_ID"].to_numpy()
    order = np.argsort(own)
    values = table[column].to_numpy()[order][np.searchsorted(own, ids, sorter=order)]
    return np.asarray(values, dtype=np.int64)


def _days(window: tuple[str, str]) -> tuple[int, int]:
    first, last = (date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal() for day in window)
    return first, last


def train(files: Files, features: Path, model: Path) -> None:
    """Run `mitra train` as the book trains."""
    command = [sys.executable, "-m", "mitra.cli", "train", str(PIPELINE), "--features", str(features)]
    command += ["--labels", str(files.labels), "--label-delay", LABEL_DELAY, "--output", str(model), "--overwrite"]
    command += ["--train", "..".join(TRAIN), "--test", "..".join(TEST), "--params", *PARAMETERS]
    command += ["--transactions", str(files.transactions), "--card", "customer"]
    run(command)


def main() -> int:
    """Replay, train, replay, measure and tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.handbook_model", description=__doc__, allow_abbrev=False)
    parser.add_argument("--features", metavar="DIR", type=Path, help="a replay's output, instead of the first replay")
    parser.add_argument("--scored", metavar="DIR", type=Path, help="a replay's output with the model: only measure it")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args()
    files = published()
    with tempfile.TemporaryDirectory(prefix="mitra-handbook-") as name:
        folder = Path(name)
        replays: dict[str, Replayed] = {}
        scored = args.scored
        if scored is None:
            features = args.features
            if features is None:
                features = folder / "features"
                replays["replay"] = replay(files, features)
            train(files, features, folder / "model")
            scored = folder / "scored"
            replays["replay_with_model"] = replay(files, scored, "--model", str(folder / "model"))
        rows = scored_rows(scored / "decisions.parquet", files)
    return _tell(rows, replays, as_json=args.json)


def _tell(rows: Rows, replays: dict[str, Replayed], *, as_json: bool) -> int:
    metrics = rows.metrics()
    inside = {name: abs(metrics[name] - value) <= bar for name, (value, bar) in PUBLISHED.items()}
    if as_json:
        found = {"rows": len(rows.labels), "frauds": int(rows.labels.sum()), **metrics, "inside": inside}
        found |= {name: asdict(one) for name, one in replays.items()}
        print(json.dumps(found))
    else:
        print(f"test week: {len(rows.labels):,} transactions, {int(rows.labels.sum())} frauds")
        for name, (value, bar) in PUBLISHED.items():
            verdict = "inside" if inside[name] else "OUTSIDE"
            print(f"{name:20} {metrics[name]:.4f}  published {value} ± {bar}  {verdict}")
        for name, one in replays.items():
            print(f"{name:20} {one.seconds:.1f} s, {one.peak_mb:,.0f} MB at most")
    return 0 if all(inside.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
