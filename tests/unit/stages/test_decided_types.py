"""Payments and transfers are both decided, logins are not: through all stages, from bytes to decisions."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mitra.blueprint import Blueprint
from mitra.decode import Decoder, Event
from mitra.lineup import Scored
from mitra.pipeline import Pipeline, load_pipeline
from mitra.records import event_schema
from mitra.replay.inline import replay_inline
from mitra.replay.prepare import prepare
from mitra.replay.prepared import PreparedInput
from tests.factories.wired import WiredJob

PIPELINE = """
name: bank
events:
  payment:
    decided: true
    id: id
    time: at
    fields: {id: string, at: time, customer: string, shop: string, amount: number}
  login:
    decided: false
    id: id
    time: at
    fields: {id: string, at: time, customer: string, passed: boolean}
  transfer:
    decided: true
    id: id
    time: at
    fields: {id: string, at: time, customer: string, to_account: string, amount: number, memo: {type: string, required: false}}
entities: {customer: customer, shop: shop, payee: to_account}
labels: {id: id, label: is_fraud, known_at: known_at, absent_is: legit, after: 1h}
features:
  amount: amount
  what: event
  to: to_account
  where: shop
  both: count(by=customer, over="1d")
  decided: count(by=customer, over="1d", event=payment) + count(by=customer, over="1d", event=transfer)
  to_payee: sum(amount, by=payee, over="1d")
  judged: count(fraud, by=customer, over="7d")
  risk: mean(fraud, by=customer, over="7d")
