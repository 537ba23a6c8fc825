"""What the monitor would have told, as a table: `monitor.parquet`, a row for each record of the monitor topic."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mitra.blueprint import Blueprint
from mitra.monitoring.observed import decode
from mitra.pipeline import Pipeline
from mitra.stages.monitor import monitor_of

MONITOR_FILE = "monitor.parquet"

_TEXT, _NUMBER, _COUNT, _YES = pa.string(), pa.float64(), pa.int64(), pa.bool_()
_TEXTS = pa.list_(_TEXT)
SCHEMA = pa.schema(
    [
        *((name, _TEXT) for name in ("metric", "about", "model", "mode", "arm", "feature", "score", "check")),
        *((name, _COUNT) for name in ("from", "to", "payments")),
        ("alarm", _YES),
        *((name, _NUMBER) for name in ("value", "allowed", "missing", "missing_baseline")),
        *((name, _COUNT) for name in ("least", "most", "frauds", "flagged", "blocked")),
        *(
            (name, _NUMBER)
            for name in ("auc", "average_precision", "expected_average_precision", "precision", "recall")
        ),
        *((name, _NUMBER) for name in ("block_precision", "block_recall", "stopped", "missed", "wrongly_stopped")),
        *((name, _NUMBER) for name in ("expected_frauds", "calibration_error")),
        ("exact", _YES),
        *((name, _TEXTS) for name in ("raised", "cleared", "on", "built_on")),
    ]
)
"""Every field of the records that the monitor makes; null where a record has none of it."""


class ReplayMonitor:
    """Watches a replay. There is no wall clock in it: windows end when the replayed payments have passed them."""

    def __init__(self, pipeline: Pipeline, path: Path) -> None:
        """Watch by the pipeline; the table goes to `path`."""
        assert pipeline.monitoring is not None, "only a pipeline that is monitored has a table"
        self._monitor = monitor_of(Blueprint(pipeline), pipeline.monitoring)
        self._path = path
        self._records: list[dict[str, Any]] = []

    def take(self, blobs: Iterable[bytes]) -> None:
        """Count observations."""
        for blob in blobs:
            self._monitor.take(decode(blob), 0.0)
        self._records += self._monitor.due(0.0)

    def close(self) -> None:
        """Write the table."""
        self._records += self._monitor.finish()
        pq.write_table(pa.Table.from_pylist(self._records, schema=SCHEMA), self._path, compression="zstd")
