"""Govern's stage: what is sent to whom, and how a run is told from the one before."""

from pathlib import Path

import pytest

from control_stream import Activate
from mitra.blueprint import Blueprint
from mitra.history import MemoryStore
from mitra.messages import Control, Revise, decode
from mitra.pipeline import load_pipeline
from mitra.stages.govern import GovernStage
from mitra.stages.intake import FIELD_SEPARATOR

PIPELINE = """
name: small
events:
  payment: {id: id, time: time, fields: {id: string, time: time, customer: string, amount: number}}
entities: {customer: customer}
job: {buckets: 4, lanes: 2}
"""


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory: pytest.TempPathFactory) -> Blueprint:
    path = tmp_path_factory.mktemp("govern") / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return Blueprint(load_pipeline(Path(path)))


def record(topic: str, offset: int, value: bytes) -> str:
    return FIELD_SEPARATOR.join([topic, "0", str(offset), "2026-01-01 00:00:00.000", "V" + value.decode("latin-1")])


def test_a_run_on_a_machine_whose_clock_is_behind_has_a_higher_attempt_all_the_same(blueprint: Blueprint) -> None:
    """Else buckets that have marked a revision for the run before never say to this one that it is active."""
    store = MemoryStore()
    attempts = []
    for now_ms in (5_000.0, 4_500.0, 9_000.0):
        sent = [decode(blob) for _, _, blob in GovernStage(blueprint, store, lambda now_ms=now_ms: now_ms).tick()]
        attempts += [message.attempt for message in sent if isinstance(message, Activate)][:1]
    assert attempts == [5_000, 5_001, 9_000]


def test_a_change_goes_to_every_bucket_and_its_marks_to_the_bucket_of_their_entity(blueprint: Blueprint) -> None:
    stage = GovernStage(blueprint, MemoryStore(), lambda: 5_000.0)
    changes = [
        b'{"change": "list.put", "name": "bad", "kind": "block", "by": "customer", "id": "a", "author": "ann"}',
        b'{"change": "list.add", "name": "bad", "entries": [{"key": "x"}, {"key": "y"}], "id": "b", "author": "ann"}',
    ]
    topic = blueprint.pipeline.topics.control
    sent = list(stage.process([record(topic, offset, value) for offset, value in enumerate(changes)]))
    first = [(target, part) for target, part, blob in sent if isinstance(decode(blob), Revise)]
    assert sorted(first) == sorted((target, part) for target in ("history", "decide") for part in range(4))
    acks = [ack for _, _, blob in sent for ack in getattr(decode(blob), "acks", [])]
    assert [b'"prepared"' in ack for ack in acks] == [True, True]
    # The second waits until the first is ready everywhere.
    ready = [
        b'{"id":"","revision":1,"status":"ready","stage":"%b","part":%d,"parts":4,"subtask":0,"attempt":5000,"at":1}'
        % (s, p)
        for s in (b"history", b"decide")
        for p in range(4)
    ]
    answered = list(
        stage.process([record(blueprint.pipeline.topics.control_acks, n, ack) for n, ack in enumerate(ready)])
    )
    lanes = [part for target, part, blob in answered if isinstance(decode(blob), Activate)]
    assert lanes == [0, 1]
    marks = {
        part: [mark.key for mark in message.marks]
        for target, part, blob in answered
        if target == "history" and isinstance(message := decode(blob), Revise)
    }
    assert sorted(key for keys in marks.values() for key in keys) == ["x", "y"]
    assert not any(isinstance(decode(blob), Control) for _, _, blob in answered)
