"""Flink's CEP library: as an engine beside the job's own, and in the job, through a real Kafka.

`python -m bench.cep` compares the engines on many more patterns.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mitra.local.job import LocalJob
from mitra.local.kafka import LocalKafka
from mitra.pipeline import Pipeline
from tests.factories.cep import both_can, differences, flink_finds, stream
from tests.factories.live import Payment, Reader, on_kafka, send, write_pipeline

pytestmark = pytest.mark.flow

PATTERNS, STREAMS, SEED = 16, 12, 7
SETTINGS = {"execution.checkpointing.interval": "2 s", "execution.checkpointing.min-pause": "100 ms"}
START_MS = 1_700_000_000_000
DOUBLED = """
id: doubled
by: customer
within: 10m
steps:
- {step: first, event: payment}
- {step: second, event: payment, when: amount >= 2 * first.amount}
skip: to_next
outcome: review
reason: twice as much
"""
RULE = {"id": "after-doubled", "when": 'matched("doubled", by=customer, over="1d")', "outcome": "block"}


def test_both_engines_find_the_same_matches(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    streams = [stream(chance) for _ in range(STREAMS)]
    pairs = both_can(PATTERNS, SEED)
    matching, wrong = differences(pairs, streams, flink_finds(pairs, streams, tmp_path / "cep"))
    assert wrong == [], wrong[0]
    assert len(pairs) == PATTERNS
    assert matching * 3 >= PATTERNS * STREAMS, f"{matching} of {PATTERNS * STREAMS}"


@dataclass
class Live:
    """A job with a pattern and a rule that asks for it."""

    kafka: LocalKafka
    path: Path
    pipeline: Pipeline
    reader: Reader
    job: LocalJob
    paid: int = 0

    def pay(self, amount: float) -> dict[str, Any]:
        """Send one payment of a customer, a minute behind the last, and return its decision."""
        self.paid += 1
        payment = Payment(f"p{self.paid}", START_MS + self.paid * 60_000, "c1", "t1", amount)
        send(self.kafka, [(self.pipeline.decided.topic, payment.partition, payment.value)])
        decisions = self.reader.values[self.pipeline.topics.decisions]

        def of_it() -> list[dict[str, Any]]:
            return [one for one in decisions if one["transaction_id"] == payment.id]

        assert self.reader.wait(lambda: bool(of_it())), f"undecided: {payment.id}"
        return of_it()[0]


@pytest.fixture(scope="module")
def live(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("cep")
    (folder / "doubled.yaml").write_text(DOUBLED, encoding="utf-8")
    path = write_pipeline(folder, "matched", more="cep: {sequences: [doubled.yaml], slack: 1s}\n")
    pipeline = on_kafka(path, kafka)
    assert pipeline.cep is not None
    push = {"id": "change-1", "author": "ann", "reason": "a test", "change": "rule.put", "rule": RULE}
    send(kafka, [(pipeline.topics.control, 0, json.dumps(push).encode())])
    topics = pipeline.topics
    told = (topics.decisions, topics.alerts, pipeline.cep.topic, topics.dead_letters)
    with Reader(kafka, *told) as reader:
        live = Live(kafka, path, pipeline, reader, LocalJob(path, pipeline, folder, settings=SETTINGS, brief=True))
        try:
            live.job.start()
            yield live
        finally:
            live.job.stop()


def test_a_match_is_told_and_makes_a_later_rule_fire(live: Live) -> None:
    topics, cep = live.pipeline.topics, live.pipeline.cep
    assert cep is not None
    assert live.pay(10)["rules"] == []
    assert live.pay(25)["rules"] == []
    assert live.pay(5)["rules"] == []  # moves the clock past the match
    alerts, matches = live.reader.values[topics.alerts], live.reader.values[cep.topic]
    assert live.reader.wait(lambda: bool(alerts and matches))
    (alert,), (match,) = alerts, matches
    events = [(one["step"], one["id"], one["time"], one["count"]) for one in alert["events"]]
    assert events == [("first", "p1", START_MS + 60_000, 1), ("second", "p2", START_MS + 120_000, 1)]
    assert {name: alert[name] for name in ("kind", "rule", "entity", "key", "time", "reason", "outcome")} == {
        "kind": "cep",
        "rule": "doubled",
        "entity": "customer",
        "key": "c1",
        "time": START_MS + 120_000,
        "reason": "twice as much",
        "outcome": "review",
    }
    assert live.reader.keys[topics.alerts] == [alert["id"].encode()]
    assert match == {"match_id": alert["id"], "match_time": alert["time"], "pattern": "doubled", "customer": "c1"}
    decisions = (live.pay(5) for _ in range(50))  # the match comes back to the job meanwhile
    blocked = next(one for one in decisions if one["rules"])
    assert [fired["id"] for fired in blocked["rules"]] == ["after-doubled"]
    assert blocked["outcome"] == "block"
    assert blocked["features"]["ever"] == live.paid  # a match counts only where it is named
    assert live.reader.values[topics.dead_letters] == []


def test_a_changed_pattern_begins_anew_on_the_state_of_all_else(live: Live) -> None:
    """Flink refuses state that nobody takes, but for what the pattern of before kept."""
    known = live.job.last_checkpoint()
    assert live.reader.wait(lambda: live.job.last_checkpoint() not in (None, known))
    live.job.stop()
    (live.path.parent / "doubled.yaml").write_text(DOUBLED.replace("10m", "11m"), encoding="utf-8")
    restore = live.job.last_checkpoint()
    live.job = LocalJob(
        live.path, live.pipeline, live.path.parent, restore=restore, settings=SETTINGS, brief=True
    ).start()
    decision = live.pay(5)
    assert [fired["id"] for fired in decision["rules"]] == ["after-doubled"]
    assert decision["features"]["ever"] == live.paid
