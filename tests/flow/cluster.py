"""A standalone Flink cluster out of the pip distribution's bin folder: one JobManager and TaskManagers with one slot each.

Everything listens on 127.0.0.1, on free ports, and ends with this process, however it ends.
"""

import importlib.util
import json
import shutil
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mitra.local.environment import environment
from mitra.local.ports import LOOPBACK, free_ports
from mitra.local.process import ChildProcess

_START_S = 180.0
_SMALL = {"taskmanager.memory.flink.size": "900m", "taskmanager.memory.managed.size": "256m"}


def distribution() -> Path:
    """Return the folder of the pip distribution: bin, conf, lib."""
    package = importlib.util.find_spec("pyflink")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent


class FlinkCluster:
    """A cluster that runs between `start()` and `stop()`, or for a `with` block, with all it writes in `folder`.

    `memory` are the settings that size each TaskManager.
    """

    def __init__(self, folder: Path, task_managers: int = 2, memory: Mapping[str, str] = _SMALL) -> None:
        """Prepare a cluster; nothing runs yet."""
        self.folder = folder.absolute()
        self.task_managers = task_managers
        self._memory = memory
        self.rest_port, self._rpc_port = free_ports(2)
        self.processes: list[ChildProcess] = []
        self._started = 0

    @property
    def address(self) -> str:
        """What `--jobmanager` takes."""
        return f"{LOOPBACK}:{self.rest_port}"

    def start(self, env: Mapping[str, str] | None = None) -> Self:
        """Start all processes and wait until every TaskManager has registered; `env` is added to the TaskManagers'."""
        self._configure(distribution())
        self._start("jobmanager.sh", {})
        self.start_task_managers(env)
        return self

    def start_task_managers(self, env: Mapping[str, str] | None = None) -> None:
        """Start the TaskManagers and wait until all have registered."""
        for _ in range(self.task_managers):
            self._start("taskmanager.sh", env or {})
        self._wait_for(self.task_managers)

    def stop_task_managers(self) -> None:
        """End the TaskManagers and wait until the JobManager knows."""
        while len(self.processes) > 1:
            self.processes.pop().stop()
        self._wait_for(0)

    def _start(self, script: str, env: Mapping[str, str]) -> None:
        self._started += 1
        place = self.folder / f"{self._started}-{script.removesuffix('.sh')}"
        named = {
            **environment(logs=place / "logs"),
            "FLINK_CONF_DIR": str(self.folder / "conf"),
            "FLINK_LIB_DIR": str(self.folder / "lib"),
            "FLINK_PID_DIR": str(place),
        }
        command = [str(distribution() / "bin" / script), "start-foreground"]
        self.processes.append(ChildProcess(command, log=place / "out.log", env={**named, **env}, grace_s=5.0))

    def _wait_for(self, task_managers: int) -> None:
        ends = time.monotonic() + _START_S
        while self._registered() != task_managers:
            for process in self.processes:
                assert process.status() is None, process.output()
            assert time.monotonic() < ends, "the TaskManagers are not as they should be"
            time.sleep(0.2)

    def get(self, path: str) -> Any:
        """Ask the REST API."""
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def stop(self) -> None:
        """End all processes. Twice is once."""
        for process in reversed(self.processes):
            process.stop()
        self.processes = []

    def _registered(self) -> int:
        try:
            return int(self.get("/overview")["taskmanagers"])
        except OSError:
            return -1

    def _configure(self, home: Path) -> None:
        # With Flink's Python operators in lib, a TaskManager can run one job after another (docs/operations.md).
        lib, conf = self.folder / "lib", self.folder / "conf"
        lib.mkdir(parents=True)
        for jar in [*(home / "lib").glob("*.jar"), *(home / "opt").glob("flink-python-*.jar")]:
            (lib / jar.name).symlink_to(jar)
        conf.mkdir()
        for path in (home / "conf").glob("log*.*"):
            shutil.copy(path, conf)
        # The Java options of the distribution are needed on Java 17: they open modules to Flink.
        opens = next(
            line for line in (home / "conf" / "config.yaml").read_text().splitlines() if "--add-exports" in line
        )
        settings = {
            "env.java.opts.all": opens.partition("all:")[2].strip(),
            "jobmanager.rpc.address": LOOPBACK,
            "jobmanager.rpc.port": self._rpc_port,
            "jobmanager.bind-host": LOOPBACK,
            "jobmanager.memory.process.size": "900m",
            "rest.address": LOOPBACK,
            "rest.bind-address": LOOPBACK,
            "rest.port": self.rest_port,
            "blob.server.port": 0,
            "taskmanager.host": LOOPBACK,
            "taskmanager.bind-host": LOOPBACK,
            "taskmanager.numberOfTaskSlots": 1,
            **self._memory,
            "taskmanager.memory.network.min": "64m",
            "taskmanager.memory.network.max": "64m",
            # A TaskManager that ends is missed within seconds.
            "heartbeat.interval": "1 s",
            "heartbeat.timeout": "10 s",
            "execution.checkpointing.dir": (self.folder / "checkpoints").as_uri(),
            "execution.checkpointing.savepoint-dir": (self.folder / "savepoints").as_uri(),
            "io.tmp.dirs": str(self.folder),
        }
        lines = [f"{key}: {value}\n" for key, value in settings.items()]
        (conf / "config.yaml").write_text("".join(lines), encoding="utf-8")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
