"""Lists and snoozes on trial: who is marked when, and what that does to the figures."""

import json
from pathlib import Path

import pytest

from control_stream import Mark
from mitra.backtest.count import count
from mitra.backtest.marked import marked_payments
from mitra.backtest.trial import read_trial, with_lists
from mitra.control.replay import Replay, context_of
from mitra.control.topics import Record
from mitra.errors import MitraError
from mitra.pipeline import Pipeline, load_pipeline
from rules import ListDeclaration, Rule
from tests.factories.backtests import START_MS, Row, write_decisions
from tests.factories.control import NOW_MS, record

PIPELINE = """
name: shop
events:
  payment:
    id: id
    time: at
    fields: {id: string, at: time, customer: string, device: {type: string, required: false}, amount: number}
entities: {customer: customer, own_device: [customer, device]}
features: {amount: amount}
"""
FILE = """
lists:
- {name: mules, kind: block, by: customer, entries: mules.csv}
rules:
- {id: big, when: amount > 100, outcome: review}
snoozes:
- {rule: big, by: customer, key: c2, until: 2030-01-01T00:00:00Z}
"""


def quiet(*_: object) -> None:
    pass


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return load_pipeline(tmp_path / "pipeline.yaml")


@pytest.fixture
def payments(tmp_path: Path) -> Path:
    path = tmp_path / "payments.jsonl"
    lines = [
        {"id": f"p{number}", "at": START_MS + number, "customer": f"c{number % 3}", "device": "d" if number else None,
         "amount": 1.0}
        for number in range(6)
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_payments_are_marked_as_of_their_own_time(pipeline: Pipeline, payments: Path):
    marks = [
        Mark("list:mules", "customer", "c1", 1, None, START_MS + 3),
        Mark("list:pairs", "own_device", "c0\x1fd", 1),
        Mark("snooze:big", "customer", "c2", 1),
    ]
    found = marked_payments(pipeline, {pipeline.decided.name: [payments]}, marks, quiet)
    assert sorted(zip(*found.to_pydict().values(), strict=True)) == [
        ("p1", "list:mules"), ("p2", "snooze:big"), ("p3", "list:pairs"), ("p5", "snooze:big"),
    ]  # fmt: skip


def test_a_list_counts_as_a_rule_and_a_snoozed_rule_does_not_fire(tmp_path: Path, pipeline: Pipeline, payments: Path):
    rules = [Rule(id="big", when="amount > 100", outcome="review")]
    lists = [
        ListDeclaration(name="mules", kind="block", by="customer"),
        ListDeclaration(name="good", kind="allow", by="customer"),
        ListDeclaration(name="never", kind="block", by="customer", immutable=True),
    ]
    fired = {"p0": ("big",), "p1": ("big",), "p2": ("big",), "p4": ("big",)}
    rows = [
        Row(f"p{number}", 10.0, fired.get(f"p{number}", ()), ("big",) if number == 5 else ()) for number in range(6)
    ]
    write_decisions(tmp_path / "decisions.parquet", rows)
    marks = [
        Mark("list:mules", "customer", "c1", 1, None, START_MS + 3),  # p1
        Mark("list:good", "customer", "c0", 1),  # p0, p3
        Mark("list:never", "own_device", "c0\x1fd", 1),  # p3
        Mark("snooze:big", "customer", "c2", 1),  # p2, p5
        Mark("snooze:other", "customer", "c1", 1),
    ]
    marked = marked_payments(pipeline, {pipeline.decided.name: [payments]}, marks, quiet)
    figures = count(tmp_path / "decisions.parquet", rules, ["big"], tmp_path, money="worth", lists=lists, marked=marked)
    found = {one.rule.id: one for one in figures.rules}
    assert {name: one.caught.payments for name, one in found.items()} == {
        "big": 3, "list:mules": 1, "list:good": 2, "list:never": 1,
    }  # fmt: skip
    assert (found["big"].not_evaluated, found["big"].alone) == (0, 2)
    assert found["list:mules"].always_with == ("big",)
    # p0 is spared by the allow list, p3 caught by the immutable one all the same.
    assert (figures.together.payments, figures.together.money) == (3, 30.0)


def test_files_bring_lists_with_their_entries_and_live_ones_stand_beside_them(tmp_path: Path, pipeline: Pipeline):
    path = tmp_path / "rules.yaml"
    path.write_text(FILE)
    (tmp_path / "mules.csv").write_text("key,until\nc1,\n")
    context = context_of(pipeline)
    base = Replay(context)
    live = [record("list.put", name="old", kind="watch", by="customer")]
    live.append(record("list.add", name="old", entries=[{"key": "c9"}]))
    for offset, data in enumerate(live):
        assert base.take(Record(offset, NOW_MS, data)).became == "accepted"
    trial = with_lists(read_trial([path], context), [path], context)
    assert (trial.tested, trial.left_out) == (("big", "list:mules"), 0)
    assert sorted(mark.place for mark in trial.marks) == [
        ("list:mules", "customer", "c1"), ("snooze:big", "customer", "c2"),
    ]  # fmt: skip
    both = with_lists(read_trial([path], context, base.live), [path], context, base)
    assert [one.name for one in both.lists] == ["old", "mules"]
    assert len(both.marks) == 3
    assert len(base.marks) == 1


def test_what_would_be_refused_is_told(tmp_path: Path, pipeline: Pipeline):
    path = tmp_path / "rules.yaml"
    path.write_text(FILE.replace("rule: big", "rule: gone"))
    (tmp_path / "mules.csv").write_text("key,until\nc1,\n")
    with pytest.raises(MitraError, match='there is no rule "gone"'):
        with_lists(read_trial([path], context_of(pipeline)), [path], context_of(pipeline))
