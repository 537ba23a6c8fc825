"""Drift and quality on the published card transactions, as the monitor tells them in a replay.

Trains on the last week of July 2018, then replays all payments twice with the model: as they are, and with amounts one and a half
times as high from 5 August on. Exit status 1 unless the alarm comes in the first daily window and names the amount and the
features built on it and no others, there is no alarm without, and AUC and average precision of every window are scikit-learn's.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.metrics import average_precision_score, roc_auc_score

from bench.handbook import Files, features_of, options, part_of_customers, published, replay
from bench.handbook_model import train

SHIFT_FROM = datetime(2018, 8, 5, tzinfo=UTC)
BASELINE_ENDS = datetime(2018, 8, 1, tzinfo=UTC)
FACTOR = 1.5
MOVED = {
    "TX_AMOUNT",
    "CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW",
}
TOLERANCE = 1e-6
DAY_MS = 86_400_000


def shifted(files: Files, folder: Path) -> Files:
    """Write the transactions with higher amounts from SHIFT_FROM on."""
    table = pq.read_table(files.transactions)
    amounts = table["TX_AMOUNT"].to_numpy()
    later = table["TX_DATETIME"].cast(pa.timestamp("us")).to_numpy() >= np.datetime64(SHIFT_FROM.replace(tzinfo=None))
    column = pa.array(np.where(later, amounts * FACTOR, amounts))
    path = folder / "shifted.parquet"
    pq.write_table(table.set_column(table.schema.get_field_index("TX_AMOUNT"), "TX_AMOUNT", column), path)
    return Files(path, files.labels)


def alarms(folder: Path) -> list[dict[str, Any]]:
    """Return the changes of drift alarms behind the baseline, in order: the window's begin, and what was named then."""
    table = pq.read_table(folder / "monitor.parquet")
    ends = int(BASELINE_ENDS.timestamp() * 1000)
    chosen = pc.and_(pc.equal(table["metric"], "alarm"), pc.is_in(table["about"], pa.array(["drift", "missing"])))
    found = table.filter(chosen).select(["from", "on", "built_on"]).to_pylist()
    return [one for one in found if one["from"] >= ends]


def largest_error(folder: Path, labels: Path) -> tuple[int, float]:
    """Return of how many windows AUC and average precision were told, and how far the worst is from scikit-learn's."""
    decisions = pq.read_table(folder / "decisions.parquet", columns=["transaction_id", "event_time", "raw_score"])
    judged = pq.read_table(labels)
    label_of = dict(zip(judged["TRANSACTION_ID"].to_pylist(), judged["TX_FRAUD"].to_pylist(), strict=True))
    truth = np.array([label_of[one] for one in decisions["transaction_id"].to_pylist()], dtype=bool)
    times, scores = decisions["event_time"].to_numpy(), decisions["raw_score"].to_numpy()
    told = pq.read_table(folder / "monitor.parquet").to_pylist()
    windows = [one for one in told if one["metric"] == "quality" and one["arm"] == "scored" and one["auc"] is not None]
    worst = 0.0
    for one in windows:
        rows = (times >= one["from"]) & (times < one["to"])
        worst = max(worst, abs(one["auc"] - roc_auc_score(truth[rows], scores[rows])))
        worst = max(worst, abs(one["average_precision"] - average_precision_score(truth[rows], scores[rows])))
    return len(windows), worst


def main() -> int:
    """Replay, train, replay twice, and tell."""
    args = options("drift", __doc__)
    with tempfile.TemporaryDirectory(prefix="mitra-drift-") as name:
        folder = Path(name)
        files = part_of_customers(published(), args.fraction, folder)
        features = features_of(args, files, folder)
        model = folder / "model"
        train(files, features, model)
        replay(files, folder / "plain", "--model", str(model))
        replay(shifted(files, folder), folder / "moved", "--model", str(model))
        quiet, loud = alarms(folder / "plain"), alarms(folder / "moved")
        windows, error = largest_error(folder / "plain", files.labels)
    first = loud[0] if loud else {"from": 0, "on": [], "built_on": []}
    named = {*first["on"], *(first["built_on"] or [])}
    met = {
        "no alarm without": not quiet,
        f"alarm in the window of {SHIFT_FROM:%d %B}": first["from"] == int(SHIFT_FROM.timestamp() * 1000),
        "naming the amount and what is built on it": named == MOVED,
        f"AUC and average precision of {windows} windows within {TOLERANCE}": windows > 0 and error <= TOLERANCE,
    }
    print(
        f"by themselves: {', '.join(first['on'])}; built on them: {', '.join(first['built_on'] or [])}; error {error:.2e}"
    )
    for what, found in met.items():
        print(f"{what}: {'met' if found else 'MISSED'}")
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
