"""`mitra run`: what it refuses, that Ctrl-C ends all of it, and that it goes on from its last checkpoint."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from mitra.cli import main
from mitra.local.kafka import LocalKafka
from mitra.local.ports import free_ports
from mitra.pipeline import load_pipeline
from mitra.topic_plan import needed_topics
from mitra.topics import TopicsError, require_topics, topics_client
from tests.factories.live import Payment, Reader, on_kafka, send, write_pipeline

pytestmark = pytest.mark.flow

AT_MS = 1_700_000_000_000


def test_a_dead_broker_is_told_within_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_pipeline(tmp_path, "dead")
    [dead] = free_ports(1)
    began = time.monotonic()
    assert main(["run", str(path), "--bootstrap", f"127.0.0.1:{dead}", "--data", str(tmp_path / "data")]) == 1
    assert time.monotonic() - began < 10
    said = capsys.readouterr().err
    assert f"no Kafka at bootstrap=127.0.0.1:{dead}" in said
    assert said.count("\n") == 1


def test_missing_topics_are_named_with_the_command_that_creates_them(
    kafka: LocalKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_pipeline(tmp_path, "lacking")
    call = ["run", str(path), "--bootstrap", kafka.bootstrap, "--data", str(tmp_path / "data")]
    assert main(call) == 1
    said = capsys.readouterr().err
    assert f"11 topics are missing on {kafka.bootstrap}: lacking.payment, lacking.labels, lacking.decisions" in said
    assert "`mitra topics PIPELINE --create`" in said


def test_a_topic_with_too_few_partitions_is_refused(kafka: LocalKafka, tmp_path: Path) -> None:
    pipeline = on_kafka(write_pipeline(tmp_path, "narrow"), kafka)
    require_topics(pipeline)
    wide = write_pipeline(tmp_path, "narrow").read_text().replace("lanes: 2", "lanes: 4")
    (tmp_path / "narrow.yaml").write_text(wide)
    with pytest.raises(TopicsError, match=r"narrow\.payment: partitions=2, should be 4 or more"):
        require_topics(load_pipeline(tmp_path / "narrow.yaml", kafka.bootstrap))


def test_one_missing_topic_is_named(kafka: LocalKafka, tmp_path: Path) -> None:
    pipeline = load_pipeline(write_pipeline(tmp_path, "almost"), kafka.bootstrap)
    with topics_client(pipeline) as client:
        client.create(plan for plan in needed_topics(pipeline) if plan.role != "outcomes")
    with pytest.raises(TopicsError, match=r"1 topic is missing on .*: almost\.outcomes;"):
        require_topics(pipeline)


@pytest.mark.parametrize("parallelism", ["0", "9", "-1"])
def test_a_parallelism_beyond_the_buckets_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], parallelism: str
) -> None:
    path = write_pipeline(tmp_path, "parallel")
    assert main(["run", str(path), "--parallelism", parallelism]) == 1
    assert f"--parallelism={parallelism} can't be used: the pipeline has job.buckets=8" in capsys.readouterr().err


def test_ctrl_c_ends_all_of_it_and_the_next_run_goes_on(kafka: LocalKafka, tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, "running")
    pipeline = on_kafka(path, kafka)
    topic, data = pipeline.decided.topic, tmp_path / "data"
    command = [sys.executable, "-m", "mitra.cli", "run", str(path), "--bootstrap", kafka.bootstrap, "--data", str(data)]
    with Reader(kafka, pipeline.topics.decisions) as reader:
        decisions = reader.values[pipeline.topics.decisions]
        for run in range(2):
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
                assert running.stdout is not None
                said = running.stdout.readline()
                assert ("there is no state" in said) == (run == 0), said
                if run == 1:
                    assert "/chk-" in said
                assert running.stdout.readline().startswith("scoring: a probe has passed all stages")
                sent = [Payment(f"run{run}-{n}", AT_MS + n, "c", "t", 1.0) for n in range(100)]
                send(kafka, [(topic, payment.partition, payment.value) for payment in sent])
                assert reader.wait(lambda sent=sent: decided(decisions) >= {payment.id for payment in sent})
                assert reader.wait(lambda: checkpoints(data) != [])
                processes = psutil.Process(running.pid).children(recursive=True)
                assert any("java" in process.name() for process in processes)
                running.send_signal(signal.SIGINT)
                assert running.wait(60) == 0
                _, left = psutil.wait_procs(processes, timeout=30)
                assert not left
        reader.read(1.0)
    assert len(decided(decisions)) == 200
    assert max(decision["features"]["ever"] for decision in decisions) == 200


def decided(decisions: list[dict[str, Any]]) -> set[str]:
    """Return the ids decided so far; some twice, those behind the checkpoint."""
    return {decision["transaction_id"] for decision in decisions}


def checkpoints(data: Path) -> list[Path]:
    """Return the completed checkpoints in a run's folder."""
    return list(data.glob("checkpoints/*/chk-*/_metadata"))
