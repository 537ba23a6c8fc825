"""What a replay writes, made up: decisions with features, and the labels' file, small and seeded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAY_MS = 86_400_000
START_MS = 1_704_067_200_000  # 2024-01-01
FEATURES = ("amount", "count_1h", "is_night")


@dataclass(frozen=True)
class Replayed:
    """The files of a made-up replay of `days` days from 2024-01-01."""

    features: Path
    labels: Path
    transactions: Path


def replayed(folder: Path, *, days: int = 20, per_day: int = 100, seed: int = 0, text_ids: bool = False) -> Replayed:
    """Write a replay's output, its labels and its transactions; one payment in ten is a fraud, told by its amount."""
    rng = np.random.default_rng(seed)
    count = days * per_day
    ids = [f"t{number}" for number in range(count)] if text_ids else list(range(count))
    times = START_MS + np.sort(rng.integers(0, days * DAY_MS, count))
    frauds = rng.random(count) < 0.1
    amount = np.where(frauds, 80.0, 20.0) * rng.lognormal(size=count)
    columns = {
        "transaction_id": ids,
        "event_time": times,
        "outcome": ["allow"] * count,
        "score": pa.nulls(count, pa.float64()),
        "duplicate": [False] * count,
        "amount": amount,
        "count_1h": pa.array(rng.integers(0, 5, count), mask=rng.random(count) < 0.1),
        "is_night": rng.random(count) < 0.3,
        "country": ["DE"] * count,
    }
    (folder / "replay").mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "replay" / "decisions.parquet")
    pq.write_table(pa.table({"id": ids, "verdict": frauds.astype(np.int8)}), folder / "labels.parquet")
    cards = rng.integers(0, 1000, count)
    pq.write_table(pa.table({"id": ids, "card": cards}), folder / "transactions.parquet")
    return Replayed(folder / "replay", folder / "labels.parquet", folder / "transactions.parquet")
