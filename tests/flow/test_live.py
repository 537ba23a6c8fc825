"""The live job through a real Kafka, from two partitions, at parallelism 1 and then, from its checkpoint, at 2."""

import itertools
import json
import random
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mitra.local.job import LocalJob, failure_causes
from mitra.local.kafka import LocalKafka
from mitra.pipeline import Pipeline
from mitra.probe import probe_for
from tests.factories.bad_input import KINDS, conflict, message, odd_payments, raw
from tests.factories.live import (
    DAY_MS,
    HOUR_MS,
    Customers,
    Payment,
    Reader,
    differences,
    on_kafka,
    send,
    write_pipeline,
)

pytestmark = pytest.mark.flow

SETTINGS = {"execution.checkpointing.interval": "2 s", "execution.checkpointing.min-pause": "100 ms"}
START_S = 300.0
"""A start takes 15 s on two idle cores."""
START_MS = 1_700_000_000_000


def payments(seed: int, count: int, start_ms: int = START_MS, name: str = "p") -> list[Payment]:
    """Payments of 20 customers, a tenth of them out of order."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        at = start_ms + number * 120_000 - (chance.randrange(3 * HOUR_MS) if chance.random() < 0.1 else 0)
        customer, terminal = f"c{chance.randrange(20)}", f"t{chance.randrange(5)}"
        made.append(Payment(f"{name}{number}", at, customer, terminal, round(chance.lognormvariate(3.0, 1.0), 2)))
    return made


@dataclass
class Live:
    """What runs, and what is known of it."""

    kafka: LocalKafka
    path: Path
    pipeline: Pipeline
    folder: Path
    job: LocalJob
    reader: Reader
    customers: Customers
    expected: dict[str, dict[str, Any]]

    def pay(self, batch: list[Payment]) -> None:
        for payment in batch:
            self.expected[payment.id] = self.customers.expect(payment)
        send(self.kafka, [(self.pipeline.decided.topic, payment.partition, payment.value) for payment in batch])

    @property
    def decisions(self) -> list[dict[str, Any]]:
        return self.reader.values[self.pipeline.topics.decisions]

    def by_id(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        """Wait until all these are decided, and return the first decision of each."""
        wanted = set(ids)
        found: dict[str, dict[str, Any]] = {}
        seen = 0

        def complete() -> bool:
            nonlocal seen
            for decision in self.decisions[seen:]:
                found.setdefault(decision["transaction_id"], decision)
            seen = len(self.decisions)
            return wanted <= found.keys()

        assert self.reader.wait(complete), f"undecided: {sorted(wanted - found.keys())[:5]}"
        return {id: found[id] for id in ids}

    def wrong(self, ids: list[str]) -> dict[str, dict[str, tuple[Any, Any]]]:
        found = self.by_id(ids)
        wrong = {id: differences(found[id]["features"], self.expected[id]) for id in ids}
        return {id: off for id, off in wrong.items() if off}

    def start(self, parallelism: int, restore: str | None) -> None:
        self.job = LocalJob(
            self.path, self.pipeline, self.folder, parallelism=parallelism, restore=restore, settings=SETTINGS
        ).start(wait_s=START_S)


@pytest.fixture(scope="module")
def live(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The job at parallelism 1."""
    folder = tmp_path_factory.mktemp("live")
    path = write_pipeline(folder, "live")
    pipeline = on_kafka(path, kafka)
    job = LocalJob(path, pipeline, folder, settings=SETTINGS)
    topics = pipeline.topics
    with Reader(kafka, topics.decisions, topics.dead_letters, topics.outcomes, topics.probe_results) as reader:
        live = Live(kafka, path, pipeline, folder, job, reader, Customers(), {})
        try:
            live.start(1, None)
            yield live
        finally:
            live.job.stop()


def test_every_payment_is_decided_with_the_features_of_the_oracle(live: Live) -> None:
    batch = payments(1, 1000)
    live.pay(batch)
    ids = [payment.id for payment in batch]
    assert live.wrong(ids) == {}
    assert len(live.decisions) == len(ids)
    assert all(decision["outcome"] == "allow" and not decision["duplicate"] for decision in live.decisions)
    # Terminals are shared between the partitions: how they raced is unknown, but each payment was counted once.
    counted: dict[str, set[float]] = {}
    for decision in live.by_id(ids).values():
        counted.setdefault(batch[int(decision["transaction_id"][1:])].terminal, set()).add(
            decision["features"]["terminal_ever"]
        )
    assert sum(map(len, counted.values())) <= len(ids)


def test_a_label_reaches_the_history_of_the_payment_it_judges(live: Live) -> None:
    first = Payment("judged", START_MS + 10 * DAY_MS, "judged", "judged", 10.0)
    live.pay([first])
    live.by_id([first.id])
    known_at = first.at + HOUR_MS
    label = b'{"id": "judged", "fraud": 1, "known_at": %d}' % known_at
    assert live.pipeline.labels is not None
    send(live.kafka, [(live.pipeline.labels.topic, 0, label)])
    outcomes = live.reader.values[live.pipeline.topics.outcomes]
    assert live.reader.wait(lambda: len(outcomes) == 1)
    assert outcomes[0]["entities"] == {"customer": "judged", "terminal": "judged"}
    assert outcomes[0]["label"] == 1.0
    # The job reads the outcome back; the first payment behind it counts the fraud, those before it in time never do.
    ends = time.monotonic() + 30
    for number in itertools.count():
        asked = Payment(f"asks{number}", known_at + number, "judged", "judged", 10.0)
        early = Payment(f"early{number}", first.at + 1, "judged", "judged", 10.0)
        live.pay([asked, early])
        found = live.by_id([asked.id, early.id])
        assert found[early.id]["features"]["frauds"] == 0.0
        if found[asked.id]["features"]["frauds"] == 1.0:
            assert found[asked.id]["features"]["terminal_risk"] == 1.0
            break
        assert time.monotonic() < ends, "the label never reached the history"


