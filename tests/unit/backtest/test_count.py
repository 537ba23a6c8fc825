"""What rules did, counted by DuckDB and by loops."""

import json
import random
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest

from mitra.backtest.count import LabelFiles, count
from mitra.backtest.figures import Figures, remarks
from mitra.schema import Labels
from rules import Rule
from tests.factories.backtests import START_MS, Row, write_decisions

HOUR_MS = 3_600_000
LABELS = Labels("fraud", "labels", "id", "fraud", known_at="known_at")
RULES = (
    Rule(id="a", when="x", outcome="review"),
    Rule(id="b", when="x", outcome="block", mode="shadow"),
    Rule(id="c", when="x", outcome="block"),
    Rule(id="good", when="x", outcome="allow"),
    Rule(id="never", when="x", outcome="block"),
)


def label_files(
    folder: Path, *labels: tuple[Any, int, int | None], absent_is: Literal["legit"] | None = None, delay_ms: int = 0
) -> LabelFiles:
    path = folder / "labels.jsonl"
    lines = [json.dumps({"id": id, "fraud": value, "known_at": known}) for id, value, known in labels]
    path.write_text("\n".join(lines) + "\n" * bool(lines))
    return LabelFiles((path,), replace(LABELS, absent_is=absent_is), delay_ms)


Counted = Callable[..., Figures]


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    def call(
        rows: Collection[Row],
        labels: LabelFiles | None = None,
        money: str | None = "worth",
        rules: tuple[Rule, ...] = RULES,
        id_type: Any = None,
    ) -> Figures:
        path = tmp_path / "decisions.parquet"
        write_decisions(path, rows, [one.id for one in rules if one.mode == "shadow"], id_type=id_type)
        return count(path, rules, [one.id for one in rules], tmp_path, money=money, labels=labels)

    return call


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("absent_is", [None, "legit"])
def test_figures_are_those_of_a_naive_count(
    counted: Counted, tmp_path: Path, seed: int, absent_is: Literal["legit"] | None
):
    chance = random.Random(seed)
    names = [rule.id for rule in RULES if rule.id != "never"]
    rows = [
        Row(
            f"p{number}",
            None if chance.random() < 0.1 else chance.randrange(1, 100_000) / 100,
            tuple(name for name in names if chance.random() < 0.3),
            ("never",) if chance.random() < 0.2 else (),
        )
        for number in range(300)
    ]
    again = [replace(row, duplicate=True) for row in rows if chance.random() < 0.2]
    said = {row.id: chance.randrange(2) for row in rows if chance.random() < 0.7}
    files = label_files(tmp_path, *[(id, value, START_MS) for id, value in said.items()], absent_is=absent_is)
    figures = counted([*rows, *again], files)

    truth = {row.id: said.get(row.id, 0 if absent_is else None) for row in rows}
    frauds = sum(value == 1 for value in truth.values())
    assert (figures.payments, figures.frauds) == (300, frauds)
    assert figures.honest == sum(value == 0 for value in truth.values())
    catching = {"a", "b", "c"}
    for one in figures.rules:
        mine = [row for row in rows if one.rule.id in row.fired]
        check(one.caught, mine, truth, len(rows), frauds, catches=one.rule.id in {*catching, "never"})
        assert one.not_evaluated == sum(one.rule.id in row.undecided for row in rows)
        alone = [row for row in mine if catching.intersection(row.fired) == {one.rule.id}]
        if one.rule.id == "good":
            assert (one.alone, one.alone_frauds) == (None, None)
        else:
            assert (one.alone, one.alone_frauds) == (len(alone), sum(truth[row.id] == 1 for row in alone))
        shared = {name: sum(name in row.fired for row in mine) for name in names if name != one.rule.id}
        assert one.overlap == {name: both for name, both in shared.items() if both}
    check(figures.together, [row for row in rows if catching.intersection(row.fired)], truth, 300, frauds, catches=True)


def check(caught: Any, mine: list[Row], truth: dict[Any, Any], payments: int, frauds: int, *, catches: bool) -> None:
    bad, good = [[row for row in mine if truth[row.id] == value] for value in (1, 0)]
    assert (caught.payments, caught.frauds, caught.honest) == (len(mine), len(bad), len(good))
    assert caught.share == len(mine) / payments
    assert caught.money == pytest.approx(sum(row.amount or 0 for row in mine))
    if not catches:
        assert (caught.precision, caught.recall, caught.stopped, caught.wrongly_stopped) == (None, None, None, None)
        return
    assert caught.precision == (len(bad) / (len(bad) + len(good)) if bad or good else None)
    assert caught.recall == (len(bad) / frauds if frauds else None)
    assert caught.stopped == pytest.approx(sum(row.amount or 0 for row in bad))
    assert caught.wrongly_stopped == pytest.approx(sum(row.amount or 0 for row in good))


