"""Histories answer the union of several revisions; each message gets its own revision's columns."""

import numpy as np
import pytest

from control_stream.live_set import LiveSet
from mitra.blueprint import Blueprint
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


def test_a_message_of_a_revision_that_is_gone_is_answered_by_the_next_one(blueprint: Blueprint) -> None:
    revisions = Revisions(blueprint)
    assert revisions.learn({0: LiveSet(), 4: live("amount > 1"), 7: live("amount > 2")})
    assert not revisions.learn({4: live("amount > 1")})
    revisions.forget({4, 7})
    assert [revision.number for revision in revisions.all()] == [4, 7]
    assert (revisions.nearest(7).number, revisions.nearest(0).number, revisions.nearest(9).number) == (7, 4, 7)
