"""A training set out of the log: what was served, joined with what was known of it by a given time."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from mitra.errors import MitraError
from mitra.log.names import LABELS, LOG_NAMES
from mitra.log.reading import label_pieces, scan
from mitra.pipeline import Pipeline
from mitra.replay.labels import CREATE_LABELS, read_labels
from models.tables import open_tables

DECISIONS = "decisions.parquet"

# The greatest version that was known by then; of two labels with one version the first counts, as live.
_KNOWN = """
create table known as
with dated as (
    select l.id, l.value, coalesce(l.known_at_ms, d.event_time + $delay) as known_at_ms, l.version, l.place
    from labels l join served d on d.transaction_id = l.id
), ordered as (
    select id, value, known_at_ms, (coalesce(version, known_at_ms), -place) as newer from dated
)
select id, arg_max(value, newer) as value, arg_max(known_at_ms, newer) as known_at_ms
from ordered where known_at_ms <= $known_by group by id
"""
_SERVED = """
create view served as
select * exclude ({left_out}) from decisions
where not duplicate and event_time >= {from_ms} and event_time < {to_ms}
"""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What was written: payments, how many of them have a label known by then, and how many of these are frauds."""

    payments: int
    labelled: int
    frauds: int


def write_training_set(
    pipeline: Pipeline,
    log: Path,
    output: Path,
    *,
    from_ms: int,
    to_ms: int,
    known_by_ms: int,
    labels: tuple[Path, ...] = (),
    label_delay_ms: int | None = None,
    threads: int | None = None,
) -> TrainingSet:
    """Write `decisions.parquet`, the features as served, and `labels.parquet`, as known by `known_by_ms`, into a folder.

    The labels are those of the log, or those of files. Silence is a label, and so is left to `mitra train`.
    `threads` work on it, None for one a core.
    Raises MitraError where the log holds no decision of that time, or the pipeline has no labels.
    """
    told = pipeline.labels
    if told is None:
        raise MitraError(f"pipeline {pipeline.name} has no section labels, so what is a fraud is not known; add it")
    output.mkdir(parents=True, exist_ok=True)
    with open_tables(threads) as connection:
        scan(connection, log, "decisions")
        left_out = ", ".join(f'"{name}"' for name in sorted(LOG_NAMES - {"decided_at"}))
        connection.execute(_SERVED.format(left_out=left_out, from_ms=from_ms, to_ms=to_ms))
        connection.execute(CREATE_LABELS)
        pieces = label_pieces(pipeline, log) if not labels else (p for path in labels for p in read_labels(path, told))
        place = 0
        for piece in pieces:
            piece.insert(connection, place)
            place += len(piece.ids)
        delay_ms = told.after_ms if label_delay_ms is None else label_delay_ms
        connection.execute(_KNOWN, {"delay": delay_ms, "known_by": known_by_ms})
        [(payments,)] = connection.execute("select count(*) from served").fetchall()
        [(labelled, frauds)] = connection.execute("select count(*), count(*) filter (value = 1) from known").fetchall()
        if not payments:
            raise MitraError(f"log={str(log)!r} has no decision from {from_ms} to {to_ms} (epoch milliseconds, UTC)")
        _write(connection, "select * from served order by event_time, transaction_id", output / DECISIONS)
        columns = [f'id as "{told.id}"', f'value = 1 as "{told.label}"']
        columns += [f'epoch_ms(known_at_ms) as "{told.known_at}"'] if told.known_at else []
        _write(connection, f"select {', '.join(columns)} from known order by id", output / LABELS)  # noqa: S608 - the pipeline's own names
    return TrainingSet(payments, labelled, frauds)


def _write(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    target = str(path).replace("'", "''")
    connection.execute(f"copy ({query}) to '{target}' (format parquet, compression zstd)")
