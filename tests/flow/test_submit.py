"""`mitra submit` to a standalone cluster of two TaskManagers; exactly-once delivery; a savepoint and a new submission."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mitra.cli import main
from mitra.cluster.submit import flink_program
from mitra.local.environment import environment
from mitra.local.kafka import LocalKafka
from mitra.pipeline import Pipeline
from tests.factories.live import Payment, Reader, on_kafka, send, write_pipeline
from tests.flow.cluster import FlinkCluster

pytestmark = pytest.mark.flow

AT_MS = 1_700_000_000_000
TIMEOUT_S = "300"


@pytest.fixture(scope="module")
def pipeline_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pipeline(tmp_path_factory.mktemp("submit"), "submitted", "exactly-once")


@pytest.fixture(scope="module")
def pipeline(pipeline_path: Path, kafka: LocalKafka) -> Pipeline:
    return on_kafka(pipeline_path, kafka)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    """Two TaskManagers whose first `python` on PATH is not Mitra's: what most clusters are to begin with."""
    cluster = FlinkCluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield cluster.start({"PATH": path_without_mitra(tmp_path_factory.mktemp("bin"))})
    finally:
        cluster.stop()


def path_without_mitra(folder: Path) -> str:
    """Return a PATH that has everything but Mitra: its `python` is another one, without pemja."""
    elsewhere = shutil.which("python3", path=os.defpath) or os.path.realpath(sys.executable)
    (folder / "python").write_text(f'#!/bin/sh\nexec "{os.path.realpath(elsewhere)}" -I "$@"\n')
    (folder / "python").chmod(0o755)
    return f"{folder}:{os.defpath}"


def payments(name: str, count: int) -> list[Payment]:
    return [Payment(f"{name}{n}", AT_MS + n * 1000, f"c{n % 10}", f"t{n % 3}", 10.0) for n in range(count)]


def submit(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["submit", *arguments, "--json", "--timeout", TIMEOUT_S])
    said = capsys.readouterr()
    return status, said.out, said.err


def flink(*arguments: str) -> str:
    """Call the `flink` program and return what it says."""
    done = subprocess.run(
        [flink_program(), *arguments],
        env=environment(heap_mb=256),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_task_managers_without_mitra_are_told_and_the_job_is_cancelled(
    cluster: FlinkCluster, pipeline: Pipeline, pipeline_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (str(pipeline_path), "--jobmanager", cluster.address, "--bootstrap", pipeline.bootstrap)
    status, _, said = submit(capsys, *arguments, "--parallelism", "2")
    assert status == 1
    assert "times and was cancelled" in said
    assert "No module named 'pemja'" in said
    assert "start them with the bin folder of Mitra's virtual environment first on PATH" in said
    [job] = cluster.get("/jobs/overview")["jobs"]
    assert job["state"] in {"CANCELLING", "CANCELED"}


def test_a_submitted_job_decides_exactly_once_and_goes_on_from_its_savepoint(
    cluster: FlinkCluster,
    pipeline: Pipeline,
    pipeline_path: Path,
    capsys: pytest.CaptureFixture[str],
    kafka: LocalKafka,
) -> None:
    cluster.stop_task_managers()
    cluster.start_task_managers()
    arguments = (str(pipeline_path), "--jobmanager", cluster.address, "--bootstrap", pipeline.bootstrap)
    status, out, said = submit(capsys, *arguments, "--parallelism", "2")
    assert status == 0, said
    submitted = json.loads(out)
    tasks = cluster.get(f"/jobs/{submitted['job']}")["vertices"]
    assert {task["parallelism"] for task in tasks if task["name"].startswith(("history", "decide"))} == {2}
    assert used_slots(cluster) == 2
    status, _, said = submit(capsys, *arguments)
    assert (status, f"the pipeline runs already on {cluster.address}; job={submitted['job']}" in said) == (1, True)

    topic = pipeline.decided.topic
    with Reader(kafka, pipeline.topics.decisions) as reader:
        decisions = reader.values[pipeline.topics.decisions]
        first, second = payments("first", 500), payments("second", 500)
        send(kafka, [(topic, payment.partition, payment.value) for payment in first])
        assert reader.wait(lambda: len(decisions) == len(first))
        stopped = flink(
            "stop",
            "--jobmanager",
            cluster.address,
            "--savepointPath",
            (cluster.folder / "kept").as_uri(),
            submitted["job"],
        )
        savepoint = stopped.rpartition("Path: ")[2].split()[0]
        assert "/kept/" in savepoint
        send(kafka, [(topic, payment.partition, payment.value) for payment in second])
        status, out, said = submit(capsys, *arguments, "--restore", savepoint)
        assert status == 0, said
        assert json.loads(out)["restored"] == savepoint
        assert reader.wait(lambda: len(decisions) == len(first) + len(second))
        # Checkpoints go on: what was written but not committed would show here as a decision too many.
        again = payments("again", 10)
        send(kafka, [(topic, payment.partition, payment.value) for payment in again])
        assert reader.wait(lambda: len(decisions) >= len(first) + len(second) + len(again))
    assert_each_once(decisions, [*first, *second, *again])


def assert_each_once(decisions: list[dict[str, Any]], sent: list[Payment]) -> None:
    """One decision for each payment, and each customer's count goes on from where it was."""
    assert sorted(decision["transaction_id"] for decision in decisions) == sorted(payment.id for payment in sent)
    found = {decision["transaction_id"]: decision["features"]["sum_ever"] for decision in decisions}
    spent: dict[str, float] = {}
    for payment in sent:
        if payment.id.startswith("first"):
            spent[payment.customer] = spent.get(payment.customer, 0.0) + payment.amount
            assert found[payment.id] == spent[payment.customer]
    # The second wave has the times of the first again: each counts those up to its own time, in both waves.
    for payment in sent:
        if payment.id.startswith("second"):
            number = int(payment.id[len("second") :]) // 10 + 1
            assert found[payment.id] == 2 * number * payment.amount


def used_slots(cluster: FlinkCluster) -> int:
    overview = cluster.get("/overview")
    return int(overview["slots-total"] - overview["slots-available"])


def test_a_savepoint_that_is_not_there_is_told(
    cluster: FlinkCluster, kafka: LocalKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_pipeline(tmp_path, "unrestored")
    on_kafka(path, kafka)
    nowhere = (tmp_path / "savepoint-nowhere").as_uri()
    arguments = (str(path), "--jobmanager", cluster.address, "--bootstrap", kafka.bootstrap, "--restore", nowhere)
    status, _, said = submit(capsys, *arguments)
    assert status == 1
    assert "savepoint-nowhere" in said
    assert len(said.splitlines()) < 20
