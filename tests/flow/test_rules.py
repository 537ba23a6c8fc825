"""Rules and lists pushed into the running job through a real Kafka, from before its start to after a restore at parallelism 2."""

import json
import random
import re
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mitra.local.job import LocalJob, failure_causes
from mitra.local.kafka import LocalKafka
from mitra.pipeline import Pipeline
from tests.factories.live import HOUR_MS, Payment, Reader, on_kafka, send, write_pipeline

pytestmark = pytest.mark.flow

SETTINGS = {"execution.checkpointing.interval": "2 s", "execution.checkpointing.min-pause": "100 ms"}
START_S = 300.0
START_MS = 1_700_000_000_000


def rule(rule_id: str, when: str, outcome: str, reason: str = "", **more: Any) -> dict[str, Any]:
    return {"change": "rule.put", "rule": {"id": rule_id, "when": when, "outcome": outcome, "reason": reason, **more}}


@dataclass
class Live:
    """What runs, and how far it has come."""

    kafka: LocalKafka
    path: Path
    pipeline: Pipeline
    folder: Path
    job: LocalJob
    reader: Reader
    paid: int = 0
    pushed: int = 0

    def start(self, parallelism: int, restore: str | None) -> None:
        self.job = LocalJob(
            self.path, self.pipeline, self.folder, parallelism=parallelism, restore=restore, settings=SETTINGS
        ).start(wait_s=START_S)

    def push(self, *changes: dict[str, Any]) -> int:
        """Send changes without waiting; return the number of the last one's revision."""
        records = []
        for change in changes:
            self.pushed += 1
            record = {"id": f"change-{self.pushed}", "author": "ann", "reason": "a test", **change}
            records.append((self.pipeline.topics.control, 0, json.dumps(record).encode()))
        send(self.kafka, records)
        return self.pushed

    @property
    def acks(self) -> list[dict[str, Any]]:
        return self.reader.values[self.pipeline.topics.control_acks]

    def active(self, revision: int) -> None:
        """Wait until every lane and bucket runs a revision."""
        job = self.pipeline.job
        parts = {("intake", lane) for lane in range(job.lanes)}
        parts |= {(stage, bucket) for stage in ("history", "decide") for bucket in range(job.buckets)}

        def done() -> bool:
            reached = {
                (a["stage"], a["part"]) for a in self.acks if a["status"] == "active" and a["revision"] >= revision
            }
            return parts <= reached

        assert self.reader.wait(done), f"not active: {sorted(parts)}; acks: {self.acks[-5:]}"

    def pay(self, customer: str = "c1", amount: float = 10.0, terminal: str = "t1") -> dict[str, Any]:
        """Send one payment, a minute behind the last, and return its decision."""
        self.paid += 1
        payment = Payment(f"p{self.paid}", START_MS + self.paid * 60_000, customer, terminal, amount)
        send(self.kafka, [(self.pipeline.decided.topic, payment.partition, payment.value)])
        return self.decision(payment.id)

    def decision(self, id: str) -> dict[str, Any]:
        decisions = self.reader.values[self.pipeline.topics.decisions]
        assert self.reader.wait(lambda: any(one["transaction_id"] == id for one in decisions)), f"undecided: {id}"
        return next(one for one in decisions if one["transaction_id"] == id)


