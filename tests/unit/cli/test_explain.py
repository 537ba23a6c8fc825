"""`mitra explain`: the page on one decision, found on topics in memory and in what a replay wrote."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mitra.control.kafka
import mitra.inquiry.topics
from mitra.cli import main
from mitra.control.replay import context_of
from mitra.pipeline import Pipeline, load_pipeline
from mitra.replay.table import own_columns
from tests.factories.control import record
from tests.factories.control_topics import MemoryTopics
from tests.factories.inquiries import START_MS, Kafka, Topic, decision
from tests.factories.models import tiny_model

ROOT = Path(__file__).parents[3]
HOUR_MS = 3_600_000
PIPELINE = """
name: shop
events:
  payment:
    topic: shop.payments
    id: id
    time: at
    fields: {id: string, at: time, customer_id: string, terminal_id: string, amount: number, country: string}
entities: {customer: customer_id, terminal: terminal_id}
features:
  usual_amount: mean(amount, by=customer, over="30d")
  payments_1h: count(by=customer, over="1h")
  night: hour(time) < 6
job: {include_features: true}
"""
RULES = [
    {"id": "much-too-much", "when": "amount > 5 * usual_amount and payments_1h >= 3", "outcome": "review",
     "reason": "{amount} is {round(amount / usual_amount, 1)} times the usual {usual_amount}"},
    {"id": "night-abroad", "when": 'night and country != "DE"', "outcome": "block"},
    {"id": "busy-terminal", "when": 'count(by=terminal, over="10m") > 20', "outcome": "review", "mode": "shadow"},
    {"id": "old-habits", "when": "amount > 1000 * usual_amount", "outcome": "review", "mode": "paused"},
]  # fmt: skip
FIRED = {"id": "much-too-much", "version": 1, "outcome": "review", "reason": "620 is 7.1 times the usual 87.5"}
MULES = {"id": "list:watched", "version": 0, "outcome": "review", "reason": "asked about by the police"}

Call = Callable[..., Any]


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE)
    return path


def payments() -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Give ten payments, those of c1 among them, with their features; the last is the one that is asked for."""
    for number in range(9):
        customer = "c2" if number % 3 == 2 else "c1"
        event = {"id": f"p{number}", "at": START_MS + number * HOUR_MS, "customer_id": customer, "terminal_id": "t1"}
        event |= {"amount": 20.0 + 10 * number, "country": "DE" if number else "FR"}
        yield event, {"usual_amount": 20.0 + 5 * number, "payments_1h": 1, "night": number == 3}
    event = {"id": "p9", "at": START_MS + 9 * HOUR_MS, "customer_id": "c1", "terminal_id": "t7", "amount": 620.0}
    yield event | {"country": "FR"}, {"usual_amount": 87.5, "payments_1h": 4, "night": False}


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch, pipeline: Path) -> Kafka:
    control = MemoryTopics(context_of(load_pipeline(pipeline)), lanes=1, buckets=2)
    put = [record("rule.put", rule=one, reason="fraud wave of 3 May") for one in RULES]
    watched = {"name": "watched", "kind": "watch", "by": "customer", "reason": MULES["reason"]}
    more = [record("list.put", **watched), record("list.add", name="watched", entries=[{"key": "c1"}, {"key": "c8"}])]
    snooze = record("snooze", rule="night-abroad", by="terminal", key="t7", until=START_MS + 90 * HOUR_MS)
    later = record("rule.retire", rule="much-too-much")
    control.append([*put, *more, snooze, later])

    @contextmanager
    def opened(_: Pipeline) -> Iterator[MemoryTopics]:
        yield control

    monkeypatch.setattr(mitra.control.kafka, "open_topics", opened)
    topics = Kafka({"shop.payments": Topic(), "shop.decisions": Topic()})
    for event, features in payments():
        at = event["at"] + 1_000
        topics.topics["shop.payments"].add(at, event["customer_id"], event)
        last = event["id"] == "p9"
        said = {"outcome": "review", "rules": [MULES, FIRED], "revision": 7} if last else {}
        said |= {"event_time": event["at"], "decided_at": at + 6, "features": features}
        topics.topics["shop.decisions"].add(at + 7, event["id"], decision(event["id"], **said))
    monkeypatch.setattr(mitra.inquiry.topics, "open_topic", topics.open_topic)
    return topics


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], pipeline: Path) -> Call:
    def called(*words: str) -> Any:
        status = main(["explain", str(pipeline), *words])
        captured = capsys.readouterr()
        if "--json" in words:
            return status, json.loads(captured.out)
        return status, captured.out, captured.err

    return called


