"""Intake and history: what goes to which bucket, and that one bad record harms no other."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from control_stream import read_ack
from control_stream.live_set import Delta
from mitra.blueprint import Blueprint
from mitra.decode import event_of
from mitra.form import Form
from mitra.held_records import HeldRecords
from mitra.history import MemoryStore
from mitra.lane import Lane, Source
from mitra.messages import (
    Control,
    End,
    EventBatch,
    LabelBatch,
    Letters,
    Message,
    PartBatch,
    Probe,
    ReportBatch,
    Revise,
    decode,
    encode,
)
from mitra.pipeline import load_pipeline
from mitra.probe import probe_for
from mitra.revision import Revision
from mitra.stages.history import HistoryStage
from mitra.stages.intake import FIELD_SEPARATOR, Intake, merged
from rules import Rule

NOW_MS = 1_700_000_000_000.0
PIPELINE = Path(__file__).parents[2] / "simulation" / "pipeline.yaml"
GOOD = {"id": "a", "time": int(NOW_MS), "customer_id": "c", "terminal_id": "t", "amount": 1.0}


@pytest.fixture(scope="module")
def blueprint() -> Blueprint:
    return Blueprint(load_pipeline(PIPELINE))


@pytest.fixture(scope="module")
def intake(blueprint: Blueprint) -> Intake:
    return Intake(blueprint, lambda: NOW_MS)


def record(value: Any, topic: str = "payments", offset: int = 0) -> str:
    data = value if value is None or isinstance(value, bytes) else msgspec.json.encode(value)
    text = "N" if data is None else "V" + data.decode("latin-1")
    return FIELD_SEPARATOR.join((topic, "3", str(offset), "2023-11-14 22:13:20.000", text))


def taken(intake: Intake, *records: str) -> dict[type[Message], list[tuple[int, Any]]]:
    found: dict[type[Message], list[tuple[int, Any]]] = defaultdict(list)
    for bucket, blob in intake.process(Lane(0), records, HeldRecords(MemoryStore())):
        message = decode(blob)
        found[type(message)].append((bucket, message))
    return found


def test_one_bad_record_harms_no_other(intake: Intake) -> None:
    bad = [None, b"", b"\xff", b"{", b'{"a":' * 99, {"id": "x"}, GOOD | {"amount": "much"}]
    records = [record(GOOD | {"id": "first"})]
    records += [record(value, offset=offset) for offset, value in enumerate(bad)]
    records += [record(GOOD | {"id": "last"})]
    found = taken(intake, *records)
    assert {id for _, batch in found[EventBatch] for id in batch.ids} == {"first", "last"}
    ((_, letters),) = found[Letters]
    assert [msgspec.json.decode(letter)["offset"] for letter in letters.letters] == list(range(len(bad)))


def test_a_topic_that_the_pipeline_dropped_harms_nobody(intake: Intake) -> None:
    found = taken(intake, record(GOOD, "dropped", 8), record(GOOD))
    assert [batch.ids for _, batch in found[EventBatch]] != []
    ((_, letters),) = found[Letters]
    (letter,) = map(msgspec.json.decode, letters.letters)
    assert (letter["reason"], letter["topic"], letter["offset"]) == ("unknown_topic", "dropped", 8)


def test_values_may_hold_any_character(intake: Intake) -> None:
    odd = GOOD | {"id": "a\x1fb\0c", "country": "Ł\U0001f600"}
    found = taken(intake, record(odd))
    batch = found[EventBatch][0][1]
    assert batch.ids == ["a\x1fb\0c"]
    assert "Ł\U0001f600" in batch.texts[0]


def test_a_probe_goes_to_every_bucket(blueprint: Blueprint, intake: Intake) -> None:
    topic = blueprint.pipeline.topics.probes
    found = taken(intake, record(b"here", topic), record(None, topic))
    probes = found[Probe]
    buckets = blueprint.pipeline.job.buckets
    assert sorted(bucket for bucket, probe in probes if probe.id == "here") == list(range(buckets))
    assert {probe.id for _, probe in probes} == {"here", ""}


def test_a_probe_for_a_job_is_answered_by_that_job_alone(blueprint: Blueprint) -> None:
    topic = blueprint.pipeline.topics.probes
    one, other = ("1" * 32, "2" * 32)
    probes = [probe_for(one), probe_for(other), "job:", "job:1", f"job:{one}", "for all", f"a job:{other}:x"]
    found = taken(Intake(blueprint, lambda: NOW_MS, job=one), *(record(text.encode(), topic) for text in probes))
    assert {probe.id for _, probe in found[Probe]} == {probes[0], "for all", f"a job:{other}:x"}


def test_labels_and_outcomes_go_their_own_ways(blueprint: Blueprint, intake: Intake) -> None:
    outcome = {
        "transaction_id": "a", "label": 1.0, "known_at": 5, "version": 1, "source": "", "event_time": 4, "outcome": "allow",
        "score": None, "raw_score": None, "model": None, "revision": 0, "entities": {"customer": "c", "terminal": "t"},
    }  # fmt: skip
    found = taken(
        intake,
        record({"id": "a", "fraud": 1}, "labels"),
        record({"id": "a", "fraud": 7}, "labels", offset=1),
        record(outcome, blueprint.pipeline.topics.outcomes),
        record(b"?", blueprint.pipeline.topics.outcomes, offset=2),
    )
    ((_, reports),) = found[ReportBatch]
    assert (reports.ids, reports.raw) == (["a"], [b'{"id":"a","fraud":1}'])
    assert sorted(key for _, batch in found[LabelBatch] for key in batch.keys) == ["c", "t"]
    ((_, letters),) = found[Letters]
    assert [msgspec.json.decode(letter)["reason"] for letter in letters.letters] == ["wrong_type", "not_json"]


def parts(stage: HistoryStage, store: MemoryStore, *blobs: bytes) -> list[Message]:
    return [decode(blob) for _, blob in stage.process(0, store, blobs)]


@pytest.fixture
def stage(blueprint: Blueprint) -> HistoryStage:
    return HistoryStage(blueprint, 1 << 20, lambda: NOW_MS + 2)


def blobs(intake: Intake, *records: str) -> list[bytes]:
    return [blob for _, blob in intake.process(Lane(0), records, HeldRecords(MemoryStore()))]


def test_every_part_that_was_announced_is_answered(blueprint: Blueprint, intake: Intake, stage: HistoryStage) -> None:
    records = [record(GOOD | {"id": f"p{number}", "customer_id": f"c{number}"}, offset=number) for number in range(30)]
    came: dict[str, int] = defaultdict(int)
    announced: dict[str, int] = {}
    stores = defaultdict(MemoryStore)
    for bucket, blob in intake.process(Lane(0), records, HeldRecords(MemoryStore())):
        for _, answer in stage.process(bucket, stores[bucket], [blob]):
            part = decode(answer)
            assert isinstance(part, PartBatch)
            assert part.plan == Revision(blueprint).fingerprint
            for id, expected in zip(part.ids, part.expected, strict=True):
                came[id] += 1
                announced[id] = expected
    assert came == announced
    assert len(came) == 30


def test_events_that_nobody_decides_make_no_parts(intake: Intake, stage: HistoryStage) -> None:
    login = {"id": "a", "time": int(NOW_MS), "customer_id": "c", "passed": True}
    store = MemoryStore()
    assert parts(stage, store, *blobs(intake, record(login, "logins"))) == []
    assert parts(stage, store, *blobs(intake, record(login, "logins", 1))) == []
    (found,) = parts(stage, store, *blobs(intake, record(login | {"passed": False}, "logins", 2)))
    assert isinstance(found, Letters)
    (letter,) = map(msgspec.json.decode, found.letters)
    assert (letter["reason"], letter["topic"], letter["partition"], letter["offset"]) == ("conflict", "logins", 3, 2)
    assert store.data


def test_what_history_doesnt_know_passes_unchanged(blueprint: Blueprint, stage: HistoryStage) -> None:
    store, described = MemoryStore(), MemoryStore()
    for message in (Letters([b"{}"]), End(0, 3)):
        assert parts(stage, store, encode(message)) == [message]
    (probe,) = parts(stage, store, encode(Probe("p", 0, 1.0, ["intake of lane 0"])))
    assert isinstance(probe, Probe)
    assert probe.trail == ["intake of lane 0", "history of bucket 0"]
    # All that a bucket keeps from the start is what the numbers in its batches stand for.
    Form.of(blueprint.pipeline.events, blueprint.pipeline.entities, blueprint.layout).keep(described)
    assert len(described.data) == 1
    assert store.data == described.data


def test_a_bucket_says_with_ready_from_when_new_aggregates_are_exact(
    blueprint: Blueprint, intake: Intake, stage: HistoryStage
) -> None:
    def ready(revision: int, base: int) -> dict[str, int]:
        when = f'count(by=customer, over="2h", where=amount > {revision}) > 1'
        rule = Rule(id="often", when=when, outcome="review", version=revision)
        change = Delta({"often": rule}, {}, {}, {"often": revision}).encode()
        (found,) = parts(stage, store, encode(Revise(1, revision, base, [change], [])))
        assert isinstance(found, Control)
        ack = read_ack(found.acks[0])
        assert ack is not None
        return ack.exact_from

    store, hours_ms = MemoryStore(), 2 * 3_600_000
    # Nothing was heard of the lane yet: it may have been ahead before a restore, as far as decoding lets events be.
    assert ready(1, 0) == {
        "count(by=customer, over=2h, where=amount > 1)": int(NOW_MS + 2)
        + blueprint.pipeline.limits.max_future_ms
        + 1
        + hours_ms
    }
    parts(stage, store, *blobs(intake, record(GOOD)))
    assert ready(2, 1) == {"count(by=customer, over=2h, where=amount > 2)": GOOD["time"] + 1 + hours_ms}


def test_a_login_goes_before_the_payment_that_it_led_to(
    intake: Intake, stage: HistoryStage, blueprint: Blueprint
) -> None:
    """However a batch was read: topic after topic, when the job catches up."""
    at = int(NOW_MS)
    logins = [{"id": f"l{n}", "time": at - 600 + n, "customer_id": "c", "passed": True} for n in range(3)]
    records = [
        record(GOOD | {"id": "before", "time": at - 700}, offset=0),
        record(GOOD | {"id": "after", "time": at - 500}, offset=1),
        *(record(login, "logins", offset) for offset, login in enumerate(logins)),
    ]
    store = MemoryStore()
    found = [one for one in parts(stage, store, *blobs(intake, *records)) if isinstance(one, PartBatch)]
    place = [entity.name for entity in blueprint.pipeline.entities].index("customer")
    counted = {}
    for batch in found:
        rows = np.frombuffer(batch.touch_events, dtype=np.int32).tolist()
        arrivals = np.frombuffer(batch.arrivals, dtype=np.int64).tolist()
        touched = zip(rows, batch.touch_entities, arrivals, strict=True)
        counted |= {batch.ids[row]: arrival for row, entity, arrival in touched if entity == place}
    assert counted == {"before": 1, "after": 5}


def test_within_a_partition_the_order_stays() -> None:
    events = [event_of(id, time_ms, (id,)) for id, time_ms in (("a", 5), ("b", 9), ("c", 7), ("x", 6), ("y", 8))]
    sources = [Source(0, 0, 0), Source(0, 0, 1), Source(0, 0, 2), Source(1, 0, 0), Source(1, 0, 1)]
    found, places = merged(events, sources)
    assert [event.id for event in found] == ["a", "x", "y", "b", "c"]
    assert [(place.topic, place.offset) for place in places] == [(0, 0), (1, 0), (1, 1), (0, 1), (0, 2)]