@pytest.fixture(scope="module")
def live(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The job, started with a rule and a payment that were there before it."""
    folder = tmp_path_factory.mktemp("rules")
    path = write_pipeline(folder, "ruled")
    pipeline = on_kafka(path, kafka)
    topics = pipeline.topics
    with Reader(kafka, topics.decisions, topics.dead_letters, topics.control_acks, topics.monitor) as reader:
        live = Live(kafka, path, pipeline, folder, LocalJob(path, pipeline, folder, settings=SETTINGS), reader)
        live.push(rule("large", "amount > 1000", "block", "{amount} is over 1,000"))
        early = Payment("early", START_MS, "c0", "t0", 5000.0)
        send(kafka, [(pipeline.decided.topic, early.partition, early.value)])
        try:
            live.start(1, None)
            yield live
        finally:
            live.job.stop()


def test_a_payment_that_waited_for_the_job_is_judged_by_the_rules_that_were_there(live: Live) -> None:
    decision = live.decision("early")
    assert decision["outcome"] == "block"
    assert decision["revision"] == 1
    assert decision["rules"] == [{"id": "large", "version": 1, "outcome": "block", "reason": "5000 is over 1,000"}]
    live.active(1)


def test_a_rule_with_a_window_never_used_before_is_right_from_its_first_payment(live: Live) -> None:
    for _ in range(3):
        assert live.pay()["rules"] == []
    revision = live.push(
        rule(
            "busy",
            'count(by=customer, over="17m", where=amount < 50) >= 4',
            "review",
            'in 17 min: {count(by=customer, over="17m", where=amount < 50)}',
        )
    )
    live.active(revision)
    decision = live.pay()
    assert (decision["outcome"], decision["revision"]) == ("review", revision)
    assert [fired["reason"] for fired in decision["rules"]] == ["in 17 min: 4"]
    assert decision["features"]["ever"] == 4


def test_what_is_refused_is_told_and_changes_nothing(live: Live) -> None:
    before = live.pay("c2")["revision"]
    number = live.push(rule("wrong", "amout > 3", "block"))
    assert live.reader.wait(lambda: any(ack["id"] == f"change-{number}" for ack in live.acks))
    [ack] = [ack for ack in live.acks if ack["id"] == f"change-{number}"]
    assert ack["status"] == "refused"
    assert "amout" in ack["reason"]
    assert live.pay("c2")["revision"] == before


def test_lists_and_snoozes_hold_for_the_entities_that_they_name(live: Live) -> None:
    revision = live.push(
        {"change": "list.put", "name": "bad", "kind": "block", "by": "customer", "reason": "known fraudster"},
        {"change": "list.add", "name": "bad", "entries": [{"key": f"x{n}"} for n in range(500)]},
        {"change": "snooze", "rule": "large", "by": "customer", "key": "c3", "until": START_MS + 1000 * HOUR_MS},
    )
    live.active(revision)
    listed = live.pay("x77")
    assert listed["outcome"] == "block"
    assert listed["rules"] == [{"id": "list:bad", "version": 0, "outcome": "block", "reason": "known fraudster"}]
    assert live.pay("c3", 2000.0)["outcome"] == "allow"
    assert live.pay("c4", 2000.0)["outcome"] == "block"
    live.active(live.push({"change": "list.remove", "name": "bad", "keys": ["x77"]}))
    assert live.pay("x77")["outcome"] == "allow"
    assert live.pay("x78")["outcome"] == "block"


def test_what_is_live_survives_a_restore_at_another_parallelism_and_can_be_rolled_back(live: Live) -> None:
    known = live.job.last_checkpoint()
    assert live.reader.wait(lambda: live.job.last_checkpoint() not in (None, known))
    live.job.stop()
    pushed = live.push(rule("small", "amount < 1", "review", "tiny"))  # while the job is down
    live.start(2, live.job.last_checkpoint())
    live.active(pushed)
    assert [fired["id"] for fired in live.pay("c9", 0.5)["rules"]] == ["small"]
    assert live.pay("x79")["outcome"] == "block"
    assert live.pay("c9", 5000.0)["outcome"] == "block"
    live.active(live.push({"change": "rollback", "to": 1}))
    decision = live.pay("x79", 0.5)
    assert (decision["outcome"], decision["rules"]) == ("allow", [])
    assert live.pay("c9", 5000.0)["outcome"] == "block"


def hostile(chance: random.Random, number: int) -> bytes:
    """A record for the control topic that no change is."""
    head = {"id": f"bad-{number}", "author": "eve", "reason": "x"}
    big = "amount > 1 and " * 60_000 + "amount > 2"
    deep = "(" * 3_000 + "amount" + ")" * 3_000
    texts = [
        "__import__('os').system('x')",
        "amount.__class__",
        "[].append(1)",
        "lambda: 1",
        big,
        deep,
        "amount >",
        "é" * 900,
        "",
    ]
    kinds: list[Any] = [
        b"{" * chance.randrange(1, 200),
        bytes(chance.randrange(256) for _ in range(chance.randrange(60))),
        b"null",
        b"[" * 50_000 + b"]" * 50_000,
        {"change": chance.choice(["rule.puts", "drop table", 7, None])},
        {
            "change": "rule.put",
            "rule": chance.choice([7, None, [], "x", {"id": 3}, {"id": "../x", "when": "1", "outcome": "b"}]),
        },
        {**head, **rule(f"bad{number}", chance.choice(texts), "block")},
        {**head, **rule(f"bad{number}", "amount > 1", chance.choice(["deny", 3, None]))},
        {**head, **rule(f"bad{number}", "amount > 1", "block", extra=1, percent=1e300)},
        {**head, "change": "list.add", "name": "nobody", "entries": [{"key": str(n)} for n in range(30_000)]},
        {**head, "change": "rollback", "to": chance.choice([-1, 10**30, "x", 1.5])},
        {**head, "change": "feature.put", "name": chance.choice(["7x", "fraud", "a b", "é\0"]), "text": "amount"},
        {**head, "change": "snooze", "rule": "none", "by": "customer", "key": "x" * 5_000, "until": -5},
    ]
    chosen = kinds[number % len(kinds)]
    return chosen if isinstance(chosen, bytes) else json.dumps(chosen).encode()


def test_hostile_changes_harm_nothing_and_the_good_ones_among_them_are_applied(live: Live) -> None:
    chance = random.Random(4)
    topic = live.pipeline.topics.control
    records, good = [], []
    for number in range(1, 1001):
        if number % 10 == 0:
            good.append(f"good-{number}")
            put = rule(f"good{number}", f"amount == {9000 + number}", "review", mode="shadow")
            value = json.dumps({"id": good[-1], "author": "ann", "reason": "good", **put}).encode()
        else:
            value = hostile(chance, number)
        records.append((topic, 0, value))
    send(live.kafka, records)
    live.pushed += len(records)

    def answered() -> bool:
        return {ack["id"] for ack in live.acks if ack["status"] == "prepared"} >= set(good)

    assert live.reader.wait(answered, 240)
    live.active(live.pushed)
    refused = [ack for ack in live.acks if ack["status"] == "refused" and not ack["id"].startswith("change-")]
    taken = [ack["id"] for ack in live.acks if ack["status"] == "prepared" and ack["id"].startswith("bad-")]
    assert (taken, len(refused)) == ([], len(records) - len(good))
    assert all(ack["reason"] for ack in refused)
    decision = live.pay("c8", 9010.0)
    assert [shadow["id"] for shadow in decision["shadow"]] == ["good10"]
    assert (decision["outcome"], decision["revision"]) == ("block", live.pushed)


def test_what_rules_do_is_counted_on_the_monitor_topic(live: Live) -> None:
    figures = live.reader.values[live.pipeline.topics.monitor]

    def counted() -> bool:
        live.pay("c8", 9010.0)
        return any(one["metric"] == "rule" and one["rule"] == "large@1" and one["fired"] for one in figures)

    assert live.reader.wait(counted, 60)
    assert all(one["judging_us"] > 0 for one in figures if one["metric"] == "rules" and one["payments"])


def test_what_rules_do_is_counted_on_flinks_metrics_under_their_ids(live: Live) -> None:
    logs = "".join(log.read_text(errors="replace") for log in sorted((live.folder / "logs").glob("*.log")))
    rest = re.findall(r"Rest endpoint listening at (127\.0\.0\.1:\d+)", logs)[-1]

    def read(path: str) -> Any:
        with urllib.request.urlopen(f"http://{rest}{path}", timeout=10) as answer:
            return json.load(answer)

    def counters() -> dict[str, int]:
        """Return all counters of rules, without the subtask and the operator in front, summed."""
        (job,) = read("/jobs")["jobs"]
        found: Counter[str] = Counter()
        for vertex in read(f"/jobs/{job['id']}")["vertices"]:
            place = f"/jobs/{job['id']}/vertices/{vertex['id']}/metrics"
            names = [one["id"] for one in read(place) if re.search(r"\.rules?\.", one["id"])]
            asked = urllib.parse.quote(",".join(names))
            for one in read(f"{place}?get={asked}") if names else ():
                found[re.sub(r"^.*?\.(?=rules?\.)", "", one["id"])] += int(one["value"])
        return found

    def counted() -> bool:
        live.pay("c8", 9010.0)
        known = counters()
        return known.get("rule.large.fired", 0) > 0 and known.get("rules.judging_us", 0) > 0

    assert live.reader.wait(counted, 90), counters()
    known = counters()
    assert known["rules.evaluated"] >= known["rule.large.fired"]
    assert (known.get("rule.large.frauds"), known.get("rule.large.legits")) == (0, 0)


def test_nothing_failed(live: Live) -> None:
    assert failure_causes(live.folder / "logs") == []
    assert live.reader.values[live.pipeline.topics.dead_letters] == []
