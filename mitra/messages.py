"""The messages between the stages, and their bytes.

A message lies in windows and pending state at a savepoint, so its bytes are state: the first byte is the kind, the second
the version of that kind, then the fields as a MessagePack array. A reader refuses a version it doesn't know.
Columns travel as the raw bytes of little-endian arrays (`<i8`, `<f8`, `<i4`, `u1`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from control_stream import Activate, Load, Mark
from mitra.errors import MitraError

EVENTS, LABELS, PARTS, PROBE, END, REPORTS, LETTERS, REVISE, MARKER, CONTROL, ROLL_CALL, ACTIVATE, LOAD = range(1, 14)
ALERTS, ASKED, TOLD, LIVE, LANE_TIME = range(20, 25)


class EventBatch(msgspec.Struct, array_like=True):
    """Events on their way to one history bucket, of types `kinds` u1[n]: n events, m touches (an event touches several entities).

    `clock_ms` is the event-time clock of `lane`, the greatest time it has seen; up to `settled_ms` nothing more is expected of
    it (0: that can't be told yet; -1: a message of an earlier release doesn't say). `decoded_ms` float64[n], wall clock; `expected` u1[n] counts the parts that
    decide must gather for an event, one from each bucket it touches. Only one of these carries the event's `payloads` entry,
    in the others it is empty. `touch_events` i4[m] are rows of this batch; `keys` are entity keys.
    `form` is the fingerprint of what the numbers of types, columns and entities stand for (`mitra.form`): a batch may lie in state over an
    upgrade that brings others. 0: a message of an earlier release doesn't say.
    """

    lane: int
    clock_ms: int
    revision: int
    ids: list[str]
    topics: bytes
    partitions: bytes
    offsets: bytes
    flags: bytes
    expected: bytes
    decoded_ms: bytes
    payloads: list[bytes]
    kinds: bytes
    times_ms: bytes
    id_hashes: bytes
    content_hashes: bytes
    numbers: bytes
    text_hashes: bytes
    texts: list[list[str | None]]
    touch_entities: bytes
    touch_events: bytes
    keys: list[str]
    settled_ms: int = -1
    form: int = 0


class LaneTime(msgspec.Struct, array_like=True):
    """How far a lane has come whose events, if there were any, touched other buckets: see `EventBatch`, `mitra.lane`.

    `idle`: the wall clock stands in for its event time.
    """

    lane: int
    settled_ms: int
    idle: bool


class LabelBatch(msgspec.Struct, array_like=True):
    """Labels on their way to one history bucket: the event they judge, what it was judged and when that became known.

    `names` says what the numbers in `entities` are places in: the labels may lie in state over an upgrade that has other entities.
    """

    lane: int
    clock_ms: int
    names: list[str]
    entities: bytes
    keys: list[str]
    id_hashes: bytes
    times_ms: bytes
    values: bytes
    known_at_ms: bytes
    versions: bytes


class PartBatch(msgspec.Struct, array_like=True):
    """Parts on their way to one decide bucket: n events, m touches with the aggregates of their entities.

    `plan` names what history computed (`Blueprint.fingerprint`): parts may lie in state over an upgrade that asks for other
    features. So `fields` says what the payloads hold (`name:type` each) and `entities` what `touch_entities` are places in.
    `values` is float64[m, width], NaN for missing; `texts` m lists of text aggregates, empty where the plan has none;
    `approximate` u1[m, width], empty where nothing is. `history_ms` float64[n] is the wall clock when history had answered.
    `marks`: the names of lists and snoozes that hold a touch's entity, for the few that any does.
    """

    lane: int
    clock_ms: int
    revision: int
    plan: int
    fields: list[str]
    entities: list[str]
    ids: list[str]
    topics: bytes
    partitions: bytes
    offsets: bytes
    flags: bytes
    expected: bytes
    decoded_ms: bytes
    history_ms: bytes
    times_ms: bytes
    payloads: list[bytes]
    touch_events: bytes
    touch_entities: bytes
    statuses: bytes
    arrivals: bytes
    width: int
    values: bytes
    texts: list[list[str | None]]
    approximate: bytes
    keys: list[str]
    marks: dict[int, list[str]]


class ReportBatch(msgspec.Struct, array_like=True):
    """Labels as they were reported, on their way to the decide bucket of their transaction."""

    ids: list[str]
    values: bytes
    known_at_ms: bytes
    versions: bytes
    sources: list[str]
    topics: bytes
    partitions: bytes
    offsets: bytes
    raw: list[bytes]


class Revise(msgspec.Struct, array_like=True):
    """A revision on its way to one bucket, to be kept beside the others: `control_stream.Prepare` with this bucket's marks."""

    attempt: int
    revision: int
    base: int
    changes: list[bytes]
    marks: list[Mark]


class Marker(msgspec.Struct, array_like=True):
    """Behind this, nothing comes any more that was stamped with an earlier revision: from a lane or a history bucket (`part`)."""

    attempt: int
    revision: int
    part: int


