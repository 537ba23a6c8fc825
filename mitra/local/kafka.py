"""A real single-node Kafka (KRaft) on loopback, for development, the demo and the tests."""

import base64
import logging
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from mitra.errors import MitraError
from mitra.local.jars import jars
from mitra.local.java import BRIEF, java
from mitra.local.ports import LOOPBACK, free_ports, is_free
from mitra.local.process import ChildProcess

_HIGHEST_PORT = 65_535
_START_S = 60.0
"""A start takes 3 s on two idle cores; a machine twenty times as busy still gets there."""

SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # One node holds the only copy of everything.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # The defaults, 50 each, cost a second when the first group or transaction comes.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    # A consumer group is ready at once instead of waiting 3 s for more members.
    "group.initial.rebalance.delay.ms": "0",
    "num.partitions": "2",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": "16777216",
    # Keeps a machine's disk free: an hour, or 1 GiB a partition.
    "log.retention.ms": "3600000",
    "log.retention.bytes": "1073741824",
    "log.segment.bytes": "134217728",
    "log.retention.check.interval.ms": "60000",
    # Topics are made on purpose, with the partitions they should have.
    "auto.create.topics.enable": "false",
    # Mitra's exactly-once delivery asks for up to this; the default.
    "transaction.max.timeout.ms": "900000",
}


class LocalKafka:
    """A broker that runs between `start()` and `stop()`, or for a `with` block, and ends with this process in any case.

    Without `data` it keeps everything in a temporary folder that goes with it; with `data` it finds its topics again.
    `port` 0 is any free one. `settings` are added to `SETTINGS`. After the start, `bootstrap` is what clients need,
    `pid` the broker's process and `log` the file with its output.
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        port: int = 0,
        heap_mb: int = 512,
        settings: Mapping[str, str] | None = None,
        brief: bool = False,
    ) -> None:
        """Prepare a broker; nothing runs yet. `brief`: it is to run for some minutes."""
        self.brief = brief
        self.port = port
        self.heap_mb = heap_mb
        self.settings = {**SETTINGS, **(settings or {})}
        self._given_data = data
        self._folder: Path | None = None
        self._process: ChildProcess | None = None

    @property
    def bootstrap(self) -> str:
        """The address for clients, `127.0.0.1:PORT`."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """The broker's process id."""
        return self._running().pid

    @property
    def log(self) -> Path:
        """The file with the broker's output."""
        return self._running().log

    def start(self) -> Self:
        """Start the broker and wait until it serves clients.

        Raises MitraError with the last lines of the log when it ends early or takes longer than a minute.
        """
        if self._process is not None:
            return self
        if not 0 <= self.port <= _HIGHEST_PORT:
            raise MitraError(f"no such port; port={self.port}; choose one up to {_HIGHEST_PORT}, or 0 for any")
        if self.port and not is_free(self.port):
            raise MitraError(f"the port is taken; port={self.port}; choose another one, or 0 for any")
        jars("kafka")  # what must be fetched is fetched before anything else is made
        for tries_left in (2, 1, 0):
            try:
                self._launch()
                break
            except BaseException as error:
                self.stop()
                # Somebody was quicker to take a port that had been free: choose others.
                if not (tries_left and "Address already in use" in str(error)):
                    raise
        return self

    def _launch(self) -> None:
        folder = self._given_data or Path(tempfile.mkdtemp(prefix="mitra-kafka-"))
        self._folder = folder.absolute()
        self._folder.mkdir(parents=True, exist_ok=True)
        found, controller_port = free_ports(2)
        port = self.port or found
        properties = self._write_properties(port, controller_port)
        heap = (f"-Xmx{self.heap_mb}m", f"-Xms{min(128, self.heap_mb)}m")
        brief = (BRIEF,) if self.brief else ()
        command: list[str | Path] = [java(), *heap, *brief, *_JVM, "-cp", ":".join(map(str, jars("kafka")))]
        if not (self._folder / "topics" / "meta.properties").exists():
            self._format([*command, "kafka.tools.StorageTool", "format", "-t", _random_id(), "-c", properties])
        self._process = ChildProcess([*command, "kafka.Kafka", properties], log=self._folder / "kafka.log")
        self._wait_until_ready(port)
        self.port = port

    def stop(self) -> None:
        """End the broker, and delete its temporary folder. Twice is once."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        if self._given_data is None and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def check(self) -> None:
        """Raise MitraError, with the last lines of its log, when the broker no longer runs."""
        process = self._running()
        status = process.status()
        if status is not None:
            raise MitraError(f"Kafka ended; status={status}, log={process.log}; it said last:\n{process.output(15)}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> ChildProcess:
        if self._process is None:
            raise MitraError("Kafka does not run; call start() first")
        return self._process

    def _write_properties(self, port: int, controller_port: int) -> Path:
        assert self._folder is not None
        lines = {
            **self.settings,
            # Named here and not in the storage, the controller may have another port at the next start.
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
            "log.dirs": str(self._folder / "topics"),
        }
        path = self._folder / "server.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in lines.items()), encoding="utf-8")
        return path

    def _format(self, command: list[str | Path]) -> None:
        assert self._folder is not None
        process = ChildProcess(command, log=self._folder / "format.log")
        ends = time.monotonic() + _START_S
        while (status := process.status()) is None and time.monotonic() < ends:
            time.sleep(0.02)
        process.stop()
        if status is None:
            raise MitraError(
                f"Kafka has not formatted its storage in time; waited_s={_START_S:g}, folder={self._folder}; "
                "the machine may be too busy: try again"
            )
        if status != 0:
            raise MitraError(
                f"Kafka could not format its storage; status={status}, folder={self._folder}; "
                f"is the folder writable and the disk not full? It said last:\n{process.output(15)}"
            )

    def _wait_until_ready(self, port: int) -> None:
        ends = time.monotonic() + _START_S
        while not _answers(port):
            self.check()
            if time.monotonic() > ends:
                process = self._running()
                raise MitraError(
                    f"Kafka does not answer; waited_s={_START_S:g}, port={port}, log={process.log}; "
                    f"it said last:\n{process.output(15)}"
                )
            time.sleep(0.05)


_JVM = (
    # Kafka's own choice, short pauses.
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxDirectMemorySize=256m",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
)


def _answers(port: int) -> bool:
    """Tell whether the broker lists itself to a client: it is then registered, unfenced and serves requests."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return broker_count(f"{LOOPBACK}:{port}") > 0


def broker_count(bootstrap: str, timeout_ms: int = 3000) -> int:
    """Return how many brokers a Kafka lists to a client; 0 where nothing answers in time."""
    from kafka import KafkaAdminClient  # noqa: PLC0415 - takes 0.3 s, which other commands need not wait for
    from kafka.errors import KafkaError  # noqa: PLC0415

    logger = logging.getLogger("kafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)  # that nothing answers yet is no news
    try:
        client = KafkaAdminClient(
            bootstrap_servers=bootstrap, request_timeout_ms=timeout_ms, bootstrap_timeout_ms=timeout_ms
        )
        try:
            return len(client.describe_cluster()["brokers"])
        finally:
            client.close()
    except KafkaError:
        return 0
    finally:
        logger.setLevel(before)


def _random_id() -> str:
    """Return a cluster id in Kafka's form: a random UUID in URL-safe base64 without padding."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass  # a leading dash reads as an option of the storage tool
    return text
