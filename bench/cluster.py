"""The job on a standalone Flink cluster of this machine, put there as `mitra submit` does it."""

from pathlib import Path
from typing import Self

from mitra import flink_conf
from mitra.cluster.rest import ClusterClient
from mitra.cluster.submit import submit
from mitra.errors import MitraError
from mitra.pipeline import Pipeline
from tests.flow.cluster import FlinkCluster

_SIZES = ("taskmanager.memory.task.heap.size", "taskmanager.memory.managed.size")
_START_S = 600.0


class ClusterJob:
    """A JobManager, TaskManagers with one slot each, and the job on all of them, between `start()` and `stop()`."""

    def __init__(self, path: Path, pipeline: Pipeline, folder: Path, task_managers: int) -> None:
        """Prepare; nothing runs yet. Each TaskManager has the sizes that flink-conf.yaml gives a local run."""
        self._path = path
        self._pipeline = pipeline
        self._cluster = FlinkCluster(folder, task_managers, {name: flink_conf.read()[name] for name in _SIZES})
        self._job = ""

    def start(self, restore: str | None) -> Self:
        """Start the cluster, submit the job from a checkpoint, and return when it scores."""
        try:
            self._cluster.start()
            self._job = submit(
                self._path,
                self._cluster.address,
                bootstrap=self._pipeline.bootstrap,
                parallelism=self._cluster.task_managers,
                restore=restore,
                timeout_s=_START_S,
            )
        except BaseException:
            self.stop()
            raise
        return self

    @property
    def processes(self) -> dict[str, int]:
        """The ids of the cluster's processes by name."""
        manager, *workers = (process.pid for process in self._cluster.processes)
        return {"jobmanager": manager, **{f"taskmanager-{number}": pid for number, pid in enumerate(workers, 1)}}

    def check(self) -> None:
        """Raise MitraError if the job has failed, even if Flink has restarted it since."""
        client = ClusterClient(self._cluster.address)
        failures = client.failures(self._job)
        if failures or client.state(self._job) != "RUNNING":
            raise MitraError(f"the job on the cluster is {client.state(self._job)}; failures: {failures}")

    def last_checkpoint(self) -> str | None:
        """Return the newest completed checkpoint, or None."""
        newest = self._cluster.get(f"/jobs/{self._job}/checkpoints")["latest"]["completed"]
        return None if newest is None else str(newest["external_path"])

    def stop(self) -> None:
        """End all processes; checkpoints stay. Twice is once."""
        self._cluster.stop()