def test_the_page_shows_what_is_printed(call: Call, kafka: Kafka):
    status, printed, _ = call("p9")
    assert status == 0
    assert f"```\n{printed}```\n" in (ROOT / "docs" / "rules.md").read_text(encoding="utf-8"), printed


def test_json_has_all_of_it(call: Call, kafka: Kafka):
    status, found = call("p9", "--json")
    assert status == 0
    assert (found["decision"]["outcome"], found["decided_by"], found["again"]) == ("review", ["rules"], 0)
    assert found["made"]["change"] == "snooze"
    rules = {one["rule"]: one for one in found["rules"]}
    assert {name: one["said"] for name, one in rules.items()} == {
        "much-too-much": "fires", "night-abroad": "not asked", "busy-terminal": "false", "old-habits": "not asked",
    }  # fmt: skip
    assert rules["much-too-much"]["values"] == {"amount": "620", "usual_amount": "87.5", "payments_1h": "4"}
    assert rules["much-too-much"]["made"]["revision"] == 1
    assert rules["much-too-much"]["otherwise"] == ""
    assert rules["busy-terminal"]["unknown"] == ["count(by=terminal, over=10m)"]
    assert found["lists"] == [
        {"name": "watched", "outcome": "review", "reason": MULES["reason"], "entries": ["customer c1"]}
    ]
    assert (found["compared"]["entity"], found["compared"]["key"], found["compared"]["payments"]) == (
        "customer",
        "c1",
        6,
    )
    fields = {one["name"]: one for one in found["fields"]}
    assert (fields["amount"]["value"], fields["amount"]["usual"]["median"]) == (620.0, 55.0)
    assert (fields["country"]["usual"]["most_frequent"], fields["country"]["usual"]["times"]) == ("DE", 5)
    features = {one["name"]: one for one in found["features"]}
    assert (features["usual_amount"]["usual"]["least"], features["usual_amount"]["usual"]["count"]) == (20.0, 6)


def test_another_entity_can_be_compared_with(call: Call, kafka: Kafka):
    _, found = call("p8", "--by", "terminal", "--json")
    assert (found["compared"]["entity"], found["compared"]["payments"]) == ("terminal", 8)
    status, _, told = call("p8", "--by", "device")
    assert (status, "--by=device is no entity" in told) == (1, True)


def test_an_unknown_id_is_told_with_how_far_was_looked(call: Call, kafka: Kafka):
    status, printed, told = call("p99")
    assert (status, printed) == (1, "")
    assert told == (
        "mitra explain: no decision on p99 in all 10 records of shop.decisions, back to 2023-11-14T22:13:21.007Z; "
        "what could not be decided is on shop.dead_letters\n"
    )
    status, _, told = call("p0", "--since", "2023-11-15T00:00:00Z")
    assert "the newest 8 records of shop.decisions, back to 2023-11-15T00:13:21.007Z; --since=7d looks further" in told


def test_a_decision_that_came_again_is_told_with_its_first_version(call: Call, kafka: Kafka):
    again = {"event_time": START_MS + 9 * HOUR_MS, "decided_at": START_MS + 9 * HOUR_MS + 1_006, "duplicate": True}
    kafka.topics["shop.decisions"].add(START_MS + 20 * HOUR_MS, "p9", decision("p9", latency_ms=1.0, **again))
    _, found = call("p9", "--json")
    assert (found["again"], found["decision"]["duplicate"], found["decision"]["latency_ms"]) == (1, False, 5.0)


def test_without_features_and_payment_it_says_what_is_not_known(call: Call, kafka: Kafka):
    topic = kafka.topics["shop.decisions"]
    bare = decision("bare", event_time=START_MS, decided_at=START_MS + 50, revision=2)
    topic.add(START_MS + 30 * HOUR_MS, "bare", bare)
    status, printed, _ = call("bare")
    assert status == 0
    assert "the payment itself wasn't found" in printed
    assert "the decision carries no features" in printed
    assert "features whose values aren't known: usual_amount, payments_1h" in printed
    assert "night" in printed.split("features whose")[0]  # of the time alone


