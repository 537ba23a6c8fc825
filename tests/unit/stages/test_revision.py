"""Histories answer the union of several revisions; each message gets its own revision's columns."""

import numpy as np
import pytest

from control_stream.live_set import Delta, LiveSet
from mitra.blueprint import Blueprint
from mitra.history import MemoryStore
from mitra.messages import Marker, Revise
from mitra.pipeline import load_pipeline
from mitra.revision import Revision, Revisions, Selection
from rules import Rule

PIPELINE = """
name: small
events:
  payment: {id: id, time: time, fields: {id: string, time: time, customer: string, shop: string, amount: number}}
entities: {customer: customer, shop: shop}
features:
  busy: count(by=customer, over="1h")
  before: previous(shop, by=customer) == shop
"""


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory: pytest.TempPathFactory) -> Blueprint:
    path = tmp_path_factory.mktemp("revision") / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return Blueprint(load_pipeline(path))


def live(*whens: str, **features: str) -> LiveSet:
    rules = {f"r{n}": Rule(id=f"r{n}", version=1, when=when, outcome="block") for n, when in enumerate(whens)}
    return LiveSet(rules=rules, features=features)


def test_a_revision_asks_for_what_its_features_and_rules_read(blueprint: Blueprint) -> None:
    assert Revision(blueprint).rules is None
    revision = Revision(
        blueprint, 3, live('sum(amount, by=shop, over="2h") > 5', "wild > 2", wild='count(by=shop, over="1d")')
    )
    keys = [one.key for one in revision.aggregates]
    assert keys[:2] == [one.key for one in blueprint.compiled.aggregates]
    assert len(keys) == 4
    assert revision.fingerprint != Revision(blueprint).fingerprint


def test_what_no_longer_fits_the_pipeline_is_left_out_and_named(blueprint: Blueprint) -> None:
    revision = Revision(blueprint, 3, live("amount > 5", "gone > 5", lost="gone + 1", fine="amount * 2"))
    assert revision.rules is not None
    assert [signal.name for signal in revision.rules.signals] == ["amount"]
    assert revision.unfit == ["feature lost", "rule r1"]
    assert "fine" in revision.compiled.names


def test_a_selection_picks_a_revisions_columns_out_of_the_union(blueprint: Blueprint) -> None:
    old = Revision(blueprint, 1, live('count(by=shop, over="5m") > 1'))
    new = Revision(blueprint, 2, live('count(by=customer, over="9m") > 1', 'first(shop, by=customer) == "a"'))
    asked = {one.key: one for revision in (old, new) for one in revision.aggregates}
    wide = blueprint.plan_of(tuple(asked.values()))
    entities = np.array([0, 1, 0], np.uint8)
    values = np.full((3, wide.width), np.nan)
    texts: list[list[str | None]] = []
    for row, entity in enumerate(entities.tolist()):
        plan = wide.by_entity[entity]
        values[row, : len(plan.numeric)] = [hash(wide.aggregates[place].key) % 1000 for place in plan.numeric]
        texts.append([wide.aggregates[place].key for place in plan.texts])
    for revision in (old, new):
        selection = Selection(wide, revision.plan)
        assert not selection.same
        picked = selection.cells(values, entities, np.nan)
        assert picked.shape == (3, revision.plan.width)
        for row, entity in enumerate(entities.tolist()):
            own = revision.plan.by_entity[entity]
            expected = [hash(revision.plan.aggregates[place].key) % 1000 for place in own.numeric]
            assert picked[row, : len(expected)].tolist() == expected
            assert np.isnan(picked[row, len(expected) :]).all()
            assert selection.row(texts[row], entity) == [revision.plan.aggregates[place].key for place in own.texts]
    assert Selection(old.plan, old.plan).same


def put(number: int, base: int, when: str) -> Revise:
    rule = Rule(id=f"r{number}", version=1, when=when, outcome="block")
    return Revise(1, number, base, [Delta({rule.id: rule}, {}, {}, {rule.id: 1}).encode()], [])


def test_a_message_of_a_revision_that_is_gone_is_answered_by_the_next_one(blueprint: Blueprint) -> None:
    revisions, stores = Revisions(blueprint, 1), [MemoryStore(), MemoryStore()]
    for bucket, store in enumerate(stores):
        assert revisions.open(bucket, store)
        assert not revisions.open(bucket, store)
        # What one bucket has taught is known.
        assert revisions.prepare(bucket, put(4, 0, "amount > 1"), store) is (bucket == 0)
        assert revisions.prepare(bucket, put(7, 4, "amount > 2"), store) is (bucket == 0)
    assert revisions.mark(0, Marker(1, 4, 0), stores[0]) == (4, 1)
    assert [revision.number for revision in revisions.all()] == [0, 4, 7]
    assert revisions.mark(1, Marker(1, 4, 0), stores[1]) == (4, 1)
    assert (revisions.running(0), revisions.running(1)) == (4, 4)
    assert [revision.number for revision in revisions.all()] == [4, 7]
    assert (revisions.nearest(7).number, revisions.nearest(0).number, revisions.nearest(9).number) == (7, 4, 7)


def test_what_is_asked_for_anew_is_said_to_be_exact_from_a_date(blueprint: Blueprint) -> None:
    revisions, store = Revisions(blueprint, 1), MemoryStore()
    revisions.open(0, store)
    minute = 60_000
    asked = [
        'count(by=customer, over="1h") > 1',  # the pipeline's own
        'sum(amount, by=shop, over="2h") > 1',  # tiles hold all amounts
        "count(by=shop, last=5) > 1",
        'count(by=shop, over="2h", where=amount > 9) > 1',
        'distinct(shop, by=customer, over="3h", delay="1h") > 1',
        'sum(amount, by=shop, over="ever") > 1',
    ]
    revisions.prepare(0, put(1, 0, " and ".join(asked)), store)
    assert revisions.exact_from(0, 1, 1_000_000_000) == {
        "count(by=shop, over=2h, where=amount > 9)": 1_000_000_001 + 120 * minute,
        "distinct(shop, by=customer, over=3h, delay=1h)": 1_000_000_001 + 240 * minute,
        "sum(amount, by=shop, over=ever)": 1_000_000_001,
    }
    revisions.prepare(0, put(2, 1, " or ".join(asked)), store)
    assert revisions.exact_from(0, 2, 2_000_000_000) == {}
    assert revisions.exact_from(0, 99, 2_000_000_000) == {}
