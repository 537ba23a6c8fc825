"""Prepares a replay: reads the files once, sorts the events by time and typed id, joins the labels, lays it all on disk.

DuckDB sorts and joins, and spills to the folder what doesn't fit into the memory it is given, so that neither the files'
size nor their order matters.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import duckdb
import pyarrow as pa

from mitra.conflict import conflict_letter
from mitra.dead_letter import DeadLetter
from mitra.decode import Event, decode_payload
from mitra.duration import duration_text
from mitra.errors import MitraError
from mitra.pipeline import Pipeline
from mitra.replay.files import Piece, read_events
from mitra.replay.ids import id_type_of, with_id_type
from mitra.replay.labels import CREATE_LABELS, LabelPiece, read_labels
from mitra.replay.prepared import SUMMARY_FILE, PreparedInput, PreparedWriter, Summary
from mitra.schema import EventType

BATCH_ROWS = 2_048
MEMORY_MB = 384

Progress = Callable[[str, int], None]
"""Called with what is being done ("read", "labels", "sort", "write") and how many rows of it are done."""

_CORRECTIONS = pa.list_(pa.struct([("value", pa.float64()), ("known_at_ms", pa.int64()), ("version", pa.int64())]))
SCHEMA = pa.schema([
    ("kind", pa.uint8()), ("id", pa.string()), ("time_ms", pa.int64()), ("payload", pa.binary()),
    ("content_hash", pa.int64()), ("label", pa.float64()), ("known_at_ms", pa.int64()), ("version", pa.int64()),
    ("corrections", _CORRECTIONS),
])  # fmt: skip
_ROWS = pa.schema([
    ("place", pa.int64()), ("kind", pa.uint8()), ("space", pa.uint8()), ("id", pa.string()), ("number", pa.int64()), ("time_ms", pa.int64()),
    ("payload", pa.binary()), ("content_hash", pa.int64()),
])  # fmt: skip

_CREATE = f"""
create table rows (place bigint, kind utinyint, space utinyint, id varchar, number bigint, time_ms bigint, payload blob, content_hash bigint);
{CREATE_LABELS};
"""
# Which content of an id came first is known here, whatever the parallelism: the later ones are no events.
_FIRST = """
create table firsts as
select space, id, arg_min(content_hash, (time_ms, place)) as content_hash
from rows group by space, id having min(content_hash) <> max(content_hash)
"""
_LATER = "from rows using firsts where rows.space = firsts.space and rows.id = firsts.id and rows.content_hash <> firsts.content_hash"
_CONFLICTS = """
select r.kind, r.payload from rows r join firsts f on r.space = f.space and r.id = f.id and r.content_hash <> f.content_hash
order by r.place
"""
_LABELS_ARE_SINGLE = "select count(*) = count(distinct id) from labels"
_SINGLE = """
create view versions as select id, value as label, known_at_ms, version,
    null::struct(value double, known_at_ms bigint, version bigint)[] corrections
from labels
"""
# Of labels with the same id and version the first in the files counts, as live; the others are listed as they became known.
_SEVERAL = """
create table versions as
with times as (
    select id, min(time_ms) time_ms from rows where space = $decided group by id
), known as (
    select l.id, l.value, coalesce(l.known_at_ms, t.time_ms + $delay) known_at_ms, l.version, l.place
    from labels l left join times t on t.id = l.id
), several as (
    select id, coalesce(version, known_at_ms) version, arg_min(value, place) as value, arg_min(known_at_ms, place) known_at_ms
    from known group by all
), listed as (
    select id, list(
        struct_pack(value := value, known_at_ms := known_at_ms, version := version) order by known_at_ms, version
    ) versions
    from several group by id
)
select id, versions[1].value label, versions[1].known_at_ms known_at_ms, versions[1].version as version,
    case when len(versions) > 1 then versions[2:] end corrections
from listed
"""
_UNMATCHED = "select count(*) from labels l anti join (select id from rows where space = $decided) r on r.id = l.id"
_SORTED = """
select r.kind, r.id, r.time_ms, r.payload, r.content_hash, v.label,
    case when v.label is not null then coalesce(v.known_at_ms, r.time_ms + $delay) end as known_at_ms,
    case when v.label is not null then coalesce(v.version, v.known_at_ms, r.time_ms + $delay) end as version, v.corrections
