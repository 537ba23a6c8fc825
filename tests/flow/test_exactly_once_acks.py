"""With exactly-once delivery decisions wait for checkpoints; what is said of a change doesn't."""

import json
from pathlib import Path

import pytest

from mitra.local.job import LocalJob, failure_causes
from mitra.local.kafka import LocalKafka
from tests.factories.live import Payment, Reader, on_kafka, send, write_pipeline

pytestmark = pytest.mark.flow

SETTINGS = {"execution.checkpointing.interval": "30 min", "execution.checkpointing.min-pause": "30 min"}
"""No checkpoint comes while the test runs: what waits for one isn't seen. The first comes at random between pause and interval."""
START_S = 480.0
START_MS = 1_700_000_000_000


def test_changes_are_active_everywhere_without_a_checkpoint(kafka: LocalKafka, tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, "exact", "exactly-once")
    pipeline = on_kafka(path, kafka)
    topics, job = pipeline.topics, pipeline.job
    running = LocalJob(path, pipeline, tmp_path, settings=SETTINGS)
    with Reader(kafka, topics.control_acks, topics.decisions) as reader:

        def push(revision: int) -> None:
            rule = {"id": "large", "when": f"amount > {revision}000", "outcome": "block"}
            change = {"change": "rule.put", "id": f"c{revision}", "author": "ann", "rule": rule}
            send(kafka, [(topics.control, 0, json.dumps(change).encode())])

        def active(revision: int) -> bool:
            reader.read(0.02)
            acks = reader.values[topics.control_acks]
            told = {(a["stage"], a["part"]) for a in acks if a["status"] == "active" and a["revision"] == revision}
            return len(told) == job.lanes + 2 * job.buckets

        payment = Payment("p1", START_MS, "c1", "t1", 10.0)
        send(kafka, [(pipeline.decided.topic, payment.partition, payment.value)])
        push(1)
        try:
            # The probe that a start waits for proves the way of decisions, and waits for a checkpoint.
            running.start(wait_s=START_S, stopped=lambda: active(1))
            for revision in (2, 3, 4, 5, 6):
                push(revision)
                assert reader.wait(lambda revision=revision: active(revision)), reader.values[topics.control_acks][-3:]
            assert reader.values[topics.decisions] == []
            assert failure_causes(running.folder / "logs") == []
        finally:
            running.stop()