class Control(msgspec.Struct, array_like=True):
    """Acks, records for the control topic itself, and figures for the monitor topic, on their way to the sink."""

    acks: list[bytes]
    changes: list[bytes] = []
    figures: list[bytes] = []


class RollCall(msgspec.Struct, array_like=True):
    """Every part of the job is to say which revision it runs."""

    attempt: int


class Asked(msgspec.Struct, array_like=True):
    """n payments on their way to the graph lookup: `nodes` are the ids that each names, node after node, None for missing.

    `plan` names the nodes and what is asked of them (`GraphSettings.fingerprint`).
    """

    plan: int
    ids: list[str]
    topics: bytes
    partitions: bytes
    offsets: bytes
    times_ms: bytes
    nodes: list[list[str | None]]


class Told(msgspec.Struct, array_like=True):
    """What the graph said of n payments, on its way to their decide bucket, and figures for the monitor topic.

    `values` is float64[n, width], NaN for missing; `capped` u1[n, width]; `complete` u1[n] is 0 where a node had no answer.
    """

    plan: int
    ids: list[str]
    topics: bytes
    partitions: bytes
    offsets: bytes
    width: int
    values: bytes
    capped: bytes
    complete: bytes
    figures: list[bytes] = []


class Letters(msgspec.Struct, array_like=True):
    """Dead letters on their way to the sink, through history and decide like everything else."""

    letters: list[bytes]


class Alerts(msgspec.Struct, array_like=True):
    """Alerts under their ids, on their way to the sink, through decide like everything else."""

    alerts: list[tuple[str, bytes]]


class LiveValues(msgspec.Struct, array_like=True):
    """Values of live features under their keys, on their way to the features topic."""

    records: list[tuple[str, bytes]]


class Probe(msgspec.Struct, array_like=True):
    """A marked event that passes every stage of one bucket and touches nothing: the proof that the job works."""

    id: str
    bucket: int
    sent_ms: float
    trail: list[str]


class End(msgspec.Struct, array_like=True):
    """The end of a replay's input, seen by every bucket: `batches` were sent, no more will come."""

    bucket: int
    batches: int


Message = (
    EventBatch
    | LaneTime
    | LabelBatch
    | PartBatch
    | ReportBatch
    | Letters
    | Alerts
    | LiveValues
    | Probe
    | End
    | Revise
    | Marker
    | Control
    | RollCall
    | Activate
    | Load
    | Asked
    | Told
)

_KINDS: dict[int, tuple[int, type[Any]]] = {
    EVENTS: (1, EventBatch),
    LABELS: (1, LabelBatch),
    PARTS: (1, PartBatch),
    PROBE: (1, Probe),
    END: (1, End),
    REPORTS: (1, ReportBatch),
    LETTERS: (1, Letters),
    REVISE: (1, Revise),
    MARKER: (1, Marker),
    CONTROL: (1, Control),
    ROLL_CALL: (1, RollCall),
    ACTIVATE: (1, Activate),
    LOAD: (1, Load),
    ALERTS: (1, Alerts),
    ASKED: (1, Asked),
    TOLD: (1, Told),
    LIVE: (1, LiveValues),
    LANE_TIME: (1, LaneTime),
}
_HEADS = {kind: bytes((number, version)) for number, (version, kind) in _KINDS.items()}
_FEW_ROWS = 24
"""Up to here slices cost less than a numpy call."""

_encode = msgspec.msgpack.Encoder().encode
_DECODERS: dict[bytes, Callable[[bytes], Any]] = {
    bytes((number, version)): msgspec.msgpack.Decoder(kind).decode for number, (version, kind) in _KINDS.items()
}


class UnknownMessageError(MitraError):
    """Bytes of a kind or version that this release doesn't read: they were written by a newer one."""


def encode(message: Message) -> bytes:
    """Return a message's bytes: kind, version, fields."""
    return _HEADS[type(message)] + _encode(message)


def cells(column: bytes, size: int, rows: Sequence[int]) -> bytes:
    """Return some rows of a column whose values have `size` bytes each."""
    if len(rows) * size == len(column):
        return column  # all of them: rows are in order
    if len(rows) > _FEW_ROWS:
        picked: bytes = np.frombuffer(column, dtype=f"V{size}")[rows].tobytes()
        return picked
    return b"".join([column[size * row : size * row + size] for row in rows])


def decode(blob: bytes) -> Message:
    """Read a message back.

    Raises UnknownMessageError for a kind or version that this release doesn't know.
    """
    decoder = _DECODERS.get(blob[:2])
    if decoder is None:
        found = f"kind={blob[0]} version={blob[1]}" if len(blob) > 1 else f"{len(blob)} bytes"
        msg = f"a message between stages has {found}, which this release doesn't read; run the release that wrote the savepoint"
        raise UnknownMessageError(msg)
    message: Message = decoder(blob[2:])
    return message
