"""The example pipeline reads what the generator writes: every payment decodes, and `mitra sample` tells what it wrote."""

import json
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from mitra.cli import main
from mitra.decode import Decoder, Event
from mitra.pipeline import load_pipeline
from mitra.pipeline_whole import check_whole
from mitra.sample import live_payments, tags

PIPELINE = Path(__file__).resolve().parents[3] / "examples" / "payments" / "pipeline.yaml"
START_MS = 1_740_960_000_000


def test_the_example_has_nothing_wrong() -> None:
    assert check_whole(PIPELINE)[1] == []


def test_every_live_payment_decodes_by_the_example_s_schema() -> None:
    pipeline = load_pipeline(PIPELINE)
    decoder = Decoder(pipeline.decided, pipeline.limits)
    for payment in islice(live_payments(3, 100, START_MS, customers=20_000), 3_000):
        event = decoder.decode(payment.value, payment.event_time_ms)
        assert isinstance(event, Event)
        assert event.id == payment.transaction_id
        assert event.time_ms == payment.event_time_ms


def test_every_line_of_a_sample_decodes_and_every_payment_has_a_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sample", "--customers", "300", "--days", "3", "--format", "jsonl", "--json", "--output", str(tmp_path)]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    pipeline = load_pipeline(PIPELINE)
    decoder = Decoder(pipeline.decided, pipeline.limits)
    events = [decoder.decode(line, None) for line in (tmp_path / "payments.jsonl").read_bytes().splitlines()]
    assert all(isinstance(event, Event) for event in events)
    labels = [msgspec.json.decode(line) for line in (tmp_path / "labels.jsonl").read_bytes().splitlines()]
    assert [label["transaction_id"] for label in labels] == [event.id for event in events if isinstance(event, Event)]
    assert told["payments"] == len(events) == sum(told["scenarios"].values())
    assert told["frauds"] == sum(label["is_fraud"] for label in labels)
    assert pipeline.labels
    assert {pipeline.labels.id, pipeline.labels.label, pipeline.labels.known_at} <= labels[0].keys()


def test_labels_of_frauds_alone_are_as_they_come_live(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["sample", "--customers", "2000", "--days", "4", "--format", "jsonl", "--labels", "frauds"]
    assert main([*command, "--output", str(tmp_path)]) == 0
    labels = [msgspec.json.decode(line) for line in (tmp_path / "labels.jsonl").read_bytes().splitlines()]
    assert labels
    assert {label["scenario"] for label in labels} <= tags.FRAUDS
    printed = capsys.readouterr().out
    assert all(name in printed for name in tags.NAMES)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--start", "tomorrow"], "start='tomorrow'"),
        (["--customers", "0"], "customers=0"),
        (["--days", "0"], "days=0"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", *arguments, "--output", str(tmp_path / "out")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
