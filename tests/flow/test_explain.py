"""`mitra explain` on a real Kafka: decisions and payments read from the ends of their topics, the rules from the control log."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from mitra.cli import main
from mitra.local.kafka import LocalKafka
from mitra.pipeline import Pipeline
from tests.factories.inquiries import decision
from tests.factories.live import Payment, on_kafka, write_pipeline

pytestmark = pytest.mark.flow

COUNT = 3_000


def produce(kafka: LocalKafka, pipeline: Pipeline) -> None:
    """Write what a job would have: a rule, payments of a hundred customers, their decisions, in transactions of some hundreds."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": pipeline.name})
    producer.init_transactions(30)
    topics = pipeline.topics
    put = {"change": "rule.put", "id": "1", "author": "ann", "reason": "a test"}
    put |= {"rule": {"id": "large", "when": "amount > 2900", "outcome": "block", "reason": "{amount}"}}
    producer.begin_transaction()
    producer.produce(topics.control, json.dumps(put).encode(), partition=0)
    now_ms = time.time_ns() // 1_000_000
    for number in range(COUNT):
        payment = Payment(f"p{number}", now_ms - COUNT + number, f"c{number % 100}", "t1", float(number))
        producer.produce(pipeline.decided.topic, payment.value, key=payment.customer, partition=payment.partition)
        said: dict[str, Any] = {"event_time": payment.at, "decided_at": now_ms, "revision": 1}
        if number > 2_900:
            fired = {"id": "large", "version": 1, "outcome": "block", "reason": f"{number}"}
            said |= {"outcome": "block", "rules": [fired]}
        features = {"ever": number // 100 + 1, "sum_ever": 0.0}
        value = json.dumps(decision(payment.id, features=features, **said)).encode()
        producer.produce(topics.decisions, value, key=payment.id)
        producer.poll(0)
        if number % 700 == 699:
            producer.commit_transaction(30)
            producer.begin_transaction()
    producer.commit_transaction(30)


def test_a_decision_is_found_and_explained_and_an_unknown_one_told(
    kafka: LocalKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_pipeline(tmp_path, "explained")
    produce(kafka, on_kafka(path, kafka))
    monkeypatch.setattr("mitra.inquiry.backwards._PIECE", 500)

    def explained(*words: str) -> Any:
        status = main(["explain", str(path), *words, "--bootstrap", kafka.bootstrap, "--json"])
        printed = capsys.readouterr()
        return json.loads(printed.out) if status == 0 else (status, printed.err)

    last = explained(f"p{COUNT - 1}")
    assert (last["decision"]["outcome"], last["decided_by"], last["made"]["author"]) == ("block", ["rules"], "ann")
    assert [one["said"] for one in last["rules"]] == ["fires"]
    assert (last["compared"]["key"], last["compared"]["payments"]) == ("c99", 29)
    (ever,) = [one for one in last["features"] if one["name"] == "ever"]
    assert (ever["value"], ever["usual"]["median"], ever["usual"]["count"]) == (30, 15.0, 29)
    (amount,) = [one for one in last["fields"] if one["name"] == "amount"]
    assert (amount["usual"]["least"], amount["usual"]["greatest"]) == (99.0, 2_899.0)
    first = explained("p0", "--since", "1h")
    assert (first["rules"][0]["said"], first["rules"][0]["why"]) == ("false", "not (amount > 2900)")
    assert first["compared"]["payments"] == 0
    status, told = explained("nobody")
    assert (status, f"no decision on nobody in all {COUNT:,} records of explained.decisions" in told) == (1, True)
    status, told = explained("p0", "--since", "2100-01-01T00:00:00Z")
    assert (status, "in the newest 0 records of explained.decisions" in told) == (1, True)
