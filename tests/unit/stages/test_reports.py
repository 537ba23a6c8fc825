"""Labels and outcomes as they arrive: read, or refused with a reason, whatever their bytes."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitra.decision import Record
from mitra.decode import Rejection
from mitra.hashing import bucket_of, text_hash
from mitra.lane import Lane
from mitra.reports import (
    Outcome,
    Report,
    ReportDecoder,
    decode_outcome,
    encode_outcome,
    note_batches,
    outcome_notes,
    outcome_of,
    published_ms,
)
from mitra.schema import Labels, Limits
from tests.factories.stages import ENTITIES

LABELS = Labels("fraud", "labels", "id", "fraud", "known_at")
SENT = "2023-11-14 22:13:20.500"
SENT_MS = 1_700_000_000_500
GOOD: dict[str, Any] = {"id": "tx", "fraud": 1, "known_at": 5000}


def decode(message: Any, known_at_format: str = "epoch_ms", published: str = SENT) -> Report | Rejection:
    value = message if message is None or isinstance(message, bytes) else msgspec.json.encode(message)
    labels = Labels("fraud", "labels", "id", "fraud", "known_at", known_at_format)
    return ReportDecoder(labels, Limits(message_bytes=500)).decode(value, published)


@pytest.mark.parametrize(
    ("changes", "report"),
    [
        ({}, Report("tx", 1.0, 5000, 5000, "")),
        ({"fraud": False}, Report("tx", 0.0, 5000, 5000, "")),
        ({"fraud": 0.0}, Report("tx", 0.0, 5000, 5000, "")),
        ({"id": 17}, Report("17", 1.0, 5000, 5000, "")),
        ({"version": 3, "source": "chargeback"}, Report("tx", 1.0, 5000, 3, "chargeback")),
        ({"source": ["x"], "note": {"y": 1}}, Report("tx", 1.0, 5000, 5000, "")),
        ({"known_at": None}, Report("tx", 1.0, SENT_MS, SENT_MS, "")),
    ],
)
def test_good_labels(changes: dict[str, Any], report: Report) -> None:
    assert decode(GOOD | changes) == report


@pytest.mark.parametrize(
    ("value", "reason", "field"),
    [
        (None, "null_value", None),
        (b"", "empty", None),
        (b"{", "not_json", None),
        (b"[]", "not_an_object", None),
        (b"\xff\xfe", "bad_encoding", None),
        (b'{"id": "\xff"}', "bad_encoding", None),
        (b'{"x":' * 90, "not_json", None),
        (b'{"fraud": NaN}', "not_json", None),
        (b" " * 501, "too_large", None),
        ({"fraud": 1}, "missing_field", "id"),
        (GOOD | {"id": ""}, "missing_field", "id"),
        (GOOD | {"id": [1]}, "missing_field", "id"),
        (GOOD | {"id": True}, "missing_field", "id"),
        (GOOD | {"id": 1 << 63}, "missing_field", "id"),
        (GOOD | {"fraud": 2}, "wrong_type", "fraud"),
        (GOOD | {"fraud": "1"}, "wrong_type", "fraud"),
        (GOOD | {"fraud": None}, "wrong_type", "fraud"),
        (GOOD | {"known_at": "soon"}, "not_a_time", "known_at"),
        (GOOD | {"known_at": -1}, "not_a_time", "known_at"),
        (GOOD | {"known_at": 1 << 70}, "not_a_time", "known_at"),
        (GOOD | {"known_at": True}, "not_a_time", "known_at"),
        (GOOD | {"version": 1 << 63}, "wrong_type", "version"),
        (GOOD | {"version": 1.5}, "wrong_type", "version"),
        (GOOD | {"version": True}, "wrong_type", "version"),
    ],
)
def test_bad_labels_give_reason_and_field(value: Any, reason: str, field: str | None) -> None:
    found = decode(value)
    assert isinstance(found, Rejection)
    assert (found.reason, found.field) == (reason, field)
    assert "published" not in found.message


@pytest.mark.parametrize(
    ("time_format", "known_at", "known_at_ms"),
    [
        ("epoch_s", 5.0625, 5062),
        ("epoch_s", 1e308, None),
        ("iso8601", "1970-01-01T00:00:05Z", 5000),
        ("iso8601", "1970-13-01T00:00:05Z", None),
        ("iso8601", 5000, None),
        ("%Y-%m-%d", "1970-01-02", 86_400_000),
    ],
)
def test_known_at_has_the_pipelines_form(time_format: str, known_at: Any, known_at_ms: int | None) -> None:
    found = decode(GOOD | {"known_at": known_at}, time_format)
    assert (found.known_at_ms if isinstance(found, Report) else None) == known_at_ms


@pytest.mark.parametrize(
    "published", ["+292278994-08-17 07:12:55.807", "1969-12-31 23:59:59.999", "", "9999-12-31 00:00:00.000"]
)
def test_a_producers_impossible_timestamp_is_a_dead_letter(published: str) -> None:
    found = decode(GOOD | {"known_at": None}, published=published)
    assert isinstance(found, Rejection)
    assert found.reason == "not_a_time"


@pytest.mark.parametrize(("text", "time_ms"), [(SENT, SENT_MS), ("1970-01-01 00:00:00", 0), ("x", None)])
def test_a_kafka_timestamp_as_sql_prints_it(text: str, time_ms: int | None) -> None:
    assert published_ms(text) == time_ms


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "fraud", "known_at", "version"]), inner),
).map(msgspec.json.encode))  # fmt: skip
def test_no_bytes_raise(value: bytes) -> None:
    found = decode(value)
    if isinstance(found, Report):
        text_hash(found.id)
        np.array([found.known_at_ms, found.version], dtype=np.int64)
    assert isinstance(decode_outcome(value), Outcome | Rejection)


RECORD = Record(
    content_hash=1, event_time=100, decided_at=0, outcome=1, score=0.5, raw_score=None, model=None, revision=0, late=False,
    approximate=[], reasons=[], degraded=[], entities=["customer", "pair"], keys=["c", "c\x1f7"], rules=[], not_evaluated={}, shadow=[],
)  # fmt: skip


def test_an_outcome_comes_back_as_it_was_written() -> None:
    outcome = outcome_of("tx", 1.0, 5000, 2, "analyst", RECORD)
    assert decode_outcome(encode_outcome(outcome)) == outcome
    assert (outcome.outcome, outcome.entities) == ("review", {"customer": "c", "pair": "c\x1f7"})


@pytest.mark.parametrize(
    "change", [{"version": 1 << 63}, {"known_at": 1 << 64}, {"event_time": 0.5}, {"entities": [1]}]
)
def test_an_outcome_that_mitra_never_wrote_is_refused(change: dict[str, Any]) -> None:
    good = msgspec.json.decode(encode_outcome(outcome_of("tx", 1.0, 5000, 2, "", RECORD)))
    assert isinstance(decode_outcome(msgspec.json.encode(good | change)), Rejection)


def test_a_label_is_noted_with_every_entity_of_its_payment() -> None:
    outcome = outcome_of("tx", 1.0, 5000, 2, "", RECORD)
    gone = outcome_of("ty", 0.0, 6000, 1, "", RECORD)
    gone.entities = {"no longer an entity": "x"}
    batches = dict(note_batches(outcome_notes([outcome, gone], ENTITIES), ENTITIES, 8, Lane(0)))
    found = {
        (entity, key): bucket
        for bucket, batch in batches.items()
        for entity, key in zip(batch.entities, batch.keys, strict=True)
    }
    assert found == {(0, "c"): bucket_of("c", 8), (3, "c\x1f7"): bucket_of("c\x1f7", 8)}
    for batch in batches.values():
        assert np.frombuffer(batch.id_hashes, dtype=np.int64).tolist() == [text_hash("tx")] * len(batch.keys)
        assert np.frombuffer(batch.times_ms, dtype=np.int64).tolist() == [100] * len(batch.keys)
        assert np.frombuffer(batch.values).tolist() == [1.0] * len(batch.keys)
