"""Batches that lie between route and history while the job is upgraded are read by name, whatever their numbers were."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mitra.form import Form, UnknownFormError
from mitra.history import MemoryStore
from mitra.lane import Lane
from mitra.messages import EventBatch
from mitra.pipeline import Pipeline, load_pipeline
from mitra.reports import Outcome
from tests.factories.stages import ENTITIES, LAYOUT, LOGIN, PAYMENT, payment, router, sources
from tests.factories.wired import WiredJob

START_MS = 1_780_000_000_000
JUDGED = 3
"""So many payments before."""
PIPELINE = """
name: upgraded
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
    fields: {id: string, at: time, customer: string, device: string, tries: integer}
entities: {customer: customer, shop: shop}
labels: {id: id, label: fraud}
profiles:
  account:
    by: customer
    fields: {account_age_days: integer, segment: string}
features:
  amount: amount
  shop: shop
  age: profile("account_age_days", by=customer)
  segment: profile("segment", by=customer)
  tries: sum(tries, by=customer, over="1d", event=login)
  device: previous(device, by=customer, event=login)
  count: count(by=customer, over="1d", event=payment)
  frauds: sum(fraud, by=customer, over="1d")
  at_shop: sum(amount, by=shop, over="1d")
job: {include_features: true, buckets: 2, lanes: 1}
"""
RESET = "\n  reset: {decided: false, id: id, time: at, fields: {id: string, at: time, customer: string, code: integer, way: string}}"
CHANGES: dict[str, Callable[[str], str]] = {
    "nothing": lambda text: text,
    "a type before the profiles": lambda text: text.replace("\nentities:", RESET + "\nentities:"),
    "a profile before another": lambda text: text.replace(
        "\n  account:", "\n  rush:\n    by: shop\n    fields: {usual_orders: number}\n  account:"
    ),
    "fields before others": lambda text: text.replace(
        "customer: string, shop: string",
        "fee: {type: number, required: false}, way: {type: string, required: false}, customer: string, shop: string",
    ),
    "an entity before others": lambda text: text.replace("entities: {", "entities: {machine: device, "),
    "a type less": lambda text: (
        text.partition("  login:")[0] + "entities:" + text.partition("\nentities:")[2]
    ).replace('  tries: sum(tries, by=customer, over="1d", event=login)\n', "").replace(
        "  device: previous(device, by=customer, event=login)\n", ""
    ),
    "an entity less": lambda text: text.replace(", shop: shop}", "}").replace(
        '  at_shop: sum(amount, by=shop, over="1d")\n', ""
    ),
}  # fmt: skip


def loaded(folder: Path, text: str) -> Pipeline:
    path = folder / "pipeline.yaml"
    path.write_text(text, encoding="utf-8")
    return load_pipeline(path)


def events(first: int, count: int) -> list[tuple[str, bytes]]:
    """Return payments, and before each a login and a profile of its customer, and how one was judged that came before."""
    made: list[tuple[str, dict[str, Any]]] = []
    for number in range(first, first + count):
        at, customer = START_MS + 1_000 * number, f"c{number % 3}"
        made += [
            ("account", {"customer": customer, "as_of": at, "account_age_days": number, "segment": f"s{number}"}),
            ("login", {"id": f"l{number}", "at": at + 1, "customer": customer, "device": f"d{number}", "tries": number}),
            ("payment", {"id": f"p{number}", "at": at + 2, "customer": customer, "shop": f"m{number % 2}", "amount": 1.5 * number}),
        ]  # fmt: skip
        if number >= JUDGED:
            past = number - JUDGED
            entities = {"customer": f"c{past % 3}", "shop": f"m{past % 2}"}
            judged = Outcome(
                f"p{past}", 1.0, at, 1, "", at - 1_000 * JUDGED + 2, "allow", None, None, None, 0, entities
            )
            made.append(("outcomes", msgspec.to_builtins(judged)))
    return [(f"upgraded.{name}", json.dumps(event).encode()) for name, event in made]


def served(job: WiredJob, names: set[str]) -> dict[str, Any]:
    """Return the features that were served of each payment, of those that both jobs have."""
    found = {}
    for one in job.decisions:
        assert one.degraded == []
        assert one.features is not None
        found[one.transaction_id] = {name: value for name, value in dict(one.features).items() if name in names}
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_under_way_over_an_upgrade_is_answered_as_if_it_had_come_before(tmp_path: Path, change: str) -> None:
    before = loaded(tmp_path, PIPELINE)
    after = loaded(tmp_path, CHANGES[change](PIPELINE))
    common = set(before.features) & set(after.features)
    now_ms = START_MS + 1_000_000
    whole, stopped = WiredJob(before), WiredJob(before)
    for job in (whole, stopped):
        job.read(now_ms, events(0, 4))
    under_way = events(4, 6)
    whole.read(now_ms + 1, under_way)
    upgraded = [whole.upgraded(after, now_ms + 2), stopped.upgraded(after, now_ms + 1, under_way)]
    assert served(upgraded[0], common) == {}
    of_those = [served(one, common) for one in (whole, upgraded[1])]
    assert of_those[1] == {f"p{number}": of_those[0][f"p{number}"] for number in range(4, 10)}
    known = {event.topic for event in after.events} | {after.topics.outcomes}
    for job in upgraded:
        job.decisions.clear()
        job.read(now_ms + 3, [one for one in events(10, 5) if one[0] in known])
    later = [served(one, set(after.features)) for one in upgraded]
    assert len(later[0]) == 5
    assert any(features["frauds"] for features in later[0].values())
    assert later[1] == later[0]
    assert not [letter for job in upgraded for letter in job.letters]


def batch() -> EventBatch:
    [(_, made)] = router(1).route(Lane(0), [payment("a", customer="c", amount=3.0)], sources(1), 0.0, 0)
    return made


def test_a_form_that_nobody_described_is_refused_and_todays_costs_nothing() -> None:
    made = batch()
    now = Form.of((PAYMENT, LOGIN), ENTITIES, LAYOUT)
    assert made.form == now.fingerprint
    assert now.read(made, MemoryStore()) is made
    other = Form.of((PAYMENT,), ENTITIES, LAYOUT.of([PAYMENT]))
    assert other.fingerprint != now.fingerprint
    store = MemoryStore()
    with pytest.raises(UnknownFormError, match=f"form={made.form}, which its bucket has no description of"):
        other.read(made, store)
    now.keep(store)
    assert other.read(made, store).form == other.fingerprint
