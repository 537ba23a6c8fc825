"""Files of profiles for their topic: every row is checked before the first message is sent."""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mitra.decode import Event, Rejection
from mitra.errors import MitraError
from mitra.event_time import time_text
from mitra.pipeline import Pipeline
from mitra.replay.files import csv_rows, kind_of, reading
from mitra.rows import TimeMs, convert_row
from mitra.schema import EventType, Limits
from mitra.sections import did_you_mean

SHOWN = 20
"""So many wrong rows are told; of the others how many there are."""
_ROWS_AT_ONCE = 10_000

Progress = Callable[[str, int, int], None]


class ProfileRowsError(MitraError):
    """Rows of a file that are no messages of the profile."""


@dataclass(frozen=True, slots=True)
class Update:
    """One message: its key and its bytes."""

    key: bytes
    value: bytes


def profile_of(pipeline: Pipeline, name: str) -> EventType:
    """Return the profile of that name. Raises MitraError naming those there are."""
    known = {event.name: event for event in pipeline.events if event.by}
    if name in known:
        return known[name]
    if not known:
        raise MitraError(f"{pipeline.name} has no profiles; its section profiles says what is known of whom")
    raise MitraError(
        f"{pipeline.name} has no profile {name}; {did_you_mean(name, known) or 'there is'} {', '.join(known)}"
    )


def read_updates(path: Path, profile: EventType, limits: Limits, as_of_ms: int, progress: Progress) -> list[Update]:
    """Return the messages of a file: CSV, JSON lines or Parquet. Rows that don't say since when are as of `as_of_ms`.

    Raises ProfileRowsError with the wrong rows by their line or row, and MitraError for a file that can't be read.
    """
    kind = kind_of(path)
    updates: list[Update] = []
    wrong: list[str] = []
    from_text = kind == "csv"
    with reading(path, kind):
        rows = {"csv": _csv, "jsonl": _json_lines, "parquet": _parquet}[kind](path)
        for number, row in rows:
            made = row if isinstance(row, Rejection) else _event(profile, limits, row, as_of_ms, from_text=from_text)
            if isinstance(made, Rejection):
                wrong.append(f"{'row' if kind == 'parquet' else 'line'} {number}: {made.message}")
            else:
                updates.append(_update(profile, made))
            if number % _ROWS_AT_ONCE == 0:
                progress("checking", number, 0)
    if wrong:
        more = [f"and {len(wrong) - SHOWN:,} more"] if len(wrong) > SHOWN else []
        count = f"{len(wrong):,} of {len(wrong) + len(updates):,} rows can't be used, so none was sent"
        raise ProfileRowsError("\n  ".join([f"{path}: {count}", *wrong[:SHOWN], *more]))
    return updates


def send_updates(pipeline: Pipeline, profile: EventType, updates: Sequence[Update], progress: Progress) -> None:
    """Send messages, and return when Kafka has all of them. Raises MitraError saying how many it has."""
    from kafka.errors import KafkaError  # noqa: PLC0415 - the client is loaded where it is needed

    from mitra.kafka_clients import producer  # noqa: PLC0415
    from mitra.topics import topics_client  # noqa: PLC0415

    with topics_client(pipeline) as client:
        if not client.states([profile.topic]):
            hint = "`mitra topics PIPELINE --create` creates it"
            raise MitraError(f"there is no topic {profile.topic} on {pipeline.bootstrap}; {hint}")
    done = 0
    try:
        with producer(pipeline, acks="all", linger_ms=20) as sender:
            for first in range(0, len(updates), _ROWS_AT_ONCE):
                piece = updates[first : first + _ROWS_AT_ONCE]
                sent = [sender.send(profile.topic, value=one.value, key=one.key) for one in piece]
                sender.flush()
                for one in sent:
                    one.get(timeout=30)
                    done += 1
                progress("sending", done, len(updates))
    except KafkaError as error:
        said = str(error) or type(error).__name__
        again = "push the file again, the same updates change nothing"
        raise MitraError(f"Kafka has {done:,} of {len(updates):,} messages: {said}; {again}") from error


def _event(
    profile: EventType, limits: Limits, row: Mapping[str, Any], as_of_ms: int, *, from_text: bool
) -> Event | Rejection:
    unknown = row.keys() - profile.by_name.keys()
    if unknown:
        name = min(unknown)
        hint = did_you_mean(name, profile.by_name)
        return Rejection("wrong_columns", name, f"{profile.name} has no {name}{'; ' * bool(hint)}{hint}")
    since = row.get(profile.time)
    if since is None or since == "":
        # Checked as a typed row: a text of its own form may be all that the file's other times are.
        timed = {**row, profile.time: _TEXT_OF[profile.time_format](as_of_ms) if from_text else TimeMs(as_of_ms)}
    else:
        timed = dict(row)
    return convert_row(profile, limits, timed, from_text=from_text)


class _Texts(dict[str, Callable[[int], str]]):
    """How a time is written, by its format."""

    def __missing__(self, time_format: str) -> Callable[[int], str]:
        """Write by a strptime pattern."""
        return lambda time_ms: datetime.fromtimestamp(time_ms / 1000, UTC).strftime(time_format)


_TEXT_OF = _Texts(epoch_ms=str, epoch_s=lambda time_ms: str(time_ms / 1000), iso8601=time_text)


def _update(profile: EventType, event: Event) -> Update:
    values = dict(zip((field.name for field in profile.fields), event.values, strict=True))
    written = _TEXT_OF[profile.time_format](event.time_ms)
    values[profile.time] = json.loads(written) if profile.time_format.startswith("epoch") else written
    time = profile.index[profile.time]
    key = "\x1f".join(str(value) for value in event.values[1:time])
    said = {name: value for name, value in values.items() if value is not None}
    return Update(key.encode(), json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode())


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | Rejection]]:
    for number, row, _ in csv_rows(path):
        yield number, row


def _json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | Rejection]]:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, _object(line)


def _object(line: bytes) -> Mapping[str, Any] | Rejection:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Rejection("not_json", None, f"not JSON: {error}")
    return found if isinstance(found, dict) else Rejection("not_an_object", None, "not a JSON object")


def _parquet(path: Path) -> Iterable[tuple[int, Mapping[str, Any] | Rejection]]:
    number = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                number += 1
                yield number, row
