"""Decisions as a table: `decisions.parquet`, a column for every feature by its name."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mitra.decision import OUTCOMES
from mitra.errors import MitraError
from mitra.replay.frames import Frame
from mitra.replay.ids import restore_ids

ROW_GROUP = 1 << 17

_ARROW: dict[str, Any] = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "string": pa.string()}
_TEXTS = pa.list_(pa.string())


def own_columns(id_type: Any) -> list[tuple[str, Any]]:
    """Return the columns that every table has, before those of the features."""
    return [
        ("transaction_id", id_type),
        ("event_time", pa.int64()),
        ("outcome", pa.string()),
        ("score", pa.float64()),
        ("raw_score", pa.float64()),
        ("model", pa.string()),
        ("revision", pa.int64()),
        ("late", pa.bool_()),
        ("duplicate", pa.bool_()),
        ("degraded", _TEXTS),
        ("approximate", _TEXTS),
        ("rules", _TEXTS),
        ("shadow", _TEXTS),
        ("not_evaluated", _TEXTS),
    ]


def check_features(names: Iterable[str]) -> None:
    """Raise MitraError if a feature has the name of a column that every table has."""
    own = {name for name, _ in own_columns(pa.string())}
    taken = sorted(own.intersection(names))
    if taken:
        raise MitraError(
            f"the table of decisions has columns {', '.join(taken)}, and so are features named; rename these"
        )


class DecisionTable:
    """Writes frames as rows of a Parquet file. A duplicate's features are null: they stand with the first decision."""

    def __init__(self, path: Path, id_type: Any, types: dict[str, str]) -> None:
        """Start the file; `types` are the features' types by name, in the order of the columns."""
        self._id_type = id_type
        self._types = types
        self._schema = pa.schema([*own_columns(id_type), *((name, _ARROW[kind]) for name, kind in types.items())])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._batches: list[Any] = []
        self._buffered = 0
        self.rows = 0
        self.duplicates = 0

    def add(self, frame: Frame) -> None:
        """Append the decisions of a frame."""
        count = len(frame.ids)
        if not count:
            return
        self._batches.append(
            pa.RecordBatch.from_arrays([*self._own(frame), *self._features(frame)], schema=self._schema)
        )
        self._buffered += count
        self.rows += count
        self.duplicates += frame.duplicate.count(1)
        if self._buffered >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is buffered and close the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._batches:
            self._writer.write_table(pa.Table.from_batches(self._batches))
        self._batches.clear()
        self._buffered = 0

    def _own(self, frame: Frame) -> list[Any]:
        outcomes = pa.DictionaryArray.from_arrays(
            pa.array(np.frombuffer(frame.outcomes, dtype=np.int8)), list(OUTCOMES)
        )
        return [
            restore_ids(frame.ids, self._id_type),
            pa.array(np.frombuffer(frame.event_times, dtype=np.int64)),
            outcomes.cast(pa.string()),
            _numbers(np.frombuffer(frame.scores)),
            _numbers(np.frombuffer(frame.raw_scores)),
            pa.array(frame.models, type=pa.string()),
            pa.array(np.frombuffer(frame.revisions, dtype=np.int64)),
            pa.array(np.frombuffer(frame.late, dtype=np.bool_)),
            pa.array(np.frombuffer(frame.duplicate, dtype=np.bool_)),
            pa.array(frame.degraded, type=_TEXTS),
            pa.array(frame.approximate, type=_TEXTS),
            pa.array(frame.rules, type=_TEXTS),
            pa.array(frame.shadow, type=_TEXTS),
            pa.array(frame.not_evaluated, type=_TEXTS),
        ]

    def _features(self, frame: Frame) -> list[Any]:
        numeric = [name for name, kind in self._types.items() if kind != "string"]
        numbers = np.frombuffer(frame.numbers).reshape(len(frame.ids), len(numeric))
        place = {name: column for column, name in enumerate(numeric)}
        return [
            pa.array(frame.texts[name], type=pa.string()) if kind == "string" else _typed(numbers[:, place[name]], kind)
            for name, kind in self._types.items()
        ]


def _numbers(values: np.ndarray[Any, Any]) -> Any:
    return pa.array(values, mask=np.isnan(values))


def _typed(values: np.ndarray[Any, Any], kind: str) -> Any:
    if kind == "number":
        return _numbers(values)
    missing = np.isnan(values)
    return pa.array(np.where(missing, 0.0, values).astype(np.bool_ if kind == "boolean" else np.int64), mask=missing)
