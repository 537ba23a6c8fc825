"""A new job that starts from a bootstrap knows what the log holds, and begins behind it."""

import json
import random
from pathlib import Path

import pytest

from mitra.cli import main
from mitra.local.job import LocalJob
from mitra.local.kafka import LocalKafka
from mitra.pipeline import load_pipeline
from tests.factories.live import Customers, Payment, Reader, differences, on_kafka, send, write_pipeline
from tests.factories.wired import WiredJob

pytestmark = pytest.mark.flow

AT_MS = 1_700_000_000_000
WAIT_S = 240.0


def payments(first: int, count: int) -> list[Payment]:
    """Payments of eight customers, a minute apart."""
    chance = random.Random(first)
    return [
        Payment(f"p{n}", AT_MS + n * 60_000, f"c{chance.randrange(8)}", f"t{chance.randrange(3)}", 1.0 + n)
        for n in range(first, first + count)
    ]


def test_what_the_log_holds_is_known_and_nothing_of_it_is_read_again(
    kafka: LocalKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_pipeline(tmp_path, "followed")
    path.write_text(
        path.read_text(encoding="utf-8").replace("lanes: 2", "lanes: 2, start: committed"), encoding="utf-8"
    )
    pipeline = on_kafka(path, kafka)
    assert pipeline.labels is not None
    customers, before = Customers(), payments(0, 200)
    older = WiredJob(load_pipeline(path))
    for payment in before:
        customers.expect(payment)
        older.read(payment.at, [(pipeline.decided.topic, payment.value)])
    known_at = before[-1].at + 1
    label = json.dumps({"id": "p0", "fraud": 1, "known_at": known_at}).encode()
    older.read(known_at, [(pipeline.labels.topic, label)])
    customers.note(before[0], 1.0, known_at)
    older.write_log(tmp_path / "log")
    # Kafka still has all that the older job read.
    send(kafka, [(topic, 0, value) for topic, _, _, value in older.records])

    call = ["bootstrap", str(path), "--log", str(tmp_path / "log"), "--savepoints", str(tmp_path / "savepoints")]
    assert main([*call, "--bootstrap", kafka.bootstrap, "--json"]) == 0, capsys.readouterr().err
    filled = json.loads(capsys.readouterr().out)
    assert (filled["events"], filled["labels"]) == (200, 1)

    after = payments(200, 60)
    expected = {payment.id: customers.expect(payment) for payment in after}
    with Reader(kafka, pipeline.topics.decisions, pipeline.topics.outcomes) as reader:
        decisions = reader.values[pipeline.topics.decisions]
        outcomes = reader.values[pipeline.topics.outcomes]
        with LocalJob(path, pipeline, tmp_path / "data", restore=filled["savepoint"]):
            send(kafka, [(pipeline.decided.topic, 0, payment.value) for payment in after])
            # A label for a payment that only the older job has decided.
            send(
                kafka, [(pipeline.labels.topic, 0, json.dumps({"id": "p1", "fraud": 1, "known_at": known_at}).encode())]
            )
            assert reader.wait(lambda: len(decisions) >= len(after), WAIT_S)
            assert reader.wait(lambda: len(outcomes) >= 2, WAIT_S)
    found = {decision["transaction_id"]: decision["features"] for decision in decisions}
    assert set(found) == set(expected)
    assert {id: off for id in expected if (off := differences(found[id], expected[id]))} == {}
    assert sum(values["frauds"] for values in found.values()) > 0
    assert [outcome["transaction_id"] for outcome in outcomes] == ["p0", "p1"]
