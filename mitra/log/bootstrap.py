"""Fills a new job's histories out of a log, and leaves them as a savepoint to start from.

What comes out of the log was read by another job: everything up to the last record of the log is in the savepoint, and the
new job's Kafka group is set behind it, so that nothing lies between and nothing is read twice.
"""

import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec

from mitra.blueprint import Blueprint, model_files
from mitra.errors import MitraError
from mitra.kafka_clients import commit_offsets
from mitra.local.environment import environment
from mitra.local.job import ending, failure_causes
from mitra.local.process import ChildProcess
from mitra.log.reading import event_pieces, label_pieces, scan
from mitra.pipeline import Pipeline, load_pipeline
from mitra.replay.frames import FrameReader
from mitra.replay.prepare import prepare_pieces
from mitra.replay.prepared import PreparedInput

_POLL_S = 0.2
_HEAP_MB = 1024
_SAVEPOINT_S = 300.0
_SETTINGS = {"execution.checkpointing.interval": None, "restart-strategy.type": "none"}

Progress = Callable[[str], None]
Offsets = dict[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """What a bootstrap came to: the savepoint's URI, the events and labels that went in, the span of event time."""

    savepoint: str
    events: int
    labels: int
    first_ms: int | None
    last_ms: int | None


def bootstrap(
    path: Path,
    log: Path,
    savepoints: Path,
    *,
    kafka: str | None = None,
    model: Path | None = None,
    parallelism: int = 1,
    progress: Progress = lambda _: None,
) -> Bootstrapped:
    """Fill the histories of the pipeline at `path` from a log, write a savepoint below `savepoints`, and set its Kafka group.

    Raises MitraError for a log without records, for a pipeline that wouldn't start where the group is, and if the job fails.
    """
    pipeline = load_pipeline(path, kafka)
    if pipeline.job.start != "committed":
        raise MitraError(
            f"{path} has job.start={pipeline.job.start}: the job would not begin behind the log; write job: {{start: committed}}"
        )
    # What is wrong with a feature's text or the model is told before anything is read.
    _ = Blueprint(pipeline, model_files(pipeline, model)).compiled
    offsets = _ends(pipeline, log)
    savepoints.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bootstrap-", dir=savepoints) as scratch:
        work = Path(scratch)
        progress("reading the log")
        prepared = prepare_pieces(
            pipeline,
            event_pieces(pipeline, log),
            label_pieces(pipeline, log),
            work / "input",
            dead_letters=work / "rejected.jsonl",
        )
        labels = sum(len(piece.ids) for piece in label_pieces(pipeline, log))
        savepoint = _Filling(path, pipeline, model, parallelism, work, prepared).run(savepoints, progress)
    commit_offsets(pipeline, offsets)
    summary = prepared.summary
    return Bootstrapped(savepoint, prepared.rows, labels, summary.first_ms, summary.last_ms)


def _ends(pipeline: Pipeline, log: Path) -> Offsets:
    """Return the offset behind the last record of the log, by topic and partition, of the topics that the pipeline reads."""
    topics = set(Blueprint(pipeline).source_topics)
    with duckdb.connect() as connection:
        scan(connection, log, "records")
        rows = connection.execute('select topic, "partition", max("offset") + 1 from records group by all').fetchall()
    found = {(topic, partition): offset for topic, partition, offset in rows if topic in topics}
    if not found:
        raise MitraError(
            f"log={str(log)!r} has records of {', '.join(sorted({row[0] for row in rows}))}, and none of "
            f"{', '.join(sorted(topics))}, which {pipeline.name} reads; give its events and labels the topics of the log"
        )
    return found


class _Filling:
    """The job that fills histories, in a process of its own."""

    def __init__(
        self, path: Path, pipeline: Pipeline, model: Path | None, parallelism: int, work: Path, prepared: PreparedInput
    ) -> None:
        self._pipeline = pipeline
        self._work = work
        self._batches = prepared.batches
        self._local = {
            "pipeline": str(path.absolute()),
            "model": None if model is None else str(model.absolute()),
            "parallelism": parallelism,
            "settings": _SETTINGS,
        }

    def run(self, savepoints: Path, progress: Progress) -> str:
        """Run it to the end of the input and return the URI of the savepoint."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            spec = {
                "local": self._local,
                "prepared": str(self._work / "input"),
                "frames": str(self._work / "frames.bin"),
                "port": server.getsockname()[1],
                "savepoints": str(savepoints.absolute()),
            }
            progress("starting the job")
            job = ChildProcess(
                [sys.executable, "-m", "mitra.job_bootstrap", msgspec.json.encode(spec).decode()],
                log=self._work / "job.log",
                env=environment(heap_mb=_HEAP_MB, logs=self._work / "logs"),
                grace_s=_SAVEPOINT_S,
            )
            try:
                server.settimeout(_POLL_S)
                numbers = self._accept(server, job)
                with numbers:
                    progress("filling histories")
                    numbers.sendall("".join(f"{number}\n" for number in range(self._batches + 1)).encode())
                    self._wait(job)
                    progress("writing the savepoint")
                    job.stop()
            finally:
                job.stop()
        said = [line for line in job.output().splitlines() if line.startswith("savepoint ")]
        if not said:
            raise MitraError(f"the savepoint could not be written; {self._cause(job)}")
        return said[-1].removeprefix("savepoint ")

    def _accept(self, server: socket.socket, job: ChildProcess) -> socket.socket:
        while True:
            self._check(job)
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            connection.settimeout(None)
            return connection

    def _wait(self, job: ChildProcess) -> None:
        """Wait until every bucket has said that its input has ended."""
        reader = FrameReader(self._work / "frames.bin")
        ends = 0
        try:
            while ends < self._pipeline.job.buckets:
                self._check(job)
                time.sleep(_POLL_S)
                ends += sum(frame.ends for frame in reader.frames())
        finally:
            reader.close()

    def _check(self, job: ChildProcess) -> None:
        if job.status() is not None:
            raise MitraError(f"the job that fills histories ended; {self._cause(job)}")

    def _cause(self, job: ChildProcess) -> str:
        causes = failure_causes(self._work / "logs")
        return causes[-1] if causes else ending(job)
