"""How far back an id is known: for its decision, and in each history for itself. docs/messages.md says so."""

import json
from pathlib import Path

import pytest

from mitra.blueprint import Blueprint
from mitra.pipeline import Pipeline, load_pipeline
from mitra.replay.inline import inline_pipeline, replay_inline
from mitra.replay.prepare import prepare
from tests.factories.wired import WiredJob

PIPELINE = """
name: shop
events:
  payment:
    id: id
    time: at
    fields: {id: string, at: time, customer: string, terminal: string, amount: number}
entities: {customer: customer, terminal: terminal}
labels: {id: id, label: fraud, known_at: known_at}
features:
  mine: count(by=customer, over="ever")
  there: count(by=terminal, over="ever")
  frauds: sum(fraud, by=terminal, over="30d")
history: {raw_events: 64}
"""
AT_MS = 1_700_000_000_000
SURE = 56


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return load_pipeline(path)


@pytest.fixture
def job(pipeline: Pipeline) -> WiredJob:
    return WiredJob(pipeline)


def payment(id: str, second: int, customer: str, terminal: str, amount: float = 1.0) -> dict[str, object]:
    return {"id": id, "at": AT_MS + 1000 * second, "customer": customer, "terminal": terminal, "amount": amount}


def pay(job: WiredJob, one: dict[str, object]) -> None:
    topic = job.blueprint.pipeline.decided.topic
    job.read(AT_MS + 3_600_000, [(topic, json.dumps(one).encode())])


@pytest.mark.parametrize(("newer", "counted"), [(SURE - 1, 0), (10 * SURE, 1)])
def test_a_duplicate_gets_the_first_decision_and_counts_once_behind_fewer_newer_events(
    job: WiredJob, pipeline: Pipeline, newer: int, counted: int
) -> None:
    assert pipeline.history.sure_events == SURE
    for number in range(200):
        pay(job, payment(f"before{number}", 0, f"c{number}", "busy"))
    first = payment("twice", 1, "one", "busy")
    pay(job, first)
    for number in range(newer):
        pay(job, payment(f"after{number}", 2 + number, f"d{number}", "busy"))
    for _ in range(3):
        pay(job, first)
    told = [one for one in job.decisions if one.transaction_id == "twice"]
    assert [one.duplicate for one in told] == [False, True, True, True]
    assert {one.decided_at for one in told} == {told[0].decided_at}
    pay(job, payment("last", 900, "one", "busy"))
    # The customer has two payments whatever happens; the busy terminal may count the duplicate once more, but only once.
    assert job.logged[-1]["mine"] == 2
    assert job.logged[-1]["there"] == 200 + 1 + newer + 1 + counted
    assert job.letters == []


def test_refused_content_counts_once_where_only_it_leads_and_nowhere_in_a_replay(
    job: WiredJob, pipeline: Pipeline, tmp_path: Path
) -> None:
    good, other = payment("id", 0, "one", "first"), payment("id", 1, "one", "other", 2.0)
    for one in (good, other, other, {**other, "amount": 3.0}):
        pay(job, one)
    letters = [json.loads(letter) for letter in job.letters]
    assert [letter["reason"] for letter in letters] == ["conflict"] * 3
    assert [(one.transaction_id, one.duplicate) for one in job.decisions] == [("id", False)]
    assert pipeline.labels is not None
    label = {"id": "id", "fraud": 1, "known_at": AT_MS + 1}
    job.read(AT_MS + 3_600_000, [(pipeline.labels.topic, json.dumps(label).encode())])
    asked = [payment("a", 10, "one", "first"), payment("b", 11, "two", "other")]
    for one in asked:
        pay(job, one)
    live = [(row["mine"], row["there"], row["frauds"]) for row in job.logged[-2:]]
    assert live == [(2, 2, 1), (1, 2, 0)]

    lines, labels = tmp_path / "payments.jsonl", tmp_path / "labels.jsonl"
    lines.write_text("".join(json.dumps(one) + "\n" for one in (good, other, *asked)))
    labels.write_text(json.dumps(label) + "\n")
    prepare(pipeline, [lines], tmp_path / "input", dead_letters=tmp_path / "letters.jsonl", labels=[labels])
    (letter,) = map(json.loads, (tmp_path / "letters.jsonl").read_text().splitlines())
    assert letter["reason"] == "conflict"
    types = Blueprint(inline_pipeline(pipeline)).compiled.types
    again = [
        one.features.row(row, dict(types))
        for one in replay_inline(pipeline, tmp_path / "input")
        if one.features is not None
        for row in one.rows
    ]
    assert [(row["mine"], row["there"], row["frauds"]) for row in again[-2:]] == [(2, 2, 1), (1, 1, 0)]
