"""Reads the log back: its files by DuckDB, its records as what they say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import duckdb

from mitra.decode import Decoder, Event
from mitra.errors import MitraError
from mitra.pipeline import Pipeline
from mitra.replay.files import Piece
from mitra.replay.labels import LabelPiece
from mitra.reports import Outcome, Report, ReportDecoder, decode_outcome

Table = Literal["decisions", "records"]
ROWS_AT_ONCE = 32_768


class Logged(NamedTuple):
    """A record as the job read it; `published` is its Kafka timestamp as SQL prints it, `published_ms` as a number."""

    value: bytes | None
    published: str
    published_ms: int


def files_of(log: Path, table: Table) -> list[str]:
    """Return the files of a table of the log that are whole. Raises MitraError where there are none."""
    found = sorted(str(path) for path in log.glob(f"{table}/day=*/part-*"))
    if not found:
        raise MitraError(f"log={str(log)!r} has no {table}; name the folder that the pipeline's section log does")
    return found


def scan(connection: duckdb.DuckDBPyConnection, log: Path, table: Table) -> None:
    """Make a view of a table of the log, under the table's name."""
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files_of(log, table))
    connection.execute(
        f"create view {table} as select * from read_parquet([{listed}], hive_partitioning = true, union_by_name = true)"  # noqa: S608 - names of files, quoted
    )


def read_records(log: Path, topic: str) -> Iterator[list[Logged]]:
    """Yield what the job read from a topic, in the order of each partition."""
    connection = duckdb.connect()
    scan(connection, log, "records")
    found = connection.execute(
        "select value, strftime(published, '%Y-%m-%d %H:%M:%S.%g'), epoch_ms(published) from records "
        'where topic = ? order by "partition", "offset"',
        [topic],
    )
    while rows := found.fetchmany(ROWS_AT_ONCE):
        yield [Logged(*row) for row in rows]


def event_pieces(pipeline: Pipeline, log: Path) -> dict[str, Iterator[Piece]]:
    """Return the events of the log by the name of their type. What the job refused is left out: it has no decision."""
    return {event.name: _events(Decoder(event, pipeline.limits), log, event.topic) for event in pipeline.events}


def _events(decoder: Decoder, log: Path, topic: str) -> Iterator[Piece]:
    for rows in read_records(log, topic):
        found = [decoder.decode(row.value, row.published_ms) for row in rows]
        yield Piece([event for event in found if isinstance(event, Event)])


def label_pieces(pipeline: Pipeline, log: Path) -> Iterator[LabelPiece]:
    """Yield the labels that the job read."""
    labels = pipeline.labels
    if labels is None:
        return
    decoder = ReportDecoder(labels, pipeline.limits)
    for rows in read_records(log, labels.topic):
        piece = LabelPiece()
        for row in rows:
            report = decoder.decode(row.value, row.published)
            if isinstance(report, Report):
                piece.ids.append(report.id)
                piece.values.append(report.value)
                piece.known_at_ms.append(report.known_at_ms)
                piece.versions.append(report.version)
        yield piece


def read_outcomes(pipeline: Pipeline, log: Path) -> Iterator[tuple[Outcome, int]]:
    """Yield the outcomes that the job read back, each with its Kafka timestamp in milliseconds."""
    for rows in read_records(log, pipeline.topics.outcomes):
        for row in rows:
            outcome = decode_outcome(row.value)
            if isinstance(outcome, Outcome):
                yield outcome, row.published_ms
