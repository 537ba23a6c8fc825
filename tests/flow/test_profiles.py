"""Facts pushed from a file decide about payments, until they are too old; a restore into a wider pipeline keeps them."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from mitra.cli import main
from mitra.local.job import LocalJob, failure_causes
from mitra.local.kafka import LocalKafka
from tests.factories.live import DAY_MS, Reader, on_kafka

pytestmark = pytest.mark.flow

PIPELINE = """
name: profiled
kafka: {partitions: 2}
events:
  payment: {decided: true, id: id, time: at, fields: {id: string, at: time, customer: string, amount: number}}
LOGIN
entities: {customer: customer}
profiles:
  account:
    by: customer
    max_age: 2d
    fields: {account_age_days: integer, segment: string}
features:
  age: profile("account_age_days", by=customer)
  segment: profile("segment", by=customer)
job: {include_features: true, lanes: 2}
"""
LOGIN = "  login: {decided: false, id: id, time: at, fields: {id: string, at: time, customer: string, tries: integer}}"
RULE = """
id: new-account
when: amount > 100 and profile("account_age_days", by=customer) < 7
outcome: block
reason: "an account of {profile('account_age_days', by=customer)} days"
"""
SETTINGS = {"execution.checkpointing.interval": "2 s", "execution.checkpointing.min-pause": "100 ms"}
WAIT_S = 120.0


class Till:
    """Sends payments, one after the other, and waits for the decision on each."""

    def __init__(self, kafka: LocalKafka, topic: str, reader: Reader, decisions: str) -> None:
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 1})
        self._topic, self._reader, self._decisions = topic, reader, decisions
        self._sent = 0

    def pay(self, customer: str, amount: float, at_ms: int | None = None) -> dict[str, Any]:
        """Return the decision on a payment as of now, or of a given time."""
        self._sent += 1
        id = f"p{self._sent}"
        at_ms = int(time.time() * 1000) if at_ms is None else at_ms
        payment = {"id": id, "at": at_ms, "customer": customer, "amount": amount}
        self._producer.produce(self._topic, json.dumps(payment), partition=sum(customer.encode()) % 2)
        assert self._producer.flush(30) == 0
        made = self._reader.values[self._decisions]
        assert self._reader.wait(lambda: any(one["transaction_id"] == id for one in made), WAIT_S), id
        decision: dict[str, Any] = next(one for one in made if one["transaction_id"] == id)
        return decision

    def pay_until(
        self, customer: str, amount: float, condition: Callable[[dict[str, Any]], bool], at_ms: int | None = None
    ) -> dict[str, Any]:
        """Pay again and again until a decision is as wanted: profiles and payments come by different topics."""
        ends = time.monotonic() + WAIT_S
        while not condition(decision := self.pay(customer, amount, at_ms)):
            assert time.monotonic() < ends, decision
        return decision


def test_pushed_facts_decide_until_they_are_too_old_and_outlive_an_upgrade(kafka: LocalKafka, tmp_path: Path) -> None:
    path, rule, facts = tmp_path / "pipeline.yaml", tmp_path / "rule.yaml", tmp_path / "accounts.csv"
    path.write_text(PIPELINE.replace("LOGIN", ""), encoding="utf-8")
    rule.write_text(RULE, encoding="utf-8")
    now_ms = int(time.time() * 1000)
    rows = [("young", now_ms, 3, "new"), ("settled", now_ms, 900, "gold"), ("stale", now_ms - 3 * DAY_MS, 2, "new")]
    lines = ["customer,as_of,account_age_days,segment", *(",".join(map(str, row)) for row in rows)]
    facts.write_text("\n".join(lines) + "\n", encoding="utf-8")
    pipeline = on_kafka(path, kafka)
    topics, on = pipeline.topics, ["--bootstrap", kafka.bootstrap]
    with Reader(kafka, topics.decisions, topics.dead_letters) as reader:
        till = Till(kafka, pipeline.decided.topic, reader, topics.decisions)
        job = LocalJob(path, pipeline, tmp_path / "data", settings=SETTINGS).start()
        try:
            assert main(["rules", "push", str(path), str(rule), "--reason", "first parties", *on]) == 0
            assert till.pay("young", 150.0)["not_evaluated"] != {}, "nothing is known of anybody yet"
            assert main(["profiles", "push", str(path), "account", str(facts), *on]) == 0
            blocked = till.pay_until("young", 150.0, lambda one: one["outcome"] == "block")
            assert [(one["id"], one["reason"]) for one in blocked["rules"]] == [("new-account", "an account of 3 days")]
            settled = till.pay_until("settled", 150.0, lambda one: one["features"]["segment"] is not None)
            assert (settled["outcome"], settled["features"]) == ("allow", {"age": 900, "segment": "gold"})
            # As of the day behind the fact it holds, as of today it is too old.
            then = till.pay_until("stale", 150.0, lambda one: one["outcome"] == "block", now_ms - 2 * DAY_MS)
            assert then["features"] == {"age": 2, "segment": "new"}
            stale = till.pay("stale", 150.0)
            assert (stale["outcome"], stale["features"]) == ("allow", {"age": None, "segment": None})
            assert list(stale["not_evaluated"]) == list(till.pay("nobody", 150.0)["not_evaluated"]) != []
            known = job.last_checkpoint()
            assert reader.wait(lambda: job.last_checkpoint() not in (None, known), WAIT_S)
            known = job.last_checkpoint()  # begun behind all that was sent, unlike perhaps the one before
            assert reader.wait(lambda: job.last_checkpoint() != known, WAIT_S)
        finally:
            job.stop()
        # An event type more, which stands before the profile among the types.
        path.write_text(PIPELINE.replace("LOGIN", LOGIN), encoding="utf-8")
        wider = on_kafka(path, kafka)
        job = LocalJob(path, wider, tmp_path / "data", restore=job.last_checkpoint(), settings=SETTINGS).start()
        try:
            again = till.pay("young", 150.0)
            assert (again["outcome"], again["features"]) == ("block", {"age": 3, "segment": "new"})
            assert till.pay("settled", 150.0)["features"] == {"age": 900, "segment": "gold"}
            assert till.pay("stale", 150.0)["features"] == {"age": None, "segment": None}
        finally:
            job.stop()
        assert reader.values[topics.dead_letters] == []
    assert failure_causes(tmp_path / "data" / "logs") == []