from rows r left join versions v on v.id = r.id and r.space = $decided
order by r.time_ms, r.number nulls last, r.id, r.place
"""


def prepare(
    pipeline: Pipeline,
    transactions: Sequence[Path],
    folder: Path,
    *,
    dead_letters: Path,
    events: Mapping[str, Sequence[Path]] | None = None,
    labels: Sequence[Path] = (),
    label_delay_ms: int | None = None,
    batch_rows: int = BATCH_ROWS,
    memory_mb: int = MEMORY_MB,
    progress: Progress | None = None,
) -> PreparedInput:
    """Read files of transactions, other events and labels, and leave them prepared in `folder`.

    Rows that are no events are written to `dead_letters`, a JSON line each; labels that are none to
    `label_dead_letters.jsonl` beside it. A label without a known-at time is known `label_delay_ms` after its transaction;
    None: after the pipeline's `labels.after`. Raises MitraError for files that can't be read.
    """
    task = _Preparation(pipeline, folder, memory_mb, progress or (lambda _step, _rows: None))
    try:
        with dead_letters.open("wb") as letters:
            task.read(pipeline.decided.name, transactions, letters)
            for name, paths in (events or {}).items():
                task.read(name, paths, letters)
        with dead_letters.open("ab") as letters:
            task.part_conflicts(letters)
        delay_ms = 0
        if labels:
            delay_ms = task.read_labels(labels, label_delay_ms, dead_letters.with_name("label_dead_letters.jsonl"))
        return task.write(delay_ms, batch_rows)
    finally:
        task.close()


def prepare_pieces(
    pipeline: Pipeline,
    events: Mapping[str, Iterable[Piece]],
    labels: Iterable[LabelPiece],
    folder: Path,
    *,
    dead_letters: Path,
    memory_mb: int = MEMORY_MB,
) -> PreparedInput:
    """Prepare what has been read already: events by the name of their type, and labels that all say when they became known."""
    task = _Preparation(pipeline, folder, memory_mb, lambda _step, _rows: None)
    try:
        with dead_letters.open("wb") as letters:
            for name, pieces in events.items():
                event = task.event(name)
                task.take(
                    event, pa.int64() if event.by_name[event.id].type == "integer" else pa.string(), pieces, letters
                )
            task.part_conflicts(letters)
        for piece in labels:
            task.take_labels(piece)
        return task.write(0, BATCH_ROWS)
    finally:
        task.close()


class _Preparation:
    """One preparation under way: the counts so far and the database that sorts."""

    def __init__(self, pipeline: Pipeline, folder: Path, memory_mb: int, progress: Progress) -> None:
        self._pipeline = pipeline
        self._folder = folder
        self._progress = progress
        self._counts = dict.fromkeys(Summary.__slots__, 0)
        self._id_types: dict[str, Any] = {}
        self._read = 0
        self._decided = pipeline.events.index(pipeline.decided)
        self._scratch = folder / "sorting"
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True)
        (folder / SUMMARY_FILE).unlink(missing_ok=True)
        self._database = duckdb.connect(str(self._scratch / "rows.duckdb"))
        self._database.execute(f"set memory_limit = '{memory_mb}MB'")
        self._database.execute(f"set temp_directory = '{str(self._scratch / 'spilled').replace(chr(39), chr(39) * 2)}'")
        self._database.execute("set threads = 2")
        self._database.execute(_CREATE)

    def close(self) -> None:
        self._database.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def read(self, name: str, paths: Sequence[Path], letters: IO[bytes]) -> None:
        """Read the files of one event type into the table of rows."""
        event = self.event(name)
        id_type = id_type_of(event, paths)
        limits, typed = self._pipeline.limits, with_id_type(event, id_type)
        self.take(typed, id_type, (piece for path in paths for piece in read_events(path, typed, limits)), letters)

    def event(self, name: str) -> EventType:
        """Return the event type of that name. Raises MitraError naming those there are."""
        event = self._pipeline.event(name)
        if event is None:
            known = ", ".join(event.name for event in self._pipeline.events)
            raise MitraError(f"there is no event type {name} in pipeline {self._pipeline.name}; allowed: {known}")
        return event

    def take(self, event: EventType, id_type: Any, pieces: Iterable[Piece], letters: IO[bytes]) -> None:
        """Put events of one type, whose ids are of `id_type`, into the table of rows."""
        kind = [one.name for one in self._pipeline.events].index(event.name)
        self._id_types[event.name] = id_type
        numbers = event.by_name[event.id].type == "integer"
        place = event.index[event.id]
        read = refused = 0
        for piece in pieces:
            self._insert(piece.events, kind, place if numbers else None)
            _write_letters(piece, letters)
            read += len(piece.events) + len(piece.letters)
            refused += len(piece.letters)
            self._progress("read", read)
        decided = event.decided
        self._counts["transactions" if decided else "other_events"] += read
        self._counts["rejected" if decided else "other_rejected"] += refused

    def _insert(self, events: list[Event], kind: int, number_place: int | None) -> None:
        if not events:
            return
        count = len(events)
        numbers = [None] * count if number_place is None else [event.values[number_place] for event in events]
        columns = [
            self._places(count),
            pa.array([kind] * count, pa.uint8()),
            pa.array([self._space(kind)] * count, pa.uint8()),
            pa.array([event.id for event in events], pa.string()),
            pa.array(numbers, pa.int64()),
            pa.array([event.time_ms for event in events], pa.int64()),
            pa.array([event.payload for event in events], pa.binary()),
            pa.array([event.content_hash for event in events], pa.int64()),
        ]
        self._database.register("piece", pa.Table.from_arrays(columns, schema=_ROWS))
        self._database.execute("insert into rows select * from piece")
        self._database.unregister("piece")

    def _space(self, kind: int) -> int:
        """Return the first of the types that ids are told apart in: a decision's id stands for one event of all decided types."""
        return self._decided if self._pipeline.events[kind].decided else kind

    def _places(self, count: int) -> Any:
        """Return the places of the next rows in the order of the input: what decides between equals."""
        self._read += count
        return pa.array(range(self._read - count, self._read), pa.int64())

    def read_labels(self, paths: Sequence[Path], delay_ms: int | None, letters_path: Path) -> int:
        """Read files of labels; return how long after its transaction a label without a time is known."""
        labels = self._pipeline.labels
        if labels is None:
            raise MitraError(
                f"pipeline {self._pipeline.name} has no section labels; add it, or leave the label files out"
            )
        undated = 0
        with letters_path.open("wb") as letters:
            for path in paths:
                for piece in read_labels(path, labels):
                    undated += self.take_labels(piece)
                    letters.writelines(letter.to_json() + b"\n" for letter in piece.letters)
                    self._counts["labels"] += piece.rows
                    self._counts["labels_rejected"] += len(piece.letters)
                    self._progress("labels", self._counts["labels"])
        if not self._counts["labels_rejected"]:
            letters_path.unlink()
        if delay_ms is None:
            delay_ms = labels.after_ms
            if undated and not delay_ms:
                raise MitraError(
                    f"{undated} labels don't say when they became known; give --label-delay, for example {duration_text(604_800_000)}"
                )
        return delay_ms

    def take_labels(self, piece: LabelPiece) -> int:
        """Put labels into their table; return how many don't say when they became known."""
        piece.insert(self._database, self._read)
        self._read += len(piece.ids)
        return piece.known_at_ms.count(None)

    def write(self, delay_ms: int, batch_rows: int) -> PreparedInput:
        """Sort, join and write the batches."""
        counts, database = self._counts, self._database
        self._progress("sort", 0)
        decided = {"decided": self._decided}
        if self._single(_LABELS_ARE_SINGLE):
            database.execute(_SINGLE)
        else:
            database.execute(_SEVERAL, {**decided, "delay": delay_ms}).fetchall()
        counts["labels_unmatched"] = self._single(_UNMATCHED, decided)
        [(first_ms, last_ms)] = database.execute("select min(time_ms), max(time_ms) from rows").fetchall()
        found = database.sql(_SORTED, params={**decided, "delay": delay_ms}).to_arrow_reader(ROWS_FETCHED)
        writer = PreparedWriter(self._folder)
        for batch in _cut(found, batch_rows):
            writer.write(batch)
            self._progress("write", writer.rows)
        summary = Summary(**{**counts, "first_ms": first_ms, "last_ms": last_ms})
        return writer.close(summary, self._id_types)

    def part_conflicts(self, letters: IO[bytes]) -> None:
        """Write events under an id that came before with other content to the dead letters, and take them out."""
        database = self._database
        database.execute(_FIRST)
        for kind, payload in database.execute(_CONFLICTS).fetchall():
            event = self._pipeline.events[kind]
            letters.write(_line(conflict_letter(event, decode_payload(payload), event.topic, None, None)))
            self._counts["rejected" if event.decided else "other_rejected"] += 1
        database.execute(f"delete {_LATER}")

    def _single(self, query: str, params: dict[str, int] | None = None) -> int:
        [(value,)] = self._database.execute(query, params or {}).fetchall()
        return int(value)


ROWS_FETCHED = 65_536


def _cut(found: Iterable[Any], batch_rows: int) -> Iterator[Any]:
    """Return the rows of any number of record batches in batches of exactly `batch_rows`, but for the last."""
    rest: Any = None
    for batch in found:
        table = pa.Table.from_batches([batch]).cast(SCHEMA)
        table = table if rest is None else pa.concat_tables([rest, table])
        whole = table.num_rows // batch_rows * batch_rows
        yield from table.slice(0, whole).combine_chunks().to_batches(max_chunksize=batch_rows)
        rest = table.slice(whole)
    if rest is not None and rest.num_rows:
        yield from rest.combine_chunks().to_batches(max_chunksize=batch_rows)


def _write_letters(piece: Piece, file: IO[bytes]) -> None:
    file.writelines(_line(letter) for letter in piece.letters)


def _line(letter: DeadLetter) -> bytes:
    return letter.to_json() + b"\n"
