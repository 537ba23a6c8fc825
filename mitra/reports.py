"""Labels as they arrive (chargebacks, verdicts, corrections) and outcomes as they go back into the histories.

A label names a transaction; decide joins it with what it remembers of the decision and publishes the outcome; the job reads
the outcomes topic back and notes the label in the history of every entity the transaction touched.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeGuard

import msgspec
import numpy as np

from mitra.decision import OUTCOMES, Record, models_of
from mitra.decode import INT64_MAX, INT64_MIN, Int64, Rejection
from mitra.event_time import EARLIEST_MS, LATEST_MS, iso8601_ms, parser_of
from mitra.explain import parse_object, read_object
from mitra.hashing import text_hash
from mitra.lane import Lane, Source
from mitra.messages import LabelBatch, ReportBatch
from mitra.schema import Entity, Labels, Limits
from mitra.sections import found


@dataclass(frozen=True, slots=True)
class Report:
    """A label as reported: what the transaction was (1.0 fraud, 0.0 legit) and since when that is known.

    A later `version` supersedes an earlier one; without a version of its own, a label's version is its known-at time.
    """

    id: str
    value: float
    known_at_ms: int
    version: int
    source: str


class Outcome(msgspec.Struct):
    """A label joined with the decision it judges, as it lies on the outcomes topic."""

    transaction_id: str
    label: float
    known_at: Int64
    version: Int64
    source: str
    event_time: Int64
    outcome: str
    score: float | None
    raw_score: float | None
    model: str | None
    revision: int
    entities: dict[str, str]
    rules: list[str] = []
    shadow: list[str] = []
    models: dict[str, dict[str, Any]] = {}


_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_decode_outcome = msgspec.json.Decoder(Outcome).decode
_encode = msgspec.json.Encoder().encode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What msgspec raises for bytes that are no JSON of the wanted form: bad UTF-8 and endless digits are ValueErrors."""


class ReportDecoder:
    """Reads label messages by the pipeline's `labels` section."""

    def __init__(self, labels: Labels, limits: Limits) -> None:
        """Read labels as `labels` describes them, under `limits`."""
        self._labels = labels
        self._max_bytes = limits.message_bytes

    def decode(self, value: bytes | None, published: str) -> Report | Rejection:
        """Read one message; `published` is its Kafka timestamp, which stands in for a missing known-at time."""
        labels = self._labels
        message = self._parse(value)
        if isinstance(message, Rejection):
            return message
        identity = message.get(labels.id)
        if not (isinstance(identity, str) and identity) and not _is_int64(identity):
            return Rejection("missing_field", labels.id, f"{labels.id}={found(identity)} names no transaction")
        label = message.get(labels.label)
        if not isinstance(label, bool | int | float) or label not in {0, 1}:
            return Rejection(
                "wrong_type", labels.label, f"{labels.label}={found(label)}; a label is 0, 1, true or false"
            )
        known_at = message.get(labels.known_at) if labels.known_at else None
        known_at_ms = published_ms(published) if known_at is None else time_ms(known_at, labels.known_at_format)
        if known_at_ms is None or not EARLIEST_MS <= known_at_ms <= LATEST_MS:
            said = (
                f"the message's own time, {published}," if known_at is None else f"{labels.known_at}={found(known_at)}"
            )
            problem = f"{said} is no time of the form {labels.known_at_format} between 1970 and 2200"
            return Rejection("not_a_time", labels.known_at, problem)
        version = message.get("version", known_at_ms)
        if not _is_int64(version):
            return Rejection(
                "wrong_type", "version", f"version={found(version)}; a version is a whole number of 64 bits"
            )
        source = message.get("source")
        return Report(str(identity), float(label), known_at_ms, version, source if isinstance(source, str) else "")

    def _parse(self, value: bytes | None) -> dict[str, Any] | Rejection:
        if value and len(value) <= self._max_bytes:
            try:
                return _decode_object(value)
            except _UNREADABLE as error:
                refused = parse_object(value)
                # NaN is no JSON, but the second look reads it.
                return (
                    refused
                    if isinstance(refused, Rejection)
                    else Rejection("not_json", None, f"the message is not JSON: {error}")
                )
        return read_object(value, self._max_bytes)


