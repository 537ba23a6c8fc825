"""Parity finds nothing where events came in order, tells races apart where they didn't, and finds a planted error."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mitra.cli import main
from mitra.errors import MitraError
from mitra.log.parity import Parity, compare
from mitra.pipeline import Pipeline, load_pipeline
from tests.factories.live import HOUR_MS, Payment, write_pipeline
from tests.factories.wired import WiredJob
from tests.unit.log.conftest import Sample

AT_MS = 1_700_000_000_000
ALWAYS: dict[str, Any] = {"from_ms": 0, "to_ms": 1 << 50}


def test_nothing_differs_where_events_came_in_order(pipeline: Pipeline, sample: Sample) -> None:
    found = compare(pipeline, sample.log, **ALWAYS)
    assert (found.compared, found.missing, found.raced, found.unexplained) == (sample.payments.num_rows, 0, 0, 0)
    assert set(found.differences) == set(pipeline.features)


def pay(number: int, at: int, customer: str = "c") -> Payment:
    return Payment(f"p{number}", AT_MS + at, customer, "t", 10.0 + number)


def compared(
    folder: Path, arrivals: list[tuple[int, Payment]], labels: Sequence[tuple[int, str, int]] = ()
) -> tuple[Parity, WiredJob]:
    """Let payments and labels (when they come, of which payment, when it became known) arrive at times, and compare."""
    pipeline = load_pipeline(write_pipeline(folder, "raced"))
    assert pipeline.labels is not None
    job = WiredJob(pipeline)
    topic = pipeline.labels.topic
    turns = [(at, pipeline.decided.topic, payment.value) for at, payment in arrivals]
    turns += [
        (at, topic, json.dumps({"id": id, "fraud": 1, "known_at": AT_MS + known}).encode()) for at, id, known in labels
    ]
    for at, to, value in sorted(turns):
        job.read(AT_MS + at, [(to, value)])
    job.write_log(folder / "log")
    return compare(pipeline, folder / "log", **ALWAYS), job


def test_a_payment_that_was_overtaken_is_a_race(tmp_path: Path) -> None:
    found, _ = compared(
        tmp_path, [(0, pay(0, 0)), (3, pay(2, 2)), (4, pay(1, 1)), (9, pay(3, 5)), (9, pay(4, 9, "other"))]
    )
    # The third was decided without the second, which came behind it.
    assert (found.compared, found.raced, found.unexplained) == (5, 1, 0)
    assert found.differences["ever"].raced == 1
    assert found.differences["note" if "note" in found.differences else "large_1d"].raced == 0


def test_a_label_that_came_later_than_it_was_known_is_a_race(tmp_path: Path) -> None:
    late, _ = compared(tmp_path / "late", [(0, pay(0, 0)), (HOUR_MS, pay(1, HOUR_MS))], [(2 * HOUR_MS, "p0", 5)])
    assert (late.raced, late.unexplained, late.differences["frauds"].raced) == (1, 0, 1)
    timely, _ = compared(tmp_path / "timely", [(0, pay(0, 0)), (HOUR_MS, pay(1, HOUR_MS))], [(5, "p0", 5)])
    assert (timely.raced, timely.unexplained) == (0, 0)


def test_a_value_that_nothing_explains_is_found_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrivals = [(at, pay(at, at)) for at in range(10)]
    _, job = compared(tmp_path, arrivals)
    job.logged[4]["mean_1d"] += 0.001
    job.logged[7]["before"] = None
    job.write_log(tmp_path / "log")
    call = ["parity", str(tmp_path / "raced.yaml"), "--log", str(tmp_path / "log")]
    assert main([*call, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["unexplained"] == 2
    assert found["differences"]["mean_1d"]["examples"] == [["p4", job.logged[4]["mean_1d"], 12.0]]
    assert found["differences"]["before"]["examples"] == [["p7", None, 16.0]]
    assert main(call) == 1
    said = capsys.readouterr().out
    assert "10 payments compared, 12 features each: 2 values differ; 0 payments raced" in said
    assert main([*call, "--to", "2023-11-14T22:13:20.004Z"]) == 0


def test_a_log_without_its_records_and_another_pipeline_are_told(tmp_path: Path) -> None:
    _, job = compared(tmp_path, [(0, pay(0, 0))])
    wider = load_pipeline(write_pipeline(tmp_path / "wider", "raced"))
    wider.features["extra"] = "amount * 2"
    with pytest.raises(MitraError, match="has no feature extra; name the pipeline file that the job ran with"):
        compare(wider, tmp_path / "log", **ALWAYS)
    del job.records[0]
    for path in (tmp_path / "log").glob("records/*/*"):
        path.unlink()
    with pytest.raises(MitraError, match="has no records"):
        compare(wider, tmp_path / "log", **ALWAYS)
