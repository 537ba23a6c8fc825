"""`mitra rules test`: what it prints, over a replay that is played by the test. The page shows the same."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mitra.backtest.run
import mitra.control.kafka
from control_stream import LiveSet
from mitra.cli import main
from mitra.control.replay import context_of
from mitra.pipeline import load_pipeline
from mitra.replay.run import Replayed
from tests.factories.backtests import START_MS, Row, write_decisions
from tests.factories.control import record
from tests.factories.control_topics import MemoryTopics

ROOT = Path(__file__).parents[3]
PIPELINE = str(ROOT / "examples" / "payments" / "pipeline.yaml")
RULES = """
rules:
- {id: much-too-much, when: amount > 500, outcome: review}
- {id: busy-terminal, when: 'count(by=terminal, over="10m") > 20', outcome: review}
- {id: card-testing, when: amount < 2, outcome: block, mode: shadow}
- {id: regulars, when: 'count(by=customer, over="30d") > 100', outcome: allow}
- {id: night-abroad, when: hour < 0, outcome: review}
"""
GROUPS: list[tuple[int, int, float, tuple[str, ...], tuple[str, ...]]] = [
    (60, 21, 700.0, ("much-too-much",), ()),
    (12, 9, 650.0, ("busy-terminal", "much-too-much"), ()),
    (34, 10, 40.0, ("busy-terminal",), ()),
    (25, 25, 1.2, ("busy-terminal", "card-testing"), ()),
    (800, 1, 30.0, ("regulars",), ()),
    (140, 0, 55.0, (), ("much-too-much",)),
    (8929, 11, 55.0, (), ()),
]
"""Payments, the frauds among them, what each is worth, which rules fire, which can't be decided."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with rules, payments and labels, and a replay of them that is done at once."""
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "payments").mkdir()
    (tmp_path / "payments" / "payments.jsonl").touch()
    rows, labels = [], []
    for count, frauds, amount, fired, undecided in GROUPS:
        for number in range(count):
            rows.append(Row(f"p{len(rows)}", amount, fired, undecided, at=START_MS + len(rows) * 60_000))
            if number < frauds:
                labels.append({"transaction_id": rows[-1].id, "is_fraud": 1, "known_at": START_MS + 9_000_000})
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(label) + "\n" for label in labels))

    def replay(path: Path, files: Sequence[Path], output: Path, *, live: LiveSet, **_: Any) -> Replayed:
        assert [file.name for file in files] == ["payments.jsonl"]
        (money,) = live.features
        write_decisions(output / "decisions.parquet", rows, ["card-testing"], money=money)
        return Replayed(len(rows) + 3, len(rows), 3, 0, 21.04)

    monkeypatch.setattr(mitra.backtest.run, "run_replay", replay)
    return tmp_path


def call(folder: Path, *more: str) -> int:
    return main(["rules", "test", PIPELINE, str(folder / "rules.yaml"), "--on", str(folder / "payments"), *more])


def test_the_page_shows_what_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert call(folder, "--labels", str(folder / "labels.jsonl")) == 0
    printed = capsys.readouterr().out
    assert f"```\n{printed}```\n" in (ROOT / "docs" / "rules.md").read_text(encoding="utf-8"), printed


def test_without_labels_it_tells_what_payments_are_worth(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert call(folder) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.split("  ")[-1] == "worth"
    assert second.split() == "much-too-much live review 72 0.72% 140 60 49,800.00".split()


def test_json_has_all_figures(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert call(folder, "--labels", str(folder / "labels.jsonl"), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    rules = {one["rule"]: one for one in found["rules"]}
    assert (found["payments"], found["frauds"], found["honest"], found["dead_letters"]) == (10_000, 77, 9_923, 3)
    assert rules["card-testing"]["always_with"] == ["busy-terminal"]
    assert rules["busy-terminal"]["overlap"] == {"card-testing": 25, "much-too-much": 12}
    assert (rules["busy-terminal"]["alone"], rules["busy-terminal"]["alone_frauds"]) == (34, 10)
    assert (rules["regulars"]["precision"], rules["regulars"]["frauds"], rules["regulars"]["alone"]) == (None, 1, None)
    assert found["together"]["payments"] == 131
    assert found["together"]["recall"] == 65 / 77
    assert found["remarks"] == [
        "much-too-much can't be decided for 140 payments, more than it fires on",
        "card-testing fires only where busy-terminal fires too",
        "night-abroad never fires",
    ]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--labels", "gone.csv"], "there is no file gone.csv"),
        (["--label-delay", "soon"], "--label-delay=soon is no duration"),
        (["--parallelism", "3"], "--parallelism=3 can't be used"),
        (["--amount", "channel"], "--amount=channel is a text; allowed: a number, such as amount, lat, lon"),
    ],
)
def test_what_is_wrong_with_the_call_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str
):
    assert call(folder, *more) == 1
    assert told in capsys.readouterr().err


def test_files_without_a_rule_are_nothing_to_test(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "rules.yaml").write_text("features: {half: amount / 2}\n")
    assert call(folder) == 1
    assert "the files hold no rule to test" in capsys.readouterr().err


def test_live_rules_stand_beside_those_on_trial(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    context = context_of(load_pipeline(PIPELINE))
    topics = MemoryTopics(context, lanes=1, buckets=2)
    old = {"id": "busy-terminal", "when": "amount > 0", "outcome": "allow"}
    topics.append([record("rule.put", rule=old), record("rule.put", rule={**old, "id": "regulars", "when": "2 > 1"})])
    monkeypatch.setattr(mitra.control.kafka, "open_topics", lambda _: nullcontext(topics))
    (folder / "rules.yaml").write_text("id: busy-terminal\nwhen: amount > 7\noutcome: review\n")
    assert call(folder, "--live") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines[1:3]] == [
        ["busy-terminal", "live", "review", "71"],
        ["regulars", "live", "now", "allow"],
    ]


def test_a_replays_folder_is_judged_without_a_replay(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mitra.backtest.run, "run_replay", None)
    table = {"transaction_id": ["p1", "p2", "p3"], "event_time": [START_MS] * 3, "duplicate": [False] * 3}
    table |= {"amount": [5.0, 700.0, 900.0], "customer_count_1h": [9, 1, 4]}
    (folder / "done").mkdir()
    pq.write_table(pa.table(table), folder / "done" / "decisions.parquet")
    (folder / "rules.yaml").write_text(
        "lists: [{name: mules, kind: block, by: customer}]\n"
        "rules: [{id: big, when: 'amount > 500 and count(by=customer, over=\"1h\", event=payment) > 1', outcome: review}]\n"
    )
    words = ["rules", "test", PIPELINE, str(folder / "rules.yaml"), "--on", str(folder / "done")]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[1].split() == "big live review 1 33.33% 0 1 900.00".split()
    assert "1 list or snoozes in the files are left out: only rules are tried; --lists tries them too" in printed
    assert main([*words, "--lists", "--json"]) == 0
    assert [one["rule"] for one in json.loads(capsys.readouterr().out)["rules"]] == ["big", "list:mules"]
