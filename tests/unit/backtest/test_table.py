"""Rules judged over a replay's table, against the judge over the same values; and what a table can't answer."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mitra.backtest.run import Payments, replayed_folder, run_on_table
from mitra.backtest.table import judge_table
from mitra.backtest.trial import read_trial, with_money
from mitra.control.replay import context_of
from mitra.errors import MitraError
from mitra.pipeline import Pipeline, load_pipeline

PIPELINE = """
name: shop
events:
  payment:
    id: id
    time: at
    fields: {id: string, at: time, customer_id: string, amount: number, country: string}
entities: {customer: customer_id}
features:
  amount: amount
  usual: mean(amount, by=customer, over="30d")
  count_1h: count(by=customer, over="1h")
  risk: default(mean(amount, by=customer, over="7d"), 0)
  night: hour(time) < 6
"""
RULES = """
features: {much: amount > 3 * usual}
rules:
- {id: big, when: amount > 100 and night, outcome: block}
- {id: much, when: much and hour(time) < 12, outcome: review, mode: shadow}
- {id: many, when: 'count(by=customer, over="60m") >= 3', outcome: review}
- {id: never, when: amount < 0, outcome: review}
"""
START_MS = 1_700_000_000_000


def quiet(*_: object) -> None:
    pass


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return load_pipeline(tmp_path / "pipeline.yaml")


def rows(seed: int, count: int = 500) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        {
            "transaction_id": f"p{number}",
            "event_time": START_MS + number * 600_000,
            "duplicate": number % 50 == 49,
            "amount": chance.choice([10.0, 120.0, 500.0]),
            "usual": chance.choice([None, 20.0, 60.0]),
            "count_1h": chance.randrange(5),
            "risk": 0.0,
            "night": (START_MS + number * 600_000) // 3_600_000 % 24 < 6,
            "much": False,  # of another trial: it must not be read
        }
        for number in range(count)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "replay"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows(1)), folder / "decisions.parquet")
    return folder


def trial_of(pipeline: Pipeline, folder: Path, text: str = RULES, *, money: str | None = "amount") -> Any:
    path = folder / "rules.yaml"
    path.write_text(text)
    trial = read_trial([path], context_of(pipeline))
    return trial if money is None else with_money(trial, context_of(pipeline), money)


def test_rules_say_of_each_payment_what_a_plain_reading_of_them_does(pipeline: Pipeline, folder: Path, tmp_path: Path):
    trial = trial_of(pipeline, folder)
    output = tmp_path / "judged.parquet"
    assert judge_table(pipeline, folder / "decisions.parquet", trial, output, quiet) == 490
    judged = {row["transaction_id"]: row for row in pq.read_table(output).to_pylist()}
    firsts = [row for row in rows(1) if not row["duplicate"]]
    assert list(judged) == [row["transaction_id"] for row in firsts]
    for row in firsts:
        found, hour = judged[row["transaction_id"]], row["event_time"] // 3_600_000 % 24
        assert ("big" in found["rules"]) == (row["amount"] > 100 and hour < 6)
        assert ("many" in found["rules"]) == (row["count_1h"] >= 3)
        much = None if row["usual"] is None else row["amount"] > 3 * row["usual"]
        assert ("much" in found["shadow"]) == (much is True and hour < 12)
        assert ("much" in found["not_evaluated"]) == (much is None and hour < 12)
        assert found[trial.money] == row["amount"]


def test_figures_come_of_it_as_of_a_replay(pipeline: Pipeline, folder: Path):
    figures, replayed = run_on_table(pipeline, folder, Payments(()), trial_of(pipeline, folder))
    assert (figures.payments, replayed.transactions) == (490, 490)
    by_id = {one.rule.id: one for one in figures.rules}
    assert by_id["many"].caught.payments == sum(row["count_1h"] >= 3 for row in rows(1) if not row["duplicate"])
    assert by_id["never"].caught.payments == 0


@pytest.mark.parametrize(
    ("when", "lacks"),
    [
        ('country == "DE"', "country"),
        ('count(by=customer, over="2h") > 1', "count(by=customer, over=2h)"),
        # What stands in for a missing value can't be told from one that is there.
        ('mean(amount, by=customer, over="7d") > 1', "mean(amount, by=customer, over=7d)"),
    ],
)
def test_what_the_table_lacks_is_named_with_the_way_out(pipeline: Pipeline, folder: Path, when: str, lacks: str):
    trial = trial_of(pipeline, folder, f"id: r\nwhen: '{when}'\noutcome: review\n", money=None)
    with pytest.raises(MitraError) as caught:
        run_on_table(pipeline, folder, Payments(()), trial)
    assert str(caught.value) == (
        f"the table of that replay lacks {lacks}; name the payments that were replayed instead: --on PAYMENTS"
    )


def test_a_percent_needs_to_know_who_pays(pipeline: Pipeline, folder: Path):
    trial = trial_of(pipeline, folder, "id: r\nwhen: night\noutcome: review\npercent: 5\n", money=None)
    with pytest.raises(MitraError, match="the first entity of each payment, for the percent of r"):
        run_on_table(pipeline, folder, Payments(()), trial)


def test_a_folder_is_a_replays_if_it_has_decisions_and_is_named_alone(folder: Path):
    assert replayed_folder([folder]) == folder
    assert replayed_folder([folder, folder]) is None
    assert replayed_folder([folder.parent]) is None