def test_scheduled_changes_are_told_with_who_wanted_them(
    call: Call, kafka: Kafka, pipeline: Path, monkeypatch: pytest.MonkeyPatch
):
    control = MemoryTopics(context_of(load_pipeline(pipeline)), lanes=1, buckets=2)
    put = json.loads(record("rule.put", rule=RULES[1], reason="from Friday on"))
    put |= {"effective_at": 1_700_000_000_001}
    effect = {"change": "take_effect", "of": put["id"], "id": f"take-effect:{put['id']}", "author": "govern"}
    control.append([json.dumps(put).encode(), json.dumps(effect).encode()])
    monkeypatch.setattr(mitra.control.kafka, "open_topics", lambda _: nullcontext(control))
    kafka.topics["shop.decisions"].add(START_MS + 30 * HOUR_MS, "s", decision("s", revision=2, decided_at=START_MS))
    _, found = call("s", "--json")
    assert (found["made"]["author"], found["made"]["why"]) == ("ann", "from Friday on")
    assert found["rules"][0]["made"]["change"] == "rule.put"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--since", "soon"], "--since=soon is no time"),
        (["--rules", "a.yaml"], "--transactions, --events and --rules go with --on"),
        (["--on", "gone"], "the folder gone has no decisions.parquet"),
        (["--on", "gone", "--since", "7d"], "--since goes with topics"),
    ],
)
def test_what_is_wrong_with_the_call_is_told(call: Call, more: list[str], told: str):
    status, _, error = call("p1", *more)
    assert status == 1
    assert told in error


@pytest.fixture
def replay(tmp_path: Path, pipeline: Path) -> Path:
    """What a replay of the payments wrote, with a model; beside it the payments, the rules and the model."""
    folder = tmp_path / "replay"
    folder.mkdir()
    model = tiny_model(tmp_path, ["payments_1h", "usual_amount"])
    rows, lines = [], []
    for event, features in payments():
        assert features is not None
        x = [[features["payments_1h"], features["usual_amount"]]]
        raw = float(model.raw_scores(np.array(x, dtype=np.float32))[0])
        last = event["id"] == "p9"
        rows.append(
            {"transaction_id": event["id"], "event_time": event["at"], "outcome": "review" if last else "allow",
             "score": raw, "raw_score": raw, "model": "tiny@1", "revision": 0, "late": False, "duplicate": False,
             "degraded": [], "approximate": [], "rules": ["much-too-much"] if last else [], "shadow": [],
             "not_evaluated": ["busy-terminal"] if last else [], **features}
        )  # fmt: skip
        lines.append(json.dumps(event))
    own = own_columns(pa.string())
    kinds = [("usual_amount", pa.float64()), ("payments_1h", pa.int64()), ("night", pa.bool_())]
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([*own, *kinds])), folder / "decisions.parquet")
    (tmp_path / "payments.jsonl").write_text("\n".join(lines))
    (tmp_path / "rules.yaml").write_text(json.dumps({"rules": RULES[:3]}))
    return folder


def test_a_replays_decision_is_explained_from_its_files(call: Call, replay: Path, tmp_path: Path):
    files = ["--transactions", str(tmp_path / "payments.jsonl"), "--rules", str(tmp_path / "rules.yaml")]
    status, found = call("p9", "--on", str(replay), *files, "--model", str(tmp_path / "tiny-1"), "--json")
    assert status == 0
    rules = {one["rule"]: one for one in found["rules"]}
    assert rules["much-too-much"]["why"] == "620 is 7.1 times the usual 87.5"
    assert rules["busy-terminal"]["said"] == "can't be decided"
    assert rules["night-abroad"]["why"] == "not night"
    assert found["compared"]["payments"] == 6
    assert {one["name"]: one["value"] for one in found["features"]} == {
        "usual_amount": 87.5, "payments_1h": 4, "night": False,
    }  # fmt: skip
    assert found["thresholds"] == {"review": 0.5, "block": 0.9}
    assert {one["feature"] for one in found["contributions"]} <= {"usual_amount", "payments_1h"}
    assert found["notes"] == []
    if found["model_outcome"] == "allow":
        assert found["decided_by"] == ["rules"]


def test_a_replays_decision_alone_says_what_would_tell_more(call: Call, replay: Path):
    status, printed, _ = call("p9", "--on", str(replay))
    assert status == 0
    assert "by whom isn't known" in printed
    assert "rule much-too-much fires" in printed
    assert "--rules=FILE names their files" in printed
    assert "with --transactions=FILE" in printed
    assert "tiny@1 scored, and the pipeline names no model: --model=DIR names one" in printed
    status, _, told = call("p99", "--on", str(replay))
    assert (status, "no decision on p99 in all rows of" in told) == (1, True)
