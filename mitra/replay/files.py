"""Files of events, read piece by piece: Parquet, CSV with a header, JSON lines; the text ones may be gzipped.

What is no event comes out beside the events, with its line or row from 1 and its bytes. Only what makes the file as a
whole unreadable, such as a missing column, is an error.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Literal, cast

import pyarrow as pa
import pyarrow.parquet as pq

from mitra.dead_letter import BYTES_KEPT, DeadLetter
from mitra.decode import Decoder, Event, Rejection
from mitra.errors import MitraError
from mitra.replay.tables import TableReader, check_columns
from mitra.schema import EventType, Limits

FileKind = Literal["parquet", "csv", "jsonl"]

ROWS_AT_ONCE = 32_768
_SUFFIXES: dict[str, FileKind] = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
}  # fmt: skip
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Piece:
    """Some rows of a file: the events among them, and dead letters for the others."""

    events: list[Event] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)


def kind_of(path: Path) -> FileKind:
    """Return how a file is to be read, by its name. Raises MitraError where there is none, or none that can be told."""
    if not path.is_file():
        raise MitraError(f"file={str(path)!r} is not there; give Parquet, CSV or JSON lines")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    kind = _SUFFIXES.get(suffixes[-1] if suffixes else "")
    if kind is None:
        raise MitraError(
            f"file={str(path)!r} has no known ending; allowed: {', '.join(_SUFFIXES)}; the text ones also with .gz"
        )
    if kind == "parquet" and path.suffix.lower() == ".gz":
        raise MitraError(f"file={str(path)!r} is a gzipped Parquet file; unpack it first")
    return kind


def read_events(path: Path, event: EventType, limits: Limits) -> Iterator[Piece]:
    """Read the events of one type from a file. Raises MitraError for a file that can't be read as what it is named."""
    kind = kind_of(path)
    reader = {"parquet": _parquet, "csv": _csv, "jsonl": _json_lines}[kind]
    with reading(path, kind):
        yield from reader(path, event, limits)


@contextmanager
def reading(path: Path, kind: FileKind) -> Iterator[None]:
    """Turn what a broken file raises while it is read into a MitraError that names it."""
    try:
        yield
    except (pa.ArrowException, zlib.error, EOFError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MitraError(f"file={str(path)!r} can't be read as {kind}: {reason}") from error


def _parquet(path: Path, event: EventType, limits: Limits) -> Iterator[Piece]:
    with pq.ParquetFile(path) as file:
        reader = TableReader(event, limits, file.schema_arrow.names, path.name)
        first = 1
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=reader.columns):
            read = reader.read(batch)
            letters = [
                DeadLetter.of(rejection, path.name, None, first + row, raw) for row, rejection, raw in read.refused
            ]
            yield Piece(read.events, letters)
            first += batch.num_rows


def _json_lines(path: Path, event: EventType, limits: Limits) -> Iterator[Piece]:
    decode = Decoder(event, limits).decode
    with open_bytes(path) as file:
        piece = Piece()
        for number, line in enumerate(_lines(file, limits.message_bytes), 1):
            if isinstance(line, _LongLine):
                piece.letters.append(line.letter(path.name, number, limits.message_bytes))
                continue
            found = decode(line, None)
            if isinstance(found, Rejection):
                piece.letters.append(DeadLetter.of(found, path.name, None, number, line))
            else:
                piece.events.append(found)
            if len(piece.events) + len(piece.letters) >= ROWS_AT_ONCE:
                yield piece
                piece = Piece()
        yield piece


@dataclass(slots=True)
class _LongLine:
    """A line that is too long to keep: its beginning, its size and its hash."""

    start: bytes
    size: int
    digest: str

    def letter(self, name: str, number: int, limit_bytes: int) -> DeadLetter:
        """Return its dead letter."""
        message = f"the line is {self.size} bytes long; allowed: {limit_bytes}"
        letter = DeadLetter.of(Rejection("too_large", None, message), name, None, number, self.start)
        return DeadLetter(letter.reason, None, message, name, None, number, letter.bytes, self.size, self.digest)


