"""The prepared input of a replay: a folder with one file of sorted batches and a summary.

`batches.bin` holds the batches one behind the other, each a MessagePack array (`_Frame`) of events in (event time, typed id)
order with their labels. `input.json` says where each begins, how many there are and which types the ids had. The job reads
them inside the JVM, where pyarrow's own threads would wait for ever for Python's lock; so the file is read without it.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec
import numpy as np

from mitra.decode import Event, decode_payload
from mitra.errors import MitraError
from mitra.pipeline import Pipeline

FORMAT = 3
DATA_FILE, SUMMARY_FILE = "batches.bin", "input.json"


class _Frame(msgspec.Struct, array_like=True):
    """A batch on disk: u1 kinds, ids, <i8 times, payloads, <i8 content hashes, <f8 labels (NaN: none), <i8 known-at times, <i8 versions."""

    kinds: bytes
    ids: list[str]
    times_ms: bytes
    payloads: list[bytes]
    content_hashes: bytes
    labels: bytes
    known_at_ms: bytes
    versions: bytes
    corrections: list[tuple[int, float, int, int]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Frame).decode


@dataclass(frozen=True, slots=True)
class Summary:
    """What the files held.

    `transactions` are the rows of decided events and `rejected` those among them that became dead letters;
    `other_events` and `other_rejected` the same of the other types. `labels` are the labels read, `labels_rejected` those
    that were none, `labels_unmatched` those whose transaction isn't there. `first_ms` and `last_ms` are event times.
    """

    transactions: int = 0
    rejected: int = 0
    other_events: int = 0
    other_rejected: int = 0
    labels: int = 0
    labels_rejected: int = 0
    labels_unmatched: int = 0
    first_ms: int | None = None
    last_ms: int | None = None


@dataclass(slots=True)
class PreparedBatch:
    """One batch: n events with, in step, their kinds and labels.

    `labels[i]` is 1.0, 0.0 or None, known at `known_at_ms[i]` and of version `versions[i]` (0 where there is none); `corrections` are other
    versions that became known later: row, value, known-at time, version.
    """

    kinds: list[int]
    events: list[Event]
    labels: list[float | None]
    known_at_ms: list[int]
    versions: list[int]
    corrections: list[tuple[int, float, int, int]]


class PreparedInput:
    """Reads the batches of a prepared folder by number, from any process."""

    def __init__(self, folder: Path, summary: Summary, id_types: dict[str, str], offsets: list[int], rows: int) -> None:
        """Take what `open` has read: batch i lies from `offsets[i]` to `offsets[i + 1]`."""
        self.folder = folder
        self.summary = summary
        self.batches = len(offsets) - 1
        self.rows = rows
        self._id_types = id_types
        self._offsets = offsets
        self._file: BinaryIO | None = None

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open a folder that `prepare` has filled. Raises MitraError if it hasn't, or another release has."""
        folder = Path(folder)
        try:
            said = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise MitraError(f"folder={str(folder)!r} holds no prepared input: {error}; prepare it again") from error
        if said.get("format") != FORMAT:
            raise MitraError(
                f"folder={str(folder)!r} has format={said.get('format')}; this release reads {FORMAT}; prepare it again"
            )
        return cls(folder, Summary(**said["summary"]), said["id_types"], said["offsets"], said["rows"])

    def batch(self, number: int) -> PreparedBatch:
        """Return the batch of that number, from 0."""
        if self._file is None:
            self._file = (self.folder / DATA_FILE).open("rb")
        start, end = self._offsets[number : number + 2]
        self._file.seek(start)
        frame = _decode(self._file.read(end - start))
        events = list(
            map(
                Event,
                frame.ids,
                np.frombuffer(frame.times_ms, dtype=np.int64).tolist(),
                map(decode_payload, frame.payloads),
                frame.payloads,
                np.frombuffer(frame.content_hashes, dtype=np.int64).tolist(),
            )
        )
        labels = np.frombuffer(frame.labels, dtype=np.float64)
        return PreparedBatch(
            kinds=list(frame.kinds),
            events=events,
            labels=[None if label != label else label for label in labels.tolist()],
            known_at_ms=np.frombuffer(frame.known_at_ms, dtype=np.int64).tolist(),
            versions=np.frombuffer(frame.versions, dtype=np.int64).tolist(),
            corrections=frame.corrections,
        )

    def id_type(self, event: str) -> Any:
        """Return the Arrow type that the ids of an event type came in."""
        import pyarrow as pa  # noqa: PLC0415 - not inside the JVM, see above

        return pa.ipc.read_schema(pa.py_buffer(b64decode(self._id_types[event]))).field(0).type

    def decided_id_type(self, pipeline: Pipeline) -> Any:
        """Return the Arrow type that the ids of all decided types came in, a string where they differ."""
        import pyarrow as pa  # noqa: PLC0415 - not inside the JVM, see above

        types = [self.id_type(event.name) for event in pipeline.decided_events if event.name in self._id_types]
        return types[0] if all(kind == types[0] for kind in types) else pa.string()

    def restore_ids(self, ids: Sequence[str], event: str) -> Any:
        """Return ids of events of type `event`, from their texts, as an Arrow array of the type they came in."""
        from mitra.replay.ids import restore_ids  # noqa: PLC0415 - it needs pyarrow

        return restore_ids(ids, self.id_type(event))


class PreparedWriter:
    """Writes the batches of a prepared folder, then its summary."""

    def __init__(self, folder: Path) -> None:
        """Start the file of batches in `folder`."""
        self._folder = folder
        self._file = (folder / DATA_FILE).open("wb")
        self._offsets = [0]
        self.rows = 0

    def write(self, batch: Any) -> None:
        """Append an Arrow record batch whose columns are those of `prepare.SCHEMA`."""
        kinds, ids, times, payloads, hashes, labels, known, versions, corrections = batch.columns
        frame = _Frame(
            kinds=kinds.to_numpy().tobytes(),
            ids=ids.to_pylist(),
            times_ms=times.to_numpy().tobytes(),
            payloads=payloads.to_pylist(),
            content_hashes=hashes.to_numpy().tobytes(),
            labels=labels.to_numpy(zero_copy_only=False).astype(np.float64).tobytes(),
            known_at_ms=known.fill_null(0).to_numpy().tobytes(),
            versions=versions.fill_null(0).to_numpy().tobytes(),
            corrections=_corrections(corrections),
        )
        self._offsets.append(self._offsets[-1] + self._file.write(_encode(frame)))
        self.rows += batch.num_rows

    def close(self, summary: Summary, id_types: dict[str, Any]) -> PreparedInput:
        """Write what `PreparedInput.open` reads; it comes last, so that a folder half filled isn't taken for a whole one."""
        import pyarrow as pa  # noqa: PLC0415 - not inside the JVM, see above

        self._file.close()
        types = {
            name: b64encode(pa.schema([("id", kind)]).serialize().to_pybytes()).decode()
            for name, kind in id_types.items()
        }
        said = {
            "format": FORMAT, "rows": self.rows, "summary": asdict(summary), "id_types": types, "offsets": self._offsets,
        }  # fmt: skip
        (self._folder / SUMMARY_FILE).write_text(json.dumps(said), encoding="utf-8")
        return PreparedInput.open(self._folder)


def _corrections(column: Any) -> list[tuple[int, float, int, int]]:
    if column.null_count == len(column):
        return []
    return [
        (row, later["value"], later["known_at_ms"], later["version"])
        for row, corrections in enumerate(column.to_pylist())
        for later in corrections or ()
    ]