def test_a_duplicate_gets_the_first_decision_again_from_whichever_partition(live: Live) -> None:
    payment = Payment("twice", START_MS + 11 * DAY_MS, "twice", "twice", 10.0)
    live.pay([payment])
    first = live.by_id(["twice"])["twice"]
    topic = live.pipeline.decided.topic
    send(live.kafka, [(topic, 0, payment.value), (topic, 1, payment.value)])

    def answers() -> list[dict[str, Any]]:
        return [decision for decision in live.decisions if decision["transaction_id"] == "twice"]

    assert live.reader.wait(lambda: len(answers()) == 3)
    assert [answer["duplicate"] for answer in answers()] == [False, True, True]
    for name in ("decided_at", "outcome", "score", "event_time", "revision"):
        assert {answer[name] for answer in answers()} == {first[name]}
    after = Payment("after", payment.at + 1, "twice", "twice", 10.0)
    live.pay([after])
    assert live.wrong(["after"]) == {}


def test_bad_input_is_a_dead_letter_with_its_reason_and_everything_else_is_decided(live: Live) -> None:
    """20 of each kind among 2,000 good payments, those with odd ids and unknown fields among them."""
    topic, each = live.pipeline.decided.topic, 20
    odd = odd_payments()
    good = payments(4, 2000 - len(odd), START_MS + 20 * DAY_MS, "good")
    bad = [(kind, message(kind, number)) for kind in KINDS for number in range(each)]
    records = [(topic, payment.partition, payment.value) for payment in good]
    records += [(topic, payment.partition, raw(payment)) for payment in odd]
    for payment in [*good, *odd]:
        live.expected[payment.id] = live.customers.expect(payment)
    chance = random.Random(5)
    for _, value in bad:
        records.insert(chance.randrange(len(records)), (topic, chance.randrange(2), value))
    # The order of good payments is as it was; each conflict lies behind the payment it disputes, in the same partition.
    records += [(topic, payment.partition, conflict(payment).value) for payment in good[:each]]
    before = len(live.decisions)
    send(live.kafka, records)
    letters = live.reader.values[live.pipeline.topics.dead_letters]
    assert live.wrong([payment.id for payment in [*good, *odd]]) == {}
    assert live.reader.wait(lambda: len(letters) == len(bad) + each), len(letters)
    assert len(live.decisions) - before == 2000
    expected = Counter((KINDS[kind].reason, KINDS[kind].field, value) for kind, value in bad)
    expected += Counter(("conflict", "id", payment.id.encode()) for payment in good[:each])
    found = Counter((letter["reason"], letter["field"], _bytes(letter)) for letter in letters)
    assert found == expected
    keys = dict(
        zip(
            (decision["transaction_id"] for decision in live.decisions),
            live.reader.keys[live.pipeline.topics.decisions],
            strict=True,
        )
    )
    assert {payment.id: keys[payment.id] for payment in odd} == {payment.id: payment.id.encode() for payment in odd}
    live.job.check()
    assert failure_causes(live.folder / "logs") == []


def _bytes(letter: dict[str, Any]) -> bytes | None:
    """The message's bytes; of a conflict, which is shown as JSON written anew, its id."""
    value = None if letter["bytes"] is None else b64decode(letter["bytes"])
    return json.loads(value or b"")["id"].encode() if letter["reason"] == "conflict" else value


def test_state_goes_on_at_another_parallelism(live: Live) -> None:
    before = payments(2, 200, START_MS + 12 * DAY_MS, "before")
    live.pay(before)
    assert live.wrong([payment.id for payment in before]) == {}
    live.job.stop()
    live.start(2, live.job.last_checkpoint())
    after = payments(3, 400, START_MS + 13 * DAY_MS, "after")
    live.pay(after)
    assert live.wrong([payment.id for payment in after]) == {}
    # A duplicate of what the job decided at parallelism 1 gets that decision.
    first = live.by_id(["p0"])["p0"]
    send(live.kafka, [(live.pipeline.decided.topic, 0, payments(1, 1)[0].value)])

    def answers() -> list[dict[str, Any]]:
        return [decision for decision in live.decisions if decision["transaction_id"] == "p0"]

    assert live.reader.wait(lambda: len(answers()) == 2)
    assert answers()[1]["duplicate"]
    assert answers()[1]["decided_at"] == first["decided_at"]


def test_probes_reach_no_business_topic_and_nothing_failed(live: Live) -> None:
    topics, results = live.pipeline.topics, live.reader.values[live.pipeline.topics.probe_results]
    strange, ours = probe_for("0" * 32).encode(), b"whoever is there"
    send(live.kafka, [(topics.probes, 0, text) for text in (strange, ours)])
    answers = live.pipeline.job.buckets
    assert live.reader.wait(lambda: [result[0] for result in results].count(ours.decode()) == answers)
    # Two runs have answered, each under an id of its own; another job's probe came before and has no answer.
    jobs = {result[0].split(":")[1] for result in results if result[0].startswith("job:")}
    assert len(jobs) == 2
    assert "0" * 32 not in jobs
    ids = {decision["transaction_id"] for decision in live.decisions}
    assert ids == set(live.expected)
    letters = live.reader.values[live.pipeline.topics.dead_letters]
    assert {letter["topic"] for letter in letters} <= {live.pipeline.decided.topic}
    assert failure_causes(live.folder / "logs") == []
