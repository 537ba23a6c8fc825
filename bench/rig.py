"""The measured system on this machine: a real Kafka, the job, and histories that the job itself has filled.

With a folder to keep, histories are filled once: the next run with the same folder starts the job from that state.
"""

import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from types import TracebackType
from typing import Any, Self

import msgspec

from bench.cluster import ClusterJob
from bench.load import Spec
from bench.scorer import scorer
from bench.usage import Watch
from bench.workload import write_pipeline
from mitra.local.job import LocalJob
from mitra.local.kafka import LocalKafka
from mitra.pipeline import Pipeline, load_pipeline
from mitra.topic_plan import needed_topics
from mitra.topics import topics_client

ROOT = Path(__file__).resolve().parent.parent
DAY_MS = 86_400_000
PRELOAD_DAYS = 30
BACKLOG_RATE = 1_000
"""How fast the payments of a backlog came. Had they all one time, windows of a minute would hold as much as those of a month."""
_KAFKA = {"log.retention.ms": "86400000", "log.retention.bytes": "-1"}


class Running:
    """What runs for a `with` block: `_start` starts it, and puts how each part ends onto `_stack`."""

    _stack: ExitStack

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        raise NotImplementedError


class Rig(Running):
    """Kafka and the job, running for a `with` block. `job` are settings of the pipeline's job, `settings` Flink's."""

    def __init__(
        self,
        *,
        preload: int,
        job: dict[str, Any],
        settings: dict[str, str],
        keep: Path | None = None,
        log: bool = False,
    ) -> None:
        """Prepare; nothing runs yet. `preload` is the number of payments that histories are filled with."""
        self._log = log
        self.log: Path | None = None
        self.preload = preload
        self.job_settings = job
        self.settings = settings
        self.preloaded: dict[str, Any] = {}
        self._keep = keep
        self.job: LocalJob | ClusterJob
        self._stack = ExitStack()
        self._runs = 0
        self._newest_ms = 0.0

    def _start(self) -> None:
        folder = self._folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="mitra-bench-")))
        model = scorer()
        kept = self._keep and self._keep.absolute()
        filled = kept is not None and (kept / "preloaded.json").exists()
        if kept is not None and filled:
            self.preloaded = json.loads((kept / "preloaded.json").read_text())
            shutil.copytree(kept / "kafka", folder / "kafka")
        data = folder / "kafka"
        self.kafka = LocalKafka(data, settings=_KAFKA)
        self._stack.callback(self._stop_kafka)
        self.kafka.start()
        # Kept histories go on with the log that they were filled with.
        self.log = (kept or folder) / "log" if self._log else None
        self.path = write_pipeline(folder / "pipeline.yaml", self.job_settings, model, log=self.log)
        self.pipeline: Pipeline = load_pipeline(self.path, self.kafka.bootstrap)
        with topics_client(self.pipeline) as client:
            client.create(needed_topics(self.pipeline))
        if not filled:
            self._start_job(kept / "job" if kept else folder / "job")
            self._fill()
            if kept is not None:
                self._keep_filled(kept, data)
                self._start_job(folder / "job", self._checkpoint)
        else:
            assert kept is not None
            self._start_job(folder / "job", self.preloaded["checkpoint"])

    def _stop_kafka(self) -> None:
        self.kafka.stop()

    def _start_job(self, folder: Path, restore: str | None = None) -> None:
        job = self.job = LocalJob(self.path, self.pipeline, folder, restore=restore, settings=self.settings)
        self._stack.callback(job.stop)
        job.start()

    @contextmanager
    def on_cluster(self, task_managers: int) -> Iterator[None]:
        """Move the job with its state to a standalone cluster for a `with` block, and back."""
        if self.settings:
            raise SystemExit(f"--set={self.settings} can't be had on a cluster: it is submitted with flink-conf.yaml")
        self._stop_job()
        folder = Path(mkdtemp(prefix="cluster-", dir=self._folder))
        cluster = ClusterJob(self.path, self.pipeline, folder / "cluster", task_managers)
        self._stack.callback(cluster.stop)
        self.job = cluster.start(self._checkpoint)
        yield
        self._stop_job()
        self._start_job(self._folder / "job", self._checkpoint)

    def _stop_job(self) -> None:
        """Stop the job at a checkpoint that knows all that was sent."""
        self.wait_for_checkpoint()
        self._checkpoint = self.job.last_checkpoint()
        self.job.stop()

    def _fill(self) -> None:
        if not self.preload:
            return
        print(f"filling histories with {self.preload:,} payments over {PRELOAD_DAYS} days …", flush=True)
        span_ms = PRELOAD_DAYS * DAY_MS
        found = self.load(
            self.preload, None, start_ms=time.time() * 1000 - span_ms, step_ms=span_ms / self.preload, quiet_s=60.0
        )
        self.preloaded = {"payments": self.preload, "days": PRELOAD_DAYS, "rate": found["rate"]}
        self.wait_for_checkpoint()

    def _keep_filled(self, kept: Path, data: Path) -> None:
        self._stop_job()
        self.kafka.stop()
        shutil.copytree(data, kept / "kafka")
        (kept / "preloaded.json").write_text(json.dumps({**self.preloaded, "checkpoint": self._checkpoint}))
        self.kafka.start()
        self.pipeline = load_pipeline(self.path, self.kafka.bootstrap)

    def wait_for_checkpoint(self) -> None:
        """Return when a checkpoint is complete that was begun after now."""
        before = self.job.last_checkpoint()
        for wanted in range(2):  # the first may have been begun before
            deadline = time.monotonic() + 60
            while (newest := self.job.last_checkpoint()) == before and time.monotonic() < deadline:
                self.job.check()
                time.sleep(0.2)
            before = newest
            del wanted

    def load(self, count: int, rate: float | None, **options: Any) -> dict[str, Any]:
        """Run the load in a process of its own; return what it saw, and what everybody took meanwhile."""
        self._runs += 1
        spec = Spec(
            bootstrap=self.kafka.bootstrap,
            payments_topic=self.pipeline.decided.topic,
            decisions_topic=self.pipeline.topics.decisions,
            run=uuid.uuid4().hex[:8],
            count=count,
            rate=rate,
            seed=100 + self._runs,
            **options,
        )
        command = [sys.executable, "-m", "bench.load", msgspec.json.encode(spec).decode()]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            with Watch({**self._processes, "broker": self.kafka.pid, "load": process.pid}) as watch:
                output, _ = process.communicate()
        finally:
            if process.poll() is None:
                process.kill()
        self.job.check()
        if process.returncode:
            raise SystemExit(f"the load failed with status {process.returncode}")
        usage = watch.result()
        found: dict[str, Any] = json.loads(output)
        found["cpu_us_per_payment"] = {name: round(u["cpu_s"] / count * 1e6, 1) for name, u in usage.items()}
        found["usage"] = usage
        found["state_bytes"] = self.state_bytes()
        self._newest_ms = time.time() * 1000
        return found

    def backlog(self, count: int, **options: Any) -> dict[str, Any]:
        """Let the job catch up with payments that came at `BACKLOG_RATE` while it was away, up to now.

        Waits until no payment that was sent before is newer than the first of them.
        """
        step_ms = 1000 / BACKLOG_RATE
        wait_s = (self._newest_ms + count * step_ms) / 1000 - time.time()
        if wait_s > 0:
            print(f"  waiting {wait_s:.0f} s: the backlog is of payments newer than all before", flush=True)
            time.sleep(wait_s)
        return self.load(count, None, start_ms=time.time() * 1000 - count * step_ms, step_ms=step_ms, **options)

    @property
    def _processes(self) -> dict[str, int]:
        return {"job": self.job.process.pid} if isinstance(self.job, LocalJob) else self.job.processes

    def state_bytes(self) -> int:
        """Return the bytes of the newest checkpoint: its own files, and those it shares with older ones."""
        found = self.job.last_checkpoint()
        if found is None:
            return 0
        newest = Path(found.removeprefix("file:").replace("//", "/", 1))
        folders = (newest, newest.parent / "shared")
        sizes = []
        for path in (p for folder in folders for p in folder.rglob("*")):
            try:
                sizes.append(path.stat().st_size if path.is_file() else 0)
            except FileNotFoundError:  # a later checkpoint has taken its place
                continue
        return sum(sizes)
