"""Profiles: facts as of a payment's time, the same live, in a replay and in a notebook; what counts events passes them over."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import mitra
from mitra.errors import ProblemsError
from mitra.pipeline import Pipeline, load_pipeline
from tests.factories.wired import WiredJob

DAY_MS = 86_400_000
START_MS = 1_780_000_000_000
PIPELINE = """
name: profiled
events:
  payment:
    decided: true
    id: id
    time: at
    fields: {id: string, at: time, customer_id: string, store_id: string, slot: integer, amount: number}
  login: {decided: false, id: id, time: at, fields: {id: string, at: time, customer_id: string}}
entities: {customer: customer_id, store: store_id, shift: [store_id, slot]}
PROFILES
features: FEATURES
job: {include_features: true, buckets: 2, lanes: 1}
"""
PROFILES = """
profiles:
  account:
    by: customer
    max_age: 30d
    fields: {account_age_days: integer, segment: string, kyc: boolean}
  rush:
    by: shift
    max_age: 7d
    fields: {usual_orders: number}
"""
FEATURES = """
  age: profile("account_age_days", by=customer)
  fresh_age: profile("account_age_days", by=customer, max_age="1d")
  segment: profile("segment", by=customer)
  kyc: profile("kyc", by=customer)
  usual: profile("usual_orders", by=shift)
  young: default(profile("account_age_days", by=customer) < 7, False)
  count: count(by=customer, over="30d")
  newest: seconds_since(by=customer)
  store_count: count(by=store, over="ever")
