"""Files of labels: id, value, when it became known and its version, checked row by row; whole columns at a time from Parquet."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mitra.dead_letter import DeadLetter
from mitra.decode import INT64_MAX, INT64_MIN, Rejection
from mitra.errors import MitraError
from mitra.event_time import EARLIEST_MS, LATEST_MS, value_ms
from mitra.explain import parse_object
from mitra.replay.columns import plain, times_ms
from mitra.replay.files import ROWS_AT_ONCE, csv_rows, kind_of, open_bytes, reading
from mitra.replay.tables import row_bytes
from mitra.rows import TimeMs, quote
from mitra.schema import Labels
from mitra.sections import did_you_mean

_TRUE = frozenset({"1", "true", "True", "TRUE", "1.0"})
_FALSE = frozenset({"0", "false", "False", "FALSE", "0.0"})
_WHOLE = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_VERSION = "version"
"""The column that says which of several labels of a transaction counts, as the field of a label's message does."""


CREATE_LABELS = "create table labels (place bigint, id varchar, value double, known_at_ms bigint, version bigint)"
"""DuckDB's table of labels; `place` is the order of the files, in which the first of equals counts."""

_TABLE = pa.schema([
    ("place", pa.int64()), ("id", pa.string()), ("value", pa.float64()), ("known_at_ms", pa.int64()), ("version", pa.int64()),
])  # fmt: skip


class FileLabel(NamedTuple):
    """A label: canonical id, 1.0 or 0.0, known-at time and version, each None where the file doesn't say."""

    id: str
    value: float
    known_at_ms: int | None
    version: int | None


@dataclass(slots=True)
class LabelPiece:
    """Some labels of a file as columns, like `FileLabel`, and the rows refused. Without a version, a label's is its known-at time."""

    ids: list[str] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    known_at_ms: list[int | None] = field(default_factory=list)
    versions: list[int | None] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)

    def add(self, found: FileLabel | Rejection, source: str, number: int, raw: bytes) -> None:
        """Take one label, or the reason why there is none, from line or row `number` of `source`."""
        if isinstance(found, Rejection):
            self.letters.append(DeadLetter.of(found, source, None, number, raw))
            return
        self.ids.append(found.id)
        self.values.append(found.value)
        self.known_at_ms.append(found.known_at_ms)
        self.versions.append(found.version)

    @property
    def rows(self) -> int:
        """The rows read, refused ones included."""
        return len(self.ids) + len(self.letters)

    def insert(self, database: Any, first_place: int) -> None:
        """Put the labels into the table of `CREATE_LABELS`, the first of them at a place."""
        places = range(first_place, first_place + len(self.ids))
        columns = (places, self.ids, self.values, self.known_at_ms, self.versions)
        arrays = [pa.array(column, kind) for column, kind in zip(columns, _TABLE.types, strict=True)]
        database.register("piece", pa.Table.from_arrays(arrays, schema=_TABLE))
        database.execute("insert into labels select * from piece")
        database.unregister("piece")


def read_labels(path: Path, labels: Labels) -> Iterator[LabelPiece]:
    """Read the labels of a file. Raises MitraError for a file that can't be read, or lacks a column."""
    kind = kind_of(path)
    with reading(path, kind):
        if kind == "parquet":
            yield from _parquet(path, labels)
        else:
            yield from _texts(path, labels, csv_file=kind == "csv")


def label_of(row: Mapping[str, Any], labels: Labels, *, from_text: bool = False) -> FileLabel | Rejection:
    """Return the label in a row, or why it is none."""
    for name in (labels.id, labels.label):
        if row.get(name) in (None, ""):
            return Rejection("missing_field", name, f"{name} is missing")
    identity, label = row[labels.id], row[labels.label]
    if isinstance(identity, float) and identity.is_integer():
        identity = int(identity)
    if isinstance(identity, bool) or not isinstance(identity, str | int):
        return Rejection("wrong_type", labels.id, f"{labels.id} is {quote(identity)}; allowed: a transaction's id")
    if from_text and isinstance(label, str) and label in _TRUE | _FALSE:
        label = label in _TRUE
    if not isinstance(label, bool | int | float) or label not in (0, 1):
        return Rejection("wrong_type", labels.label, f"{labels.label} is {quote(label)}; allowed: 0, 1, true or false")
    version = _version(row.get(_VERSION), from_text=from_text)
    if isinstance(version, Rejection):
        return version
    known_at = row.get(labels.known_at) if labels.known_at else None
    if known_at is None or known_at == "":
        return FileLabel(str(identity), float(label), None, version)
    if from_text and labels.known_at_format.startswith("epoch"):
        known_at = _number(known_at)
    known_at_ms = int(known_at) if isinstance(known_at, TimeMs) else value_ms(known_at, labels.known_at_format)
    if known_at_ms is None or not EARLIEST_MS <= known_at_ms <= LATEST_MS:
        message = f"{labels.known_at} is {quote(known_at)}; allowed: a time ({labels.known_at_format})"
        return Rejection("not_a_time", labels.known_at, message)
    return FileLabel(str(identity), float(label), known_at_ms, version)


