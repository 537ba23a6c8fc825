"""Decisions on their way from the job to the process that writes Parquet: frames in one growing file.

Parquet isn't written inside the JVM: pyarrow's own threads would wait for ever for Python's lock there, and out here it costs
the job nothing. A frame is four bytes of length (little-endian) and a MessagePack array (`Frame`).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from mitra.decide import Decided
from mitra.decision import OUTCOMES

_LENGTH_BYTES = 4
_OUTCOME_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}


class Frame(msgspec.Struct, array_like=True):
    """n decisions, dead letters made after decoding, how many buckets have ended, and what is observed for the monitor.

    `event_times` and `revisions` <i8[n], `outcomes` u1[n] (places in OUTCOMES), scores <f8[n] (NaN: none), `late` and
    `duplicate` u1[n], `rules`, `shadow` and `not_evaluated` the ids of rules, `numbers` <f8[n, numeric features] (NaN: missing; all NaN for a duplicate), `texts` by feature.
    """

    ids: list[str]
    event_times: bytes
    outcomes: bytes
    scores: bytes
    raw_scores: bytes
    models: list[str | None]
    revisions: bytes
    late: bytes
    duplicate: bytes
    degraded: list[list[str]]
    approximate: list[list[str]]
    rules: list[list[str]]
    shadow: list[list[str]]
    not_evaluated: list[list[str]]
    numbers: bytes
    texts: dict[str, list[str | None]]
    letters: list[bytes]
    ends: int
    observed: list[bytes]


_encode = msgspec.msgpack.Encoder().encode
decode_frame = msgspec.msgpack.Decoder(Frame).decode


def frame_of(decided: Decided, letters: Sequence[bytes], ends: int, observed: Sequence[bytes] = ()) -> bytes:
    """Return the bytes of a frame, without its length."""
    decisions = decided.decisions
    rows = np.array(decided.rows, dtype=np.int64)
    numbers, texts = b"", {}
    if decided.features is not None and decisions:
        picked = decided.features.numbers[rows]
        picked[rows < 0] = np.nan
        numbers = picked.tobytes()
        texts = {
            name: [None if row < 0 else column[row] for row in decided.rows]
            for name, column in decided.features.texts.items()
        }
    return _encode(
        Frame(
            ids=[str(decision.transaction_id) for decision in decisions],
            event_times=np.array([decision.event_time for decision in decisions], dtype=np.int64).tobytes(),
            outcomes=bytes(_OUTCOME_CODES[decision.outcome] for decision in decisions),
            scores=np.array([decision.score for decision in decisions], dtype=np.float64).tobytes(),
            raw_scores=np.array([decision.raw_score for decision in decisions], dtype=np.float64).tobytes(),
            models=[decision.model for decision in decisions],
            revisions=np.array([decision.revision for decision in decisions], dtype=np.int64).tobytes(),
            late=bytes(decision.late for decision in decisions),
            duplicate=bytes(decision.duplicate for decision in decisions),
            degraded=[decision.degraded for decision in decisions],
            approximate=[decision.approximate for decision in decisions],
            rules=[[one["id"] for one in decision.rules] for decision in decisions],
            shadow=[[one["id"] for one in decision.shadow] for decision in decisions],
            not_evaluated=[list(decision.not_evaluated) for decision in decisions],
            numbers=numbers,
            texts=texts,
            letters=list(letters),
            ends=ends,
            observed=list(observed),
        )
    )


def write_frame(file: BinaryIO, frame: bytes) -> None:
    """Append a frame."""
    file.write(len(frame).to_bytes(_LENGTH_BYTES, "little") + frame)


class FrameReader:
    """Reads the frames of a file that another process is still writing."""

    def __init__(self, path: Path) -> None:
        """Start at the beginning; the file needn't be there yet."""
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    def frames(self) -> Iterator[Frame]:
        """Return the frames that have become whole since the last call."""
        if self._file is None:
            if not self._path.exists():
                return
            self._file = self._path.open("rb")
        while chunk := self._file.read(1 << 22):
            data = self._rest + chunk
            start = 0
            while len(data) - start >= _LENGTH_BYTES:
                end = start + _LENGTH_BYTES + int.from_bytes(data[start : start + _LENGTH_BYTES], "little")
                if end > len(data):
                    break
                yield decode_frame(data[start + _LENGTH_BYTES : end])
                start = end
            self._rest = data[start:]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