"""


def pipeline(folder: Path, features: str = FEATURES, profiles: str = PROFILES) -> Pipeline:
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE.replace("PROFILES", profiles).replace("features: FEATURES", f"features:{features}"))
    return load_pipeline(path)


@pytest.fixture
def profiled(tmp_path: Path) -> Pipeline:
    return pipeline(tmp_path)


def pay(number: int, at_ms: int, customer: str = "c1", slot: int = 12) -> dict[str, Any]:
    return {"id": f"t{number}", "at": at_ms, "customer_id": customer, "store_id": "s1", "slot": slot, "amount": 10.0}


def served(job: WiredJob) -> dict[str, dict[str, Any]]:
    return {str(one.transaction_id): dict(one.features) for one in job.decisions if not one.duplicate}  # type: ignore[arg-type]


ACCOUNTS = [
    {"customer_id": "c1", "as_of": START_MS, "account_age_days": 5, "segment": "new", "kyc": True},
    {"customer_id": "c1", "as_of": START_MS + 10 * DAY_MS, "account_age_days": 15, "segment": None},
    {"customer_id": "c2", "as_of": START_MS + DAY_MS, "account_age_days": 900, "segment": "gold", "kyc": False},
]
RUSH = [
    {"store_id": "s1", "slot": 12, "as_of": START_MS, "usual_orders": 40.5},
    {"store_id": "s1", "slot": 20, "as_of": START_MS, "usual_orders": 90.0},
]
PAYMENTS = [
    pay(0, START_MS - 1),
    pay(1, START_MS + 1_000),
    pay(2, START_MS + 2 * DAY_MS, slot=20),
    pay(3, START_MS + 2 * DAY_MS + 5, "c2", slot=7),
    pay(4, START_MS + 10 * DAY_MS + 1),
    pay(5, START_MS + 40 * DAY_MS - 1),
    pay(6, START_MS + 40 * DAY_MS),
]


def lived(pipeline: Pipeline) -> WiredJob:
    """Return the job behind all messages, in the order of their times."""
    job = WiredJob(pipeline)
    topics = {event.name: event.topic for event in pipeline.events}
    messages = [(one["at"], topics["payment"], one) for one in PAYMENTS]
    messages += [(one["as_of"], topics["account"], one) for one in ACCOUNTS]
    messages += [(one["as_of"], topics["rush"], one) for one in RUSH]
    for at_ms, topic, message in sorted(messages, key=lambda one: one[0]):
        job.read(at_ms + 5, [(topic, json.dumps(message).encode())])
    return job


def test_a_fact_is_that_of_the_newest_message_until_it_is_too_old(profiled: Pipeline) -> None:
    job = lived(profiled)
    assert job.letters == []
    found = served(job)
    assert [found[f"t{number}"]["age"] for number in range(7)] == [None, 5, 5, 900, 15, 15, None]
    assert [found[f"t{number}"]["fresh_age"] for number in range(7)] == [None, 5, None, None, 15, None, None]
    # A message stands for the whole profile: what it doesn't say is missing.
    assert [found[f"t{number}"]["segment"] for number in range(7)] == [None, "new", "new", "gold", None, None, None]
    assert [found[f"t{number}"]["kyc"] for number in range(7)] == [None, True, True, False, None, None, None]
    assert [found[f"t{number}"]["usual"] for number in range(7)] == [None, 40.5, 90.0, None, None, None, None]
    assert [found[f"t{number}"]["young"] for number in range(3)] == [False, True, True]


def test_what_counts_events_passes_profiles_over(profiled: Pipeline) -> None:
    found = served(lived(profiled))
    assert [found[f"t{number}"]["count"] for number in range(5)] == [1, 2, 3, 1, 4]
    assert found["t1"]["newest"] == pytest.approx(1.001)
    assert [found[f"t{number}"]["store_count"] for number in range(7)] == [1, 2, 3, 4, 5, 6, 7]


def test_a_notebook_computes_what_was_served(profiled: Pipeline) -> None:
    tables = {"account": pa.Table.from_pylist(ACCOUNTS), "rush": pa.Table.from_pylist(RUSH)}
    found = mitra.features(profiled, pa.Table.from_pylist(PAYMENTS), others=tables)
    live = served(lived(profiled))
    for row in found.to_pylist():
        assert {name: row[name] for name in profiled.features} == live[row["transaction_id"]]


def test_a_fact_outlives_thousands_of_events(tmp_path: Path) -> None:
    small = pipeline(tmp_path, profiles="history: {raw_events: 16}" + PROFILES)
    payments = [pay(number, START_MS + 1_000 * (number + 1)) for number in range(200)]
    tables = {"account": pa.Table.from_pylist(ACCOUNTS[:1])}
    found = mitra.features(small, pa.Table.from_pylist(payments), others=tables)
    assert found.column("age").to_pylist() == [5] * 200
    assert found.column("segment").to_pylist() == ["new"] * 200


def test_a_message_that_is_sent_again_is_the_same_update(profiled: Pipeline) -> None:
    job = lived(profiled)
    topic = next(event.topic for event in profiled.events if event.name == "account")
    job.read(START_MS + 41 * DAY_MS, [(topic, json.dumps(ACCOUNTS[1]).encode())])
    job.read(START_MS + 41 * DAY_MS, [("profiled.payment", json.dumps(pay(9, START_MS + 41 * DAY_MS)).encode())])
    assert (job.letters, served(job)["t9"]["age"]) == ([], None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('profile("age", by=customer)', "no profile of customer has age"),
        ('profile("usual_orders", by=customer)', "it is kept by=shift"),
        ("profile(segment, by=customer)", "profile wants the name of a fact, in quotes"),
        ('profile("segment")', "profile needs by="),
        ('profile("segment", by=customer, over="1d")', "profile has no option over"),
        ('profile("segment", by=customer, max_age=3)', "behind max_age= stands a length of time"),
        ('profile("segment", by=customer, max_age="400d")', "history.max_window"),
        ('count(by=customer, over="1d", where=profile("segment", by=customer) == "x")', "an aggregate can't stand inside another"),
    ],
)  # fmt: skip
def test_what_can_t_be_asked_is_told(tmp_path: Path, text: str, said: str) -> None:
    from mitra.pipeline_expressions import compile_checked  # noqa: PLC0415

    found = pipeline(tmp_path, features=f"\n  wrong: {json.dumps(text)}\n")
    _, problems = compile_checked(found)
    assert said in "\n".join(f"{one.message} {one.hint}" for one in problems)


def test_everything_wrong_with_profiles_is_told_at_once(tmp_path: Path) -> None:
    profiles = """
profiles:
  account: {by: custmer, fields: {segment: string}}
  login: {by: customer, fields: {kyc: boolean}}
  odd: {by: store, topic: profiled.payment, max_age: 400d, fields: {store_id: string, as_of: integer, amount: string}}
  empty: {by: store}
"""
    with pytest.raises(ProblemsError) as raised:
        pipeline(tmp_path, features=" {}", profiles=profiles)
    told = {problem.path: problem.message for problem in raised.value.problems}
    assert set(told) >= {
        "profiles.account.by", "profiles.login", "profiles.odd.topic", "profiles.odd.max_age", "profiles.odd.fields.store_id",
        "profiles.odd.fields.as_of", "profiles.odd.fields.amount", "profiles.empty.fields",
    }, told  # fmt: skip