def test_without_labels_and_money_nothing_is_said_of_them(counted: Counted):
    figures = counted([Row("p1", 5.0, ("a",)), Row("p2", 5.0)], money=None)
    assert (figures.frauds, figures.honest) == (None, None)
    first = figures.rules[0]
    assert (first.caught.payments, first.caught.share, first.alone) == (1, 0.5, 1)
    rest = (first.caught.money, first.caught.frauds, first.caught.precision, first.caught.stopped, first.alone_frauds)
    assert rest == (None,) * 5


def test_the_last_version_of_a_label_counts_and_of_two_at_one_time_the_first(counted: Counted, tmp_path: Path):
    rows = [Row(name, 1.0, ("a",)) for name in ("late", "same", "undated")]
    files = label_files(
        tmp_path,
        ("late", 1, START_MS + 9 * HOUR_MS), ("late", 0, START_MS + HOUR_MS),
        ("same", 1, START_MS), ("same", 0, START_MS),
        ("undated", 0, START_MS + HOUR_MS), ("undated", 1, None),
        ("unknown", 1, START_MS),
        delay_ms=2 * HOUR_MS,
    )  # fmt: skip
    figures = counted(rows, files)
    assert (figures.frauds, figures.honest) == (3, 0)
    assert figures.rules[0].caught.precision == 1.0


def test_a_label_s_version_goes_before_when_it_became_known(counted: Counted, tmp_path: Path):
    files = label_files(tmp_path)
    lines = [
        {"id": "p", "fraud": 1, "known_at": START_MS, "version": 2},
        {"id": "p", "fraud": 0, "known_at": START_MS + HOUR_MS, "version": 1},
    ]
    files.paths[0].write_text("".join(json.dumps(line) + "\n" for line in lines))
    figures = counted([Row("p", 1.0, ("a",))], files)
    assert (figures.frauds, figures.honest) == (1, 0)


@pytest.mark.parametrize("id_type", [pa.int32(), pa.float64(), pa.decimal128(20, 0), pa.string()], ids=str)
def test_labels_find_their_payments_whatever_the_type_of_ids(counted: Counted, tmp_path: Path, id_type: Any):
    ids = pa.array(["17"]).cast(pa.int64()).cast(id_type).to_pylist()
    files = label_files(tmp_path, (17, 1, START_MS))
    assert counted([Row(ids[0], 1.0, ("a",))], files, id_type=id_type).frauds == 1


def test_no_payment_at_all_gives_zeros(counted: Counted, tmp_path: Path):
    figures = counted([], label_files(tmp_path))
    assert (figures.payments, figures.first_ms, figures.together.share) == (0, None, 0.0)
    assert (figures.rules[0].caught.precision, figures.rules[0].caught.recall) == (None, None)
    assert remarks(figures)[0] == "a never fires: there is no payment"


def test_what_is_odd_is_named_with_its_cause(counted: Counted):
    rules = (
        Rule(id="a", when="x", outcome="review"),
        Rule(id="c", when="x", outcome="block"),
        Rule(id="never", when="x", outcome="block"),
        Rule(id="later", when="x", outcome="block", from_ms=START_MS + 1),
        Rule(id="over", when="x", outcome="block", until_ms=START_MS),
        Rule(id="rests", when="x", outcome="block", mode="paused"),
        Rule(id="lacks", when="x", outcome="block"),
        Rule(id="seldom", when="x", outcome="block"),
    )
    rows = [
        Row("p1", 1.0, ("a", "c"), ("lacks", "seldom")),
        Row("p2", 1.0, ("a",), ("seldom",)),
        Row("p3", 1.0, ("seldom",), ("lacks",)),
    ]
    assert remarks(counted(rows, rules=rules)) == [
        "c fires only where a fires too",
        "never never fires",
        "later never fires: its `from` lies behind the last payment",
        "over never fires: its `until` lies before the first payment",
        "rests never fires: it is paused, which means that it isn't evaluated",
        "lacks never fires: it can't be decided for 2 payments and is false for the others",
        "seldom can't be decided for 2 payments, more than it fires on",
    ]
