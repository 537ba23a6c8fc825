"""Rules of files put on trial, alone and over what is live, and the payments they are tried on."""

from pathlib import Path

import pytest

from control_stream import LiveSet
from mitra.backtest.run import find_payments
from mitra.backtest.trial import read_trial, with_money
from mitra.errors import MitraError
from rules import Rule
from tests.factories.control import CONTEXT

FILE = """
features: {half: amount / 2}
lists: [{name: mules, kind: block, by: customer}]
rules:
- {id: big, when: half > 100, outcome: review}
- {id: tiny, when: amount < 1, outcome: allow, mode: shadow}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(FILE)
    return path


def test_files_alone_are_all_that_is_live(file: Path):
    trial = read_trial([file], CONTEXT)
    assert {name: rule.version for name, rule in trial.live.rules.items()} == {"big": 1, "tiny": 1}
    assert trial.live.features == {"half": "amount / 2"}
    assert trial.tested == ("big", "tiny")
    assert (trial.live.lists, trial.left_out) == ({}, 1)


def test_over_what_is_live_files_stand_in_place_of_what_they_name(file: Path):
    old = {name: Rule(id=name, when="twice > 9", outcome="block", version=4) for name in ("big", "other")}
    base = LiveSet(rules=old, features={"twice": "2 * amount"}, versions={"big": 4, "other": 4})
    trial = read_trial([file], CONTEXT, base)
    assert {name: rule.version for name, rule in trial.live.rules.items()} == {"big": 5, "other": 4, "tiny": 1}
    assert trial.live.rules["big"].when == "half > 100"
    assert trial.tested == ("big", "tiny")
    assert set(trial.live.features) == {"twice", "half"}


def test_what_is_live_and_no_longer_fits_is_told(file: Path):
    base = LiveSet(rules={"other": Rule(id="other", when="half", outcome="block")}, features={"half": "amount > 2"})
    with pytest.raises(MitraError, match=r"(?s)what is live doesn't go with these files: .*other"):
        read_trial([file], CONTEXT, base)


def test_what_is_wrong_with_files_is_told(tmp_path: Path):
    path = tmp_path / "bad.yaml"
    path.write_text("id: bad\nwhen: amonut > 1\noutcome: block\n")
    with pytest.raises(MitraError, match="did you mean amount"):
        read_trial([path], CONTEXT)


@pytest.mark.parametrize(("text", "feature"), [(None, "amount"), ("half * 3", "half * 3"), ("amount", "amount")])
def test_what_a_payment_is_worth_is_a_feature_of_the_trial(file: Path, text: str | None, feature: str):
    trial = with_money(read_trial([file], CONTEXT), CONTEXT, text)
    assert trial.money is not None
    assert trial.live.features == {"half": "amount / 2", trial.money: feature}
    trial.live.check(CONTEXT)


def test_a_name_that_is_taken_is_not_given_to_it_again(file: Path):
    file.write_text(FILE.replace("half", "backtest_amount"))
    trial = with_money(read_trial([file], CONTEXT), CONTEXT, None)
    assert trial.money == "backtest_amount_"


@pytest.mark.parametrize(
    ("text", "told"), [("amonut", "did you mean amount"), ("country", "is a text; allowed: a number, such as .*amount")]
)
def test_what_is_no_number_is_no_amount(file: Path, text: str, told: str):
    with pytest.raises(MitraError, match=told):
        with_money(read_trial([file], CONTEXT), CONTEXT, text)


def test_payments_are_the_files_called_and_those_in_folders_but_for_labels(tmp_path: Path):
    for name in ("b.parquet", "a.csv.gz", "labels.parquet", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "deeper").mkdir()
    labels = [tmp_path / "deeper" / ".." / "labels.parquet"]
    found = find_payments([tmp_path / "b.parquet", tmp_path], labels)
    assert [path.name for path in found] == ["b.parquet", "a.csv.gz"]


@pytest.mark.parametrize(
    ("files", "name", "told"),
    [
        ([], "", "has no payments"),
        (["decisions.parquet"], "", "has a replay's decisions; name it alone, or the payments"),
        ([], "missing.csv", "there is no file"),
    ],
)
def test_what_holds_no_payments_is_told(tmp_path: Path, files: list[str], name: str, told: str):
    for file in files:
        (tmp_path / file).touch()
    with pytest.raises(MitraError, match=told):
        find_payments([tmp_path / name], [])
