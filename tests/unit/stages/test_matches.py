"""Matches of Flink CEP as they come back to the job: events of their entity that count where they are named, and move no clock."""

import json
from pathlib import Path

from control_stream import LiveSet
from mitra.pipeline import load_pipeline
from rules import read_rule
from tests.factories.wired import WiredJob

PIPELINE = """
name: shop
events:
  payment: {decided: true, id: id, time: at, fields: {id: string, at: time, customer: string, amount: number}}
  login: {decided: false, id: id, time: at, fields: {id: string, at: time, customer: string}}
entities: {customer: customer}
features:
  all: count(by=customer, over="1h")
  matches: count(by=customer, over="1h", event=sequence_match)
job: {include_features: true}
cep: {sequences: [twice.yaml]}
"""
TWICE = """
id: twice
by: customer
within: 10m
steps: [{step: first, event: payment}, {step: second, event: payment}]
skip: to_next
outcome: review
"""
START_MS, MINUTE_MS = 1_700_000_000_000, 60_000


def test_a_match_is_an_event_of_its_entity_that_counts_once_and_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text(TWICE, encoding="utf-8")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE, encoding="utf-8")
    rule, problems = read_rule(
        {"id": "after", "when": 'matched("twice", by=customer, over="10m")', "outcome": "block"}, ""
    )
    assert rule is not None, problems
    job = WiredJob(load_pipeline(tmp_path / "pipeline.yaml"), LiveSet(rules={"after": rule}))

    def pay(number: int, customer: str) -> None:
        at = START_MS + number * MINUTE_MS
        payment = {"id": f"p{number}", "at": at, "customer": customer, "amount": 5.0}
        job.read(at, [("shop.payment", json.dumps(payment).encode())])

    match = {"match_id": "m1", "match_time": START_MS + 2 * MINUTE_MS, "pattern": "twice", "customer": "c1"}
    pay(1, "c1")
    pay(2, "c1")
    for _ in range(2):  # told again, it counts once
        job.read(START_MS + 2 * MINUTE_MS + 6_000, [("shop.matches", json.dumps(match).encode())])
    pay(3, "c1")
    pay(4, "c2")
    pay(14, "c1")
    assert job.letters == []
    assert [decision.outcome for decision in job.decisions] == ["allow", "allow", "block", "allow", "allow"]
    features = [decision.features for decision in job.decisions]
    assert [(one["all"], one["matches"]) for one in features if one] == [(1, 0), (2, 0), (3, 1), (1, 0), (4, 1)]
