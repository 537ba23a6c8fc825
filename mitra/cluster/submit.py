"""Puts the job on a Flink cluster through the `flink` program, and believes nothing until a probe has passed it.

Whatever can be known to be wrong is told before anything is submitted.
"""

import importlib.util
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import msgspec

from mitra import flink_conf
from mitra.blueprint import Blueprint
from mitra.cluster.rest import ClusterClient, ClusterError, innermost_cause
from mitra.cluster.spec import SubmitSpec
from mitra.control.beginning import require_whole
from mitra.kafka_clients import log_span
from mitra.local.environment import environment
from mitra.pipeline import Pipeline, load_pipeline
from mitra.probe import ProbeError, wait_until_scoring
from mitra.topics import require_topics

_SLOTS_WAIT_S = 10.0
"""A job that has just been stopped gives its slots back within a second or two."""
_CHECK_S = 1.0
_FAILURES = 2
"""One failure may be chance (a broker that moves); a job that fails again for a reason says it again."""
_CLIENT_HEAP_MB = 512
_JOB_ID = re.compile(r"JobID ([0-9a-f]{32})")
_CHECKPOINTS = "execution.checkpointing.dir"

_NO_MITRA = (
    "the `python` that is first on the TaskManagers' PATH lacks Mitra: start them with the bin folder of Mitra's virtual "
    "environment first on PATH (docs/operations.md)"
)
_NO_PYTHON = "the TaskManagers have no Python there: name theirs with --python (docs/operations.md)"
_ONE_JOB = (
    "a TaskManager can load the embedded Python for one job only, unless flink-python-*.jar lies in its lib folder: put it "
    "there, or restart the TaskManagers (docs/operations.md)"
)
_OTHER_STATE = (
    "the state is of a job with other stages, or with another job.buckets, which is fixed for the life of the state; set "
    "job.buckets back, or submit without --restore"
)
_HINTS = (
    (re.compile(r"loadedLibraryNames|already loaded in another classloader"), _ONE_JOB),
    (re.compile(r"No module named '?(pemja|mitra|operators|rules|models)"), _NO_MITRA),
    (re.compile(r"Cannot run program|Python process exits|Failed to create.*interpreter"), _NO_PYTHON),
    (re.compile(r"Cannot map checkpoint/savepoint state"), _OTHER_STATE),
    (re.compile(r"NoResourceAvailable|slot request", re.IGNORECASE), "too few free slots: start a TaskManager"),
)


def submit(
    path: Path,
    jobmanager: str,
    *,
    bootstrap: str | None = None,
    model: Path | None = None,
    parallelism: int = 1,
    restore: str | None = None,
    checkpoints: str | None = None,
    python: str | None = None,
    timeout_s: float = 180.0,
    tell: Callable[[str], None] = lambda _: None,
) -> str:
    """Submit a pipeline's job, wait until a probe has passed all stages of all buckets, and return the job's id.

    `restore` is a savepoint or checkpoint, `checkpoints` the folder for new ones (default: the cluster's), `python` the
    interpreter on the TaskManagers (default: this one's path). A job that fails again and again is cancelled; one that
    merely doesn't answer in time is left running. Raises MitraError saying what is wrong.
    """
    pipeline = load_pipeline(path, bootstrap)
    if not 1 <= parallelism <= pipeline.job.buckets:
        raise ClusterError(
            f"--parallelism={parallelism} can't be used: the pipeline has job.buckets={pipeline.job.buckets}, which bounds it"
        )
    # What is wrong with a feature or the model is told here, and not by a job that has just begun to start.
    _ = Blueprint.of(pipeline, model).compiled
    cluster = ClusterClient(jobmanager)
    _check_cluster(cluster, pipeline)
    folder = checkpoints or cluster.settings().get(_CHECKPOINTS)
    if not folder:
        raise ClusterError(
            f"the cluster has no folder for checkpoints; set {_CHECKPOINTS} in its config.yaml, or pass --checkpoints URI "
            "(a file system that every TaskManager sees)"
        )
    if not cluster.has_python():
        tell(f"note: the JobManager has no flink-python-*.jar in its lib folder; {_ONE_JOB}")
    require_topics(pipeline)
    _check_slots(cluster, parallelism)
    if restore is None:
        require_whole(pipeline, log_span(pipeline, pipeline.topics.control))
    spec = SubmitSpec(
        str(path.absolute()),
        bootstrap,
        None if model is None else str(model.absolute()),
        parallelism,
        fresh=restore is None,
    )
    tell(f"submitting {pipeline.name} to {cluster.address} from {restore or 'the beginning: there is no state'}")
    job = _flink_run(cluster, spec, python or sys.executable, folder, restore)
    tell(f"job {job} is on the cluster; waiting for a probe to pass all its stages")
    try:
        wait_until_scoring(pipeline, lambda: job, timeout_s, _Watch(cluster, job).check)
    except ProbeError as error:
        raise ProbeError(
            f"{error}; job={job} is left running on {cluster.address}; {_progress(cluster, job)}"
        ) from error
    return job