def _is_int64(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and INT64_MIN <= value <= INT64_MAX


def time_ms(value: object, time_format: str) -> int | None:
    """Return a time of a message in a pipeline's format as epoch milliseconds, or None if it is none."""
    try:
        if not time_format.startswith("epoch"):
            return parser_of(time_format)(str(value))
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        return round(value * (1000 if time_format == "epoch_s" else 1))
    except (ValueError, OverflowError):
        return None


def published_ms(published: str) -> int | None:
    """Return a Kafka timestamp as SQL prints it, in UTC, as epoch milliseconds; None where no calendar reaches.

    Producers may set it to anything.
    """
    try:
        return iso8601_ms(published)
    except (ValueError, OverflowError):
        return None


def outcome_of(report_id: str, value: float, known_at_ms: int, version: int, source: str, record: Record) -> Outcome:
    """Join a label with the record of its decision."""
    return Outcome(
        transaction_id=report_id,
        label=value,
        known_at=known_at_ms,
        version=version,
        source=source,
        event_time=record.event_time,
        outcome=OUTCOMES[record.outcome],
        score=record.score,
        raw_score=record.raw_score,
        model=record.model,
        revision=record.revision,
        entities=dict(zip(record.entities, record.keys, strict=True)),
        rules=[f"{one['id']}@{one['version']}" for one in record.rules],
        shadow=[f"{one['id']}@{one['version']}" for one in record.shadow],
        models=models_of(record.models),
    )


def encode_outcome(outcome: Outcome) -> bytes:
    """Return an outcome's JSON."""
    return _encode(outcome)


def decode_outcome(value: bytes | None) -> Outcome | Rejection:
    """Read an outcome back from its topic."""
    if value is None:
        return Rejection("null_value", None, "an outcome's message has no value")
    try:
        return _decode_outcome(value)
    except _UNREADABLE as error:
        return Rejection("not_json", None, f"not an outcome: {error}")


class LabelNote(NamedTuple):
    """One label on its way to one history: entity type and key, the event it judges, what it says and since when."""

    entity: int
    key: str
    id_hash: int
    time_ms: int
    value: float
    known_at_ms: int
    version: int


def outcome_notes(outcomes: Iterable[Outcome], entities: Sequence[Entity]) -> Iterator[LabelNote]:
    """Return a note for every entity that the transactions of outcomes touched."""
    place_of = {entity.name: place for place, entity in enumerate(entities)}
    for outcome in outcomes:
        id_hash = text_hash(outcome.transaction_id)
        for name, key in outcome.entities.items():
            if name in place_of:
                yield LabelNote(
                    place_of[name], key, id_hash, outcome.event_time, outcome.label, outcome.known_at, outcome.version
                )


def note_batches(
    notes: Iterable[LabelNote], entities: Sequence[Entity], buckets: int, lane: Lane
) -> list[tuple[int, LabelBatch]]:
    """Return the message to each history bucket that has labels to note."""
    names = [entity.name for entity in entities]
    by_bucket: dict[int, list[LabelNote]] = {}
    for note in notes:
        by_bucket.setdefault(text_hash(note.key) % buckets, []).append(note)
    return [(bucket, _label_batch(found, names, lane)) for bucket, found in by_bucket.items()]


def _label_batch(notes: list[LabelNote], names: list[str], lane: Lane) -> LabelBatch:
    entities, keys, id_hashes, times_ms, values, known_at_ms, versions = zip(*notes, strict=True)
    return LabelBatch(
        lane=lane.number,
        clock_ms=lane.clock_ms,
        names=names,
        entities=bytes(entities),
        keys=list(keys),
        id_hashes=np.array(id_hashes, dtype=np.int64).tobytes(),
        times_ms=np.array(times_ms, dtype=np.int64).tobytes(),
        values=np.array(values, dtype=np.float64).tobytes(),
        known_at_ms=np.array(known_at_ms, dtype=np.int64).tobytes(),
        versions=np.array(versions, dtype=np.int64).tobytes(),
    )


def report_batches(reports: Sequence[tuple[Report, Source, bytes]], buckets: int) -> list[tuple[int, ReportBatch]]:
    """Return the reports that each decide bucket is to join, with where they were read and what they said."""
    by_bucket: dict[int, list[tuple[Report, Source, bytes]]] = {}
    for entry in reports:
        by_bucket.setdefault(text_hash(entry[0].id) % buckets, []).append(entry)
    return [(bucket, _report_batch(entries)) for bucket, entries in by_bucket.items()]


def _report_batch(entries: list[tuple[Report, Source, bytes]]) -> ReportBatch:
    reports = [report for report, _, _ in entries]
    sources = [source for _, source, _ in entries]
    return ReportBatch(
        ids=[report.id for report in reports],
        values=np.array([report.value for report in reports], dtype=np.float64).tobytes(),
        known_at_ms=np.array([report.known_at_ms for report in reports], dtype=np.int64).tobytes(),
        versions=np.array([report.version for report in reports], dtype=np.int64).tobytes(),
        sources=[report.source for report in reports],
        topics=bytes(source.topic for source in sources),
        partitions=np.array([source.partition for source in sources], dtype=np.int32).tobytes(),
        offsets=np.array([source.offset for source in sources], dtype=np.int64).tobytes(),
        raw=[raw for _, _, raw in entries],
    )
