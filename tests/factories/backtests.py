"""What a replay under rules wrote, as far as a backtest reads it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

START_MS = 1_700_000_000_000


@dataclass(frozen=True)
class Row:
    """A decision: which rules fired, those in the shadow too, and which couldn't be decided."""

    id: Any
    amount: float | None
    fired: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    duplicate: bool = False
    at: int = START_MS


def write_decisions(
    path: Path, rows: Iterable[Row], shadow: Iterable[str] = (), *, id_type: Any = None, money: str = "worth"
) -> None:
    """Write rows as a replay does; `shadow` are the rules that are in the shadow, `money` the column of amounts."""
    rows, hidden, texts = list(rows), set(shadow), pa.list_(pa.string())
    columns = {
        "transaction_id": pa.array([row.id for row in rows], id_type or pa.string()),
        "event_time": pa.array([row.at for row in rows], pa.int64()),
        "duplicate": pa.array([row.duplicate for row in rows], pa.bool_()),
        "rules": pa.array([[one for one in row.fired if one not in hidden] for row in rows], texts),
        "shadow": pa.array([[one for one in row.fired if one in hidden] for row in rows], texts),
        "not_evaluated": pa.array([list(row.undecided) for row in rows], texts),
        money: pa.array([row.amount for row in rows], pa.float64()),
    }
    pq.write_table(pa.table(columns), path)