def _check_cluster(cluster: ClusterClient, pipeline: Pipeline) -> None:
    """Raise ClusterError unless the cluster is of this Flink and doesn't run the pipeline already."""
    theirs, ours = str(cluster.get("/overview").get("flink-version")), version("apache-flink")
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        raise ClusterError(f"the cluster at {cluster.address} runs Flink {theirs}; this Mitra needs Flink {ours}")
    running = cluster.running(pipeline.name)
    if running:
        raise ClusterError(
            f"the pipeline runs already on {cluster.address}; job={', '.join(running)}; two of it would each decide every "
            "transaction: stop it with a savepoint first, then submit with --restore (docs/operations.md)"
        )


def _check_slots(cluster: ClusterClient, parallelism: int) -> None:
    """Wait a little for enough free slots; raise ClusterError if they don't come."""
    ends = time.monotonic() + _SLOTS_WAIT_S
    while (overview := cluster.get("/overview"))["slots-available"] < parallelism:
        if time.monotonic() > ends:
            raise ClusterError(
                f"the cluster has too few free slots; free={overview['slots-available']} of {overview['slots-total']} on "
                f"{overview['taskmanagers']} TaskManagers, --parallelism={parallelism}; start TaskManagers "
                "(bin/taskmanager.sh start) or take a lower --parallelism"
            )
        time.sleep(0.5)


def _flink_run(cluster: ClusterClient, spec: SubmitSpec, python: str, checkpoints: str, restore: str | None) -> str:
    """Call `flink run` and return the id of the job. Raises ClusterError with the innermost cause of what it says."""
    settings = {
        # What concerns TaskManagers was settled when they started.
        **{key: value for key, value in flink_conf.read().items() if not key.startswith("taskmanager.")},
        _CHECKPOINTS: checkpoints,
        "rest.address": cluster.host,
        "rest.port": str(cluster.port),
    }
    command = [flink_program(), "run", "--detached", "--target", "remote", *flink_conf.arguments(settings)]
    command += [
        "--parallelism",
        str(spec.parallelism),
        "--pyExecutable",
        python,
        "--pyClientExecutable",
        sys.executable,
    ]
    if restore is not None:
        command += ["--fromSavepoint", restore]
    command += ["--python", str(Path(__file__).with_name("entry.py")), msgspec.json.encode(spec).decode()]
    with tempfile.TemporaryDirectory(prefix="mitra-submit-") as folder:
        env = environment(heap_mb=_CLIENT_HEAP_MB, logs=Path(folder))
        # A JVM that lives for ten seconds loses more by compiling well than it gains.
        env["JVM_ARGS"] += " -XX:TieredStopAtLevel=1"
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    found = _JOB_ID.search(done.stdout)
    if done.returncode != 0 or found is None:
        raise ClusterError(_with_hint(f"the job could not be submitted: {_cause_of(done.stdout, done.stderr)}"))
    return found.group(1)


def flink_program() -> str:
    """Return the path of the `flink` program that comes with the installed apache-flink."""
    package = importlib.util.find_spec("pyflink")
    if package is None or package.origin is None:
        raise ClusterError("apache-flink is not installed beside Mitra; `make setup` installs it")
    return str(Path(package.origin).parent / "bin" / "flink")


def _cause_of(stdout: str, stderr: str) -> str:
    """Return what `flink run` says went wrong: the Python error if there is one, else the innermost Java cause."""
    said = f"{stdout}\n{stderr}"
    python = re.findall(r"^(?:[\w.]+\.)?\w*Error: .*(?:\n(?!\s|Traceback|$).*)*", said, re.MULTILINE)
    java = said.partition("The program finished with the following exception:")[2].strip()
    if java and "ProgramAbortException" not in innermost_cause(java):
        return innermost_cause(java)
    return str(python[-1]) if python else innermost_cause(java) or said.strip()[-2000:]


def _with_hint(message: str) -> str:
    return next((f"{message}\n  {hint}" for pattern, hint in _HINTS if pattern.search(message)), message)


class _Watch:
    """Looks after a submitted job while the probe is on its way."""

    def __init__(self, cluster: ClusterClient, job: str) -> None:
        self._cluster = cluster
        self._job = job
        self._next = 0.0

    def check(self) -> None:
        """Raise ClusterError if the job has ended, or fails again and again; look once a second."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _CHECK_S
        state = self._cluster.state(self._job)
        failures = self._cluster.failures(self._job)
        if state in {"FAILED", "CANCELED", "FINISHED", "SUSPENDED"}:
            raise ClusterError(_with_hint(f"the job ended; job={self._job}, state={state}; {_newest(failures)}"))
        if len(failures) >= _FAILURES:
            self._cluster.cancel(self._job)
            raise ClusterError(
                _with_hint(
                    f"the job failed {len(failures)} times and was cancelled; job={self._job}; {_newest(failures)}"
                )
            )


def _newest(failures: list[str]) -> str:
    return f"the cause:\n{failures[0]}" if failures else "Flink names no cause; its logs may"


def _progress(cluster: ClusterClient, job: str) -> str:
    """Return in words what a job does that doesn't answer."""
    vertices = cluster.get(f"/jobs/{job}")["vertices"]
    waiting = [vertex["name"].partition(" ->")[0] for vertex in vertices if vertex["status"] != "RUNNING"]
    if waiting:
        return f"not running yet: {', '.join(waiting)}"
    return "all its tasks run: it may be reading a backlog, which comes before the probe; take a longer --timeout"
