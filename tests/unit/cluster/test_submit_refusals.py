"""What `mitra submit` says before anything is submitted, told by a stand-in for Flink's REST API."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from mitra.cli import main
from mitra.cluster.rest import ClusterClient, ClusterError, innermost_cause
from mitra.cluster.submit import _cause_of, _with_hint
from mitra.local.ports import free_ports

PIPELINE = "name: small\nevents: {login: {id: id, time: at, fields: {id: string, at: time}}}\n"
OVERVIEW = {
    "flink-version": version("apache-flink"),
    "taskmanagers": 1,
    "slots-total": 1,
    "slots-available": 1,
}


class StandIn:
    """Answers paths with JSON, others with 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "/overview": OVERVIEW,
            "/jobs/overview": {"jobs": []},
            "/jobmanager/environment": {"classpath": ["/flink/lib/flink-python-2.3.0.jar"]},
            "/jobmanager/config": [{"key": "execution.checkpointing.dir", "value": "file:///checkpoints"}],
        }
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = stand_in.answers.get(self.path)
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(404 if answer is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def cluster() -> Iterator[StandIn]:
    """A cluster that could take a job."""
    stand_in = StandIn()
    thread = threading.Thread(target=stand_in.server.serve_forever, args=(0.01,))
    thread.start()
    yield stand_in
    stand_in.server.shutdown()
    stand_in.server.server_close()
    thread.join()


def refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str, *more: str) -> str:
    """Submit and return the error."""
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    [dead] = free_ports(1)
    assert main(["submit", str(path), "--jobmanager", address, "--bootstrap", f"127.0.0.1:{dead}", *more]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("address", ["flink", "flink:", "flink:99999999", ":8081", "flink:8081/jobs"])
def test_an_address_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str) -> None:
    assert f"--jobmanager={address} is no HOST:PORT" in refusal(tmp_path, capsys, address)


def test_a_cluster_that_is_not_there_is_one_line_within_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [dead] = free_ports(1)
    began = time.monotonic()
    said = refusal(tmp_path, capsys, f"127.0.0.1:{dead}")
    assert time.monotonic() - began < 10
    assert f"no Flink cluster answers at --jobmanager=127.0.0.1:{dead}" in said
    assert said.count("\n") == 1


def test_something_else_than_flink_is_told(
    cluster: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.answers["/overview"] = b"<html>"
    assert "is not Flink's REST API" in refusal(tmp_path, capsys, cluster.address)
    del cluster.answers["/overview"]
    assert "refuses /overview; status=404" in refusal(tmp_path, capsys, cluster.address)


def test_another_flink_is_told(cluster: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.answers["/overview"] = {**OVERVIEW, "flink-version": "1.20.1"}
    assert "runs Flink 1.20.1; this Mitra needs Flink 2." in refusal(tmp_path, capsys, cluster.address)


def test_a_pipeline_that_runs_already_is_told(
    cluster: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.answers["/jobs/overview"] = {"jobs": [{"jid": "abc", "name": "small", "state": "RUNNING"}]}
    assert "the pipeline runs already" in refusal(tmp_path, capsys, cluster.address)
    cluster.answers["/jobs/overview"] = {"jobs": [{"jid": "abc", "name": "small", "state": "CANCELED"}]}
    assert "the pipeline runs already" not in refusal(tmp_path, capsys, cluster.address)


def test_a_cluster_without_a_folder_for_checkpoints_is_told(
    cluster: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.answers["/jobmanager/config"] = []
    said = refusal(tmp_path, capsys, cluster.address)
    assert "set execution.checkpointing.dir in its config.yaml, or pass --checkpoints URI" in said


def test_a_dead_kafka_is_told(cluster: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no Kafka at bootstrap=127.0.0.1:" in refusal(tmp_path, capsys, cluster.address)


def test_too_few_slots_are_told(
    cluster: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mitra.cluster.submit.require_topics", lambda _: None)
    monkeypatch.setattr("mitra.cluster.submit._SLOTS_WAIT_S", 0.0)
    said = refusal(tmp_path, capsys, cluster.address, "--parallelism", "2")
    assert "too few free slots; free=1 of 1 on 1 TaskManagers, --parallelism=2" in said


@pytest.mark.parametrize("parallelism", ["0", "9"])
def test_a_parallelism_beyond_the_buckets_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], parallelism: str
) -> None:
    said = refusal(tmp_path, capsys, "127.0.0.1:1", "--parallelism", parallelism)
    assert f"--parallelism={parallelism} can't be used: the pipeline has job.buckets=8" in said


TRACE = """org.apache.flink.runtime.JobException: Recovery is suppressed
\tat org.apache.flink.runtime.ExecutionFailureHandler.handleFailure(ExecutionFailureHandler.java:176)
\tat java.base/java.lang.Class.getDeclaredField(Unknown Source)
\t... 4 more
Caused by: java.lang.RuntimeException: Failed to open
\tat org.apache.flink.Python.open(Python.java:12)
Caused by: pemja.core.PythonException: <class 'ModuleNotFoundError'>: No module named 'pemja'
\tat /opt/venv/lib/runner.<module>(runner.py:7)
\tat pemja.core.PythonInterpreter.exec(Native Method)
\tat org.apache.flink.Python.open(Python.java:14)
\t... 2 more
"""


def test_the_innermost_cause_keeps_its_python_lines() -> None:
    cause = innermost_cause(TRACE)
    assert cause.splitlines() == [
        "pemja.core.PythonException: <class 'ModuleNotFoundError'>: No module named 'pemja'",
        "  at /opt/venv/lib/runner.<module>(runner.py:7)",
    ]
    assert "bin folder of Mitra's virtual environment first on PATH" in _with_hint(cause)


def test_a_cluster_that_can_take_one_job_only_is_noted(
    cluster: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.answers["/jobmanager/environment"] = {"classpath": ["/flink/lib/flink-dist-2.3.0.jar"]}
    assert "note: the JobManager has no flink-python-*.jar" in refusal(tmp_path, capsys, cluster.address, "--json")


def test_the_client_s_python_error_is_the_cause() -> None:
    stderr = (
        'Traceback (most recent call last):\n  File "entry.py", line 3, in <module>\nmitra.errors.MitraError: no such model\n'
        "  more of it\norg.apache.flink.client.program.ProgramAbortException: java.lang.RuntimeException: Python process exits with code: 1\n"
    )
    assert _cause_of("", stderr).startswith("mitra.errors.MitraError: no such model")


def test_an_unreachable_cluster_is_an_error_of_mitra() -> None:
    [dead] = free_ports(1)
    with pytest.raises(ClusterError, match="no Flink cluster answers"):
        ClusterClient(f"127.0.0.1:{dead}").get("/overview")