job: {include_features: true}
"""
START = 1_700_000_000_000
MINUTE = 60_000
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("payment", {"id": "1", "at": START, "customer": "c", "shop": "s", "amount": 5.0, "to_account": "not mine", "event": "x"}),
    ("login", {"id": "1", "at": START + MINUTE, "customer": "c", "passed": True}),
    ("transfer", {"id": "2", "at": START + 2 * MINUTE, "customer": "c", "to_account": "a", "amount": 7.0}),
    ("transfer", {"id": "3", "at": START + 3 * MINUTE, "customer": "d", "to_account": "a", "amount": 9.0, "memo": "m"}),
    ("transfer", {"id": "1", "at": START + 4 * MINUTE, "customer": "c", "to_account": "a", "amount": 1.0}),
    ("payment", {"id": "4", "at": START + 90 * MINUTE, "customer": "c", "shop": "s", "amount": 2.0}),
]  # fmt: skip
FOUND = {
    "1": {"what": "payment", "to": None, "where": "s", "both": 1, "decided": 1, "to_payee": None, "judged": 0, "risk": None},
    "2": {"what": "transfer", "to": "a", "where": None, "both": 3, "decided": 2, "to_payee": 7, "judged": 0, "risk": None},
    "3": {"what": "transfer", "to": "a", "where": None, "both": 1, "decided": 1, "to_payee": 16, "judged": 0, "risk": None},
    # A payment and a transfer have fallen silent; of the login nobody says that it was legit.
    "4": {"what": "payment", "to": None, "where": "s", "both": 4, "decided": 3, "to_payee": None, "judged": 2, "risk": 0},
}  # fmt: skip


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return load_pipeline(path)


def test_live_each_gets_its_decision_with_the_fields_of_its_type(pipeline: Pipeline) -> None:
    job = WiredJob(pipeline)
    for name, event in EVENTS:
        known = pipeline.event(name)
        assert known is not None
        job.read(event["at"], [(known.topic, json.dumps(event).encode())])
    found = {row["transaction_id"]: {name: row[name] for name in FOUND["1"]} for row in job.logged}
    assert found == FOUND
    assert [row["transaction_id"] for row in job.logged] == ["1", "2", "3", "4"]


def test_replayed_the_same(pipeline: Pipeline, tmp_path: Path) -> None:
    files = {}
    for name in ("payment", "login", "transfer"):
        files[name] = tmp_path / f"{name}s.jsonl"
        files[name].write_text("".join(json.dumps(event) + "\n" for kind, event in EVENTS if kind == name))
    letters = tmp_path / "letters.jsonl"
    prepared = prepare(
        pipeline, [files["payment"]], tmp_path / "input", dead_letters=letters,
        events={name: [files[name]] for name in ("login", "transfer")},
    )  # fmt: skip
    assert (prepared.summary.transactions, prepared.summary.rejected, prepared.summary.other_events) == (5, 1, 1)
    (letter,) = [json.loads(line) for line in letters.read_text().splitlines()]
    assert (letter["reason"], letter["topic"]) == ("conflict", "bank.transfer")
    assert letter["message"].startswith("transfer id='1' was seen before")
    types = dict(Blueprint(pipeline).compiled.types)
    found = {}
    for decided in replay_inline(pipeline, tmp_path / "input"):
        assert decided.features is not None
        for decision, row in zip(decided.decisions, decided.rows, strict=True):
            values = decided.features.row(row, types)
            found[decision.transaction_id] = {name: values[name] for name in FOUND["1"]}
    assert found == FOUND


def test_a_conflict_between_types_names_the_topic_of_the_later_one(pipeline: Pipeline) -> None:
    job = WiredJob(pipeline)
    for name, event in (EVENTS[0], EVENTS[4]):
        known = pipeline.event(name)
        assert known is not None
        job.read(event["at"], [(known.topic, json.dumps(event).encode())])
    (letter,) = map(json.loads, job.letters)
    assert (letter["reason"], letter["topic"]) == ("conflict", "bank.transfer")
    assert json.loads(b64decode(letter["bytes"])) == {
        "id": "1", "at": START + 4 * MINUTE, "customer": "c", "to_account": "a", "amount": 1.0, "memo": None,
    }  # fmt: skip


@pytest.mark.parametrize("form", ["json", "row", "sequence"])
def test_fields_of_other_types_are_not_read(pipeline: Pipeline, form: str) -> None:
    payment = pipeline.decided_events[0]
    decoder = Decoder(payment, pipeline.limits)
    row = {"id": "1", "at": START, "customer": "c", "shop": "s", "amount": 5.0}
    more = {"to_account": "a", "memo": 7, "event": "transfer"}
    if form == "json":
        event = decoder.decode(json.dumps(row | more).encode(), None)
    else:
        event = decoder.convert(row | more if form == "row" else list(row.values()))
    assert isinstance(event, Event)
    assert event.values == ("1", START, "c", "s", 5.0, None, None, "payment")
    assert set(event_schema(payment)["properties"]) == set(row)


def test_ids_of_different_types_come_back_as_texts(pipeline: Pipeline, tmp_path: Path) -> None:
    numbers = {"id": [1], "at": [START], "customer": ["c"], "shop": ["s"], "amount": [5.0]}
    texts = {"id": ["t"], "at": [START], "customer": ["c"], "to_account": ["a"], "amount": [5.0]}
    for name, columns in (("payments", numbers), ("transfers", texts)):
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    prepared: PreparedInput = prepare(
        pipeline, [tmp_path / "payments.parquet"], tmp_path / "input", dead_letters=tmp_path / "letters.jsonl",
        events={"transfer": [tmp_path / "transfers.parquet"]},
    )  # fmt: skip
    assert prepared.decided_id_type(pipeline) == pa.string()
    assert prepared.id_type("payment") == pa.int64()


def test_scores_of_some_are_spread_over_all() -> None:
    some = Scored([0.1, 0.9], [0.2, 0.8], [0, 2], ["m", "m"], [[], []], {1: ["why"]}, [0])
    wide = some.spread([1, 3], 4)
    assert wide.scores == [None, 0.2, None, 0.8]
    assert (wide.outcomes, wide.deciding) == ([0, 0, 0, 2], [None, "m", None, "m"])
    assert (wide.reasons, wide.failed) == ({3: ["why"]}, [1])