def _lines(file: IO[bytes], limit_bytes: int) -> Iterator[bytes | _LongLine]:
    """Return the lines without their ends; one beyond the limit is read through, but not kept whole."""
    keep = max(limit_bytes, BYTES_KEPT) + 2
    first = True
    while line := file.readline(keep):
        if first and line.startswith(_UTF8_MARK):
            line = line[len(_UTF8_MARK) :]
        first = False
        if len(line) < keep or line.endswith(b"\n"):
            yield line.removesuffix(b"\n").removesuffix(b"\r")
            continue
        start, size, digest = line[:BYTES_KEPT], 0, sha256()
        while line:
            body = line.removesuffix(b"\n")
            size += len(body)
            digest.update(body)
            if len(body) < len(line):
                break
            line = file.readline(keep)
        yield _LongLine(start, size, digest.hexdigest())


def _csv(path: Path, event: EventType, limits: Limits) -> Iterator[Piece]:
    convert = Decoder(event, limits).convert
    piece = Piece()
    for number, row, raw in csv_rows(path, event):
        found = convert(row, from_text=True) if isinstance(row, dict) else row
        if isinstance(found, Rejection):
            piece.letters.append(DeadLetter.of(found, path.name, None, number, raw()))
        else:
            piece.events.append(found)
        if len(piece.events) + len(piece.letters) >= ROWS_AT_ONCE:
            yield piece
            piece = Piece()
    yield piece


def csv_rows(path: Path, event: EventType | None = None) -> Iterator[tuple[int, dict[str, str] | Rejection, Any]]:
    """Return each row of a CSV file: its line from 1, its texts by column or why there are none, its bytes when called.

    A field that was not UTF-8 has surrogates in it. With an event type, its required fields must have columns.
    """
    with open_bytes(path) as binary:
        lines = _KeptLines(binary)
        start = lines.peek()
        reader = csv.reader(lines, delimiter=_delimiter(start), strict=False)
        header = next(reader, [])
        twice = {name for name in header if header.count(name) > 1}
        if twice:
            raise MitraError(f"{path.name} has the column {', '.join(sorted(twice))} twice; rename one")
        if event is not None:
            check_columns(event, header, path.name)
        width = len(header)
        lines.taken.clear()
        while True:
            number = reader.line_num + 1
            row: dict[str, str] | Rejection
            try:
                texts = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                row = Rejection("wrong_columns", None, f"the row is not CSV: {error}")
            else:
                if len(texts) == width:
                    row = dict(zip(header, texts, strict=True))
                elif texts:
                    row = Rejection(
                        "wrong_columns", None, f"the row has {len(texts)} columns; allowed: {width}, as in the header"
                    )
                else:
                    row = Rejection("empty", None, "the line is empty")
            yield number, row, lines.taken_bytes
            lines.taken.clear()


class _KeptLines:
    """The lines of a file as texts, those of the row at hand kept for its dead letter."""

    def __init__(self, file: IO[bytes]) -> None:
        self._lines = iter(file)
        self._first: str | None = None
        self.taken: list[str] = []

    def peek(self) -> str:
        """Return the first line without taking it."""
        first = next(self._lines, b"").removeprefix(_UTF8_MARK)
        self._first = first.decode("utf-8", "surrogateescape")
        return self._first

    def __iter__(self) -> "Iterator[str]":
        return self

    def __next__(self) -> str:
        if self._first is not None:
            line, self._first = self._first, None
        else:
            line = next(self._lines).decode("utf-8", "surrogateescape")
        self.taken.append(line)
        return line

    def taken_bytes(self) -> bytes:
        """Return the bytes of the row at hand, without the end of its last line."""
        return "".join(self.taken).rstrip("\r\n").encode("utf-8", "surrogateescape")


def _delimiter(header: str) -> str:
    """Return what separates the columns: the one of comma, semicolon and tab that the header has most of."""
    return max(",;\t", key=header.count)


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacked if it is gzipped."""
    if path.suffix.lower() == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")
