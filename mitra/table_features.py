"""`mitra.features`: the features of a table of events, in a notebook, by the job's own stages and without Flink.

The table goes through what a replay goes through: rows are checked against the pipeline's schema, put in order of time,
appended to histories and answered as of their own time.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mitra.blueprint import Blueprint
from mitra.duration import EXAMPLES, parse_duration_ms
from mitra.errors import MitraError
from mitra.pipeline import Pipeline, load_pipeline
from mitra.replay.frames import decode_frame, frame_of
from mitra.replay.inline import inline_pipeline, replay_inline
from mitra.replay.prepare import prepare
from mitra.replay.prepared import PreparedInput
from mitra.replay.table import DecisionTable

_SHOWN = 3


def features_of(
    pipeline: str | Path | Pipeline,
    events: Any,
    *,
    labels: Any = None,
    label_delay: str | None = None,
    others: Mapping[str, Any] | None = None,
) -> Any:
    """Return an Arrow table: the id and time of each row of `events`, in their order, and each feature as of that time.

    See `mitra.features`, which is this.
    """
    known = pipeline if isinstance(pipeline, Pipeline) else load_pipeline(pipeline)
    delay_ms = None if label_delay is None else parse_duration_ms(label_delay)
    if label_delay is not None and delay_ms is None:
        raise MitraError(f"label_delay={label_delay!r} is no length of time; allowed: {EXAMPLES}")
    decided = _table(events, known.decided.name)
    with tempfile.TemporaryDirectory(prefix="mitra-features-") as scratch:
        folder = Path(scratch)
        prepared = prepare(
            known,
            [_written(decided, folder, known.decided.name)],
            folder / "input",
            dead_letters=folder / "rejected.jsonl",
            events={name: [_written(_table(table, name), folder, name)] for name, table in (others or {}).items()},
            labels=[] if labels is None else [_written(_table(labels, "labels"), folder, "labels")],
            label_delay_ms=delay_ms,
        )
        _refuse(folder)
        found = _replayed(known, prepared, folder)
    return _in_the_order_of(decided.column(known.decided.id), found)


def _table(data: Any, name: str) -> Any:
    """Return a table of any of the libraries as an Arrow table."""
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if hasattr(data, "to_arrow"):
        return data.to_arrow()
    if type(data).__module__.partition(".")[0] == "pandas":
        return pa.Table.from_pandas(data, preserve_index=False)
    if hasattr(data, "__arrow_c_stream__"):
        return pa.table(data)
    raise MitraError(f"{name} is a {type(data).__name__}; give a table of pandas, Polars or Arrow")


def _written(table: Any, folder: Path, name: str) -> Path:
    path = folder / f"{name}.parquet"
    pq.write_table(table, path, compression="none")
    return path


def _refuse(folder: Path) -> None:
    """Raise MitraError with the first rows that are no events or labels."""
    letters = []
    for path in (folder / "rejected.jsonl", folder / "label_dead_letters.jsonl"):
        if path.exists():
            letters += [json.loads(line) for line in path.read_bytes().splitlines()]
    if not letters:
        return
    told = [f"{_place(letter)}: {letter['message']}" for letter in letters[:_SHOWN]]
    more = f"; and {len(letters) - _SHOWN} more" if len(letters) > _SHOWN else ""
    raise MitraError(f"{len(letters)} rows can't be used: {'; '.join(told)}{more}")


def _place(letter: dict[str, Any]) -> str:
    """Return the table of a dead letter, and its row from 0 where it has one."""
    name = letter["topic"].removesuffix(".parquet")
    return name if letter["offset"] is None else f"{name}, row {letter['offset'] - 1}"


def _replayed(pipeline: Pipeline, prepared: PreparedInput, folder: Path) -> Any:
    types: dict[str, str] = dict(Blueprint(inline_pipeline(pipeline)).compiled.types)
    path = folder / "features.parquet"
    table = DecisionTable(path, prepared.decided_id_type(pipeline), types)
    for decided in replay_inline(pipeline, prepared.folder):
        table.add(decode_frame(frame_of(decided, [], 0)))
    table.close()
    found = pq.read_table(path, columns=["transaction_id", "event_time", "duplicate", *types])
    return found.filter(pc.invert(found.column("duplicate"))).drop_columns("duplicate")


def _in_the_order_of(ids: Any, found: Any) -> Any:
    """Return the rows of `found` by their ids; a row that is there twice has the same features twice."""
    wanted = ids.cast(found.schema.field("transaction_id").type)
    return found.take(pc.index_in(wanted, value_set=found.column("transaction_id"))).combine_chunks()
