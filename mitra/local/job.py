"""The live job on a local mini cluster, in a process of its own that ends with this one."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from mitra import flink_conf
from mitra.errors import MitraError
from mitra.local.environment import environment
from mitra.local.process import ChildProcess
from mitra.pipeline import Pipeline
from mitra.probe import wait_until_scoring

_CAUSE_LINES = 12
_CRASH = re.compile(r"fatal error has been detected by the Java.*?# Problematic frame:\n# (?P<frame>[^\n]*)", re.DOTALL)
_CRASH_REPORT = re.compile(r"# (?P<path>/\S*hs_err\S*)")
_SUBMITTED = re.compile(r"^job ([0-9a-f]{32}) submitted$", re.MULTILINE)
_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d ")


class LocalJob:
    """A job that runs between `start()` and `stop()`, or for a `with` block.

    `folder` takes its logs and checkpoints. `restore` is a checkpoint or savepoint to start from.
    """

    def __init__(
        self,
        pipeline_path: Path,
        pipeline: Pipeline,
        folder: Path,
        *,
        model: Path | None = None,
        parallelism: int = 1,
        restore: str | None = None,
        settings: dict[str, str] | None = None,
        brief: bool = False,
    ) -> None:
        """Prepare a job; nothing runs yet. `settings` win over flink-conf.yaml; `brief`: it is to run for some minutes."""
        self._brief = brief
        self.pipeline = pipeline
        self.folder = folder.absolute()
        self._spec: dict[str, Any] = {
            "pipeline": str(pipeline_path.absolute()),
            "bootstrap": pipeline.bootstrap,
            "model": None if model is None else str(model.absolute()),
            "parallelism": parallelism,
            "checkpoints": str(self.folder / "checkpoints"),
            "restore": restore,
            "settings": settings or {},
        }
        self._process: ChildProcess | None = None
        self._id: str | None = None

    @property
    def process(self) -> ChildProcess:
        """The job's process. Raises MitraError before the start."""
        if self._process is None:
            raise MitraError("the job does not run; call start() first")
        return self._process

    def start(self, *, wait_s: float = 300.0, stopped: Callable[[], bool] = lambda: False) -> Self:
        """Start the job and wait until a probe has passed all its stages, or until `stopped` says to give up.

        Raises MitraError, with the end of its log, if it ends or doesn't score within `wait_s`.
        """
        heap_mb = flink_conf.local_heap_mb({**flink_conf.read(), **self._spec["settings"]})
        env = environment(heap_mb=heap_mb, logs=self.folder / "logs", brief=self._brief)
        command = [sys.executable, "-m", "mitra.job_local", msgspec.json.encode(self._spec).decode()]
        self._process = ChildProcess(command, log=self.folder / "job.log", env=env)
        self._id = None
        try:
            wait_until_scoring(self.pipeline, self._submitted, wait_s, self._check_start, stopped)
        except BaseException:
            self.stop()
            raise
        return self

    def check(self) -> None:
        """Raise MitraError, with the end of its log, if the job has ended."""
        status = self.process.status()
        if status is not None:
            raise MitraError(f"the job ended; status={status}, log={self.process.log}; {ending(self.process)}")

    def _submitted(self) -> str | None:
        """Return Flink's id of the job, None before its process has said it."""
        if self._id is None:
            said = _SUBMITTED.search(self.process.output(1000))
            self._id = said and said[1]
        return self._id

    def _check_start(self) -> None:
        """Raise MitraError if the job has ended, or fails again and again while Flink goes on restarting it."""
        self.check()
        failures = failure_causes(self.folder / "logs")
        if len(failures) > 1:
            msg = f"the job fails and is restarted, again and again; logs={self.folder / 'logs'}; the cause:\n{failures[-1]}"
            raise MitraError(msg)

    def stop(self) -> None:
        """End the job; its checkpoints stay in the folder. Twice is once."""
        if self._process is not None:
            self._process.stop()

    def last_checkpoint(self) -> str | None:
        """Return the newest completed checkpoint in the folder, to restore from, or None."""
        found = [path.parent for path in (self.folder / "checkpoints").glob("*/chk-*/_metadata")]
        newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
        return None if newest is None else newest.as_uri()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def ending(process: ChildProcess) -> str:
    """Return why a job's process ended: in words where the cause is known, else the last lines that it printed."""
    said = process.output(2000)
    if "Cannot map checkpoint/savepoint state" in said:
        return (
            "the state is of a job with other stages, or with another job.buckets, which is fixed for the life of the "
            "state; set job.buckets back, or start without state"
        )
    crash = _CRASH.search(said)
    if crash:
        return (
            f"Java crashed in native code, in {crash['frame'].strip()}; its report is "
            f"{(report['path'] if (report := _CRASH_REPORT.search(said)) else 'an hs_err file in the working folder')}"
        )
    return f"it said last:\n{process.output(30)}"


def failure_causes(logs: Path) -> list[str]:
    """Return the innermost cause of each failure of a task in Flink's logs, with its Python trace if it has one."""
    return [
        cause
        for log in sorted(logs.glob("*.log"))
        for cause in _causes(log.read_text(encoding="utf-8", errors="replace").splitlines())
    ]


def _causes(lines: Iterable[str]) -> Iterator[str]:
    """Yield the last `Caused by` behind each line that tells a failure, with the frames of Python below it."""
    cause: list[str] | None = None
    for line in lines:
        if cause is not None and _LOG_LINE.match(line):
            yield "\n".join(cause[:_CAUSE_LINES])
            cause = None
        if "with failure cause:" in line:
            cause = [line.partition("with failure cause:")[2].strip()]
        elif cause is not None and line.startswith("Caused by: "):
            cause = [line.removeprefix("Caused by: ")]
        elif cause is not None and line.startswith("\tat ") and ".java:" not in line and "(Native Method)" not in line:
            cause.append(line.replace("\t", "  "))
        elif cause == [""]:
            cause = [line]
    if cause is not None:
        yield "\n".join(cause[:_CAUSE_LINES])