def _version(value: Any, *, from_text: bool) -> int | Rejection | None:
    """Return a label's version, None where it has none."""
    if value is None or value == "":
        return None
    found = value
    text = from_text and isinstance(value, str) and _WHOLE.fullmatch(value)
    if text or (isinstance(value, float) and value.is_integer()):
        found = int(value)
    if isinstance(found, int) and not isinstance(found, bool) and INT64_MIN <= found <= INT64_MAX:
        return found
    return Rejection("wrong_type", _VERSION, f"{_VERSION} is {quote(value)}; allowed: a whole number of 64 bits")


def _number(text: Any) -> Any:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if abs(number) < 1e15 else text


def _texts(path: Path, labels: Labels, *, csv_file: bool) -> Iterator[LabelPiece]:
    piece = LabelPiece()
    for number, row, raw in _csv(path, labels) if csv_file else _json_lines(path):
        found = row if isinstance(row, Rejection) else label_of(row, labels, from_text=csv_file)
        piece.add(found, path.name, number, raw() if isinstance(found, Rejection) else b"")
        if piece.rows >= ROWS_AT_ONCE:
            yield piece
            piece = LabelPiece()
    yield piece


def _csv(path: Path, labels: Labels) -> Iterator[tuple[int, Any, Any]]:
    checked = False
    for number, row, raw in csv_rows(path):
        if not checked and isinstance(row, dict):
            _check_columns(list(row), labels, path)
            checked = True
        yield number, row, raw


def _json_lines(path: Path) -> Iterator[tuple[int, Any, Any]]:
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            raw = line.rstrip(b"\r\n")
            yield (
                number,
                parse_object(raw) if raw else Rejection("empty", None, "the line is empty"),
                lambda raw=raw: raw,
            )


def _parquet(path: Path, labels: Labels) -> Iterator[LabelPiece]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        _check_columns(names, labels, path)
        wanted = [name for name in (labels.id, labels.label, labels.known_at, _VERSION) if name and name in names]
        first = 1
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=wanted):
            columns = {name: plain(batch.column(name)) for name in wanted}
            piece = _columns(columns, labels)
            if piece is None:
                piece = LabelPiece()
                values = {name: _listed(column) for name, column in columns.items()}
                for place in range(batch.num_rows):
                    row = {name: column[place] for name, column in values.items()}
                    found = label_of(row, labels, from_text=True)
                    piece.add(found, path.name, first + place, row_bytes(row) if isinstance(found, Rejection) else b"")
            yield piece
            first += batch.num_rows


def _listed(column: Any) -> list[Any]:
    moments = times_ms(column)
    if moments is not None:
        return [None if value is None else TimeMs(value) for value in moments.to_pylist()]
    listed: list[Any] = column.to_pylist()
    return listed


def _columns(columns: Mapping[str, Any], labels: Labels) -> LabelPiece | None:
    """Return the labels of whole columns, or None if any row needs a look of its own."""
    ids, label = columns[labels.id], columns[labels.label]
    known = columns.get(labels.known_at) if labels.known_at else None
    moments = None if known is None else times_ms(known)
    if (
        known is not None
        and moments is None
        and labels.known_at_format == "epoch_ms"
        and pa.types.is_signed_integer(known.type)
    ):
        moments = known.cast(pa.int64())
    text_ids = pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type) or pa.types.is_integer(ids.type)
    numeric = pa.types.is_integer(label.type) or pa.types.is_boolean(label.type) or pa.types.is_floating(label.type)
    if not text_ids or not numeric or ids.null_count or label.null_count or (known is not None and moments is None):
        return None
    values = np.asarray(label.to_numpy(zero_copy_only=False), dtype=np.float64)
    if not np.isin(values, (0.0, 1.0)).all():
        return None
    texts = ids.cast(pa.string()).to_pylist()
    if "" in texts:
        return None
    given = columns.get(_VERSION)
    if given is not None and not pa.types.is_signed_integer(given.type):
        return None
    versions = [None] * len(texts) if given is None else given.to_pylist()
    if moments is None:
        return LabelPiece(texts, values.tolist(), [None] * len(texts), versions)
    times = moments.fill_null(0).to_numpy(zero_copy_only=False)
    if ((times < EARLIEST_MS) | (times > LATEST_MS)).any():
        return None
    return LabelPiece(texts, values.tolist(), moments.to_pylist(), versions)


def _check_columns(names: list[str], labels: Labels, path: Path) -> None:
    for name in (labels.id, labels.label):
        if name not in names:
            hint = did_you_mean(name, names)
            found = ", ".join(name if name.isprintable() else ascii(name) for name in names[:20])
            raise MitraError(
                f"{path.name} has no column {name}, which labels need{'; ' * bool(hint)}{hint}; its columns: {found}"
            )
