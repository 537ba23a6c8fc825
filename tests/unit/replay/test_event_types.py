"""Several event types in a replay: which files are which, and that logins count for the payments behind them."""

import json
from pathlib import Path

import pytest

from mitra.cli import main
from mitra.cli.replay import event_files
from mitra.errors import MitraError
from mitra.pipeline import Pipeline, load_pipeline
from mitra.replay.inline import replay_inline
from mitra.replay.prepare import prepare

PIPELINE = """
name: small
events:
  payment:
    decided: true
    id: id
    time: at
    fields: {id: string, at: time, customer: string, amount: number}
  login:
    decided: false
    id: id
    time: at
    fields: {id: string, at: time, customer: string, passed: boolean, amount: {type: number, required: false}}
entities: {customer: customer}
features:
  events: count(by=customer, over="1h")
  payments: count(by=customer, over="1h", event=payment)
  failed: count(by=customer, over="1h", event=login, where=not passed)
  since_login: seconds_since(by=customer, event=login)
  spent: sum(amount, by=customer, over="1h")
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return load_pipeline(path)


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_events_of_all_types_enter_one_history_and_only_payments_are_decided(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    payments = [{"id": f"p{n}", "at": 1_000_000 * n, "customer": "c", "amount": 10.0} for n in (1, 2, 3)]
    logins = [
        {"id": "p1", "at": 1_500_000, "customer": "c", "passed": False},
        {"id": "b", "at": 1_600_000, "customer": "c", "passed": True, "amount": 2.0},
        {"id": "c", "at": 1_700_000, "customer": "d", "passed": False},
        {"id": "b", "at": 2_500_000, "customer": "c", "passed": True},  # the id was there with other content
        {"id": "d", "at": 2_500_000, "customer": "c"},
    ]
    prepared = prepare(
        pipeline,
        [lines(tmp_path / "payments.jsonl", payments)],
        tmp_path / "input",
        dead_letters=tmp_path / "letters.jsonl",
        events={"login": [lines(tmp_path / "logins.jsonl", logins)]},
    )
    assert (prepared.summary.transactions, prepared.summary.other_events, prepared.summary.other_rejected) == (3, 5, 2)
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "letters.jsonl").read_text().splitlines()]
    assert reasons == ["missing_field", "conflict"]
    found = {}
    for decided in replay_inline(pipeline, tmp_path / "input"):
        assert decided.features is not None
        for decision, row in zip(decided.decisions, decided.rows, strict=True):
            found[decision.transaction_id] = decided.features.row(row, dict.fromkeys(pipeline.features, "number"))
    assert found == {
        "p1": {"events": 1, "payments": 1, "failed": 0, "since_login": None, "spent": 10},
        "p2": {"events": 4, "payments": 2, "failed": 1, "since_login": 400, "spent": 22},
        "p3": {"events": 5, "payments": 3, "failed": 1, "since_login": 1400, "spent": 32},
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("logins.jsonl", "is no NAME=FILE and no folder; write it like login=logins.parquet"),
        ("login=", "is no NAME=FILE"),
        ("logins=x.jsonl", "has no event type logins; allowed: login; did you mean"),
        ("payment=x.jsonl", "files of payment go behind --transactions"),
        ("login=nowhere.jsonl", "there is no file nowhere.jsonl"),
    ],
)
def test_a_wrong_file_of_events_is_told(pipeline: Pipeline, given: str, message: str) -> None:
    with pytest.raises(MitraError, match=message):
        event_files([given], pipeline)


def test_several_files_of_a_type_are_one_input(pipeline: Pipeline, tmp_path: Path) -> None:
    paths = [lines(tmp_path / name, []) for name in ("one.jsonl", "two.jsonl")]
    assert event_files([f"login={path}" for path in paths], pipeline) == {"login": paths}


def test_of_a_folder_the_files_called_as_types_count(pipeline: Pipeline, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    lines(folder / "others.jsonl", [])
    with pytest.raises(MitraError, match="has no file called as an event type; allowed: login"):
        event_files([str(folder)], pipeline)
    login = lines(folder / "login.jsonl", [])
    assert event_files([str(folder)], pipeline) == {"login": [login]}


def test_the_command_refuses_before_it_reads(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    payments = lines(tmp_path / "payments.jsonl", [])
    words = [
        "replay",
        str(tmp_path / "pipeline.yaml"),
        "--transactions",
        str(payments),
        "--output",
        str(tmp_path / "out"),
    ]
    assert main([*words, "--events", "logn=x"]) == 1
    assert "has no event type logn" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert pipeline.decided.name == "payment"
