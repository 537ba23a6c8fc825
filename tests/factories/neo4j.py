"""A real Neo4j community server from jars, for tests of that store. It listens on loopback and reports no usage."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mitra.graph.neo4j_store import Neo4jPlace, Neo4jStore, open_store
from mitra.graph.store import StoreError
from mitra.local.jars import jars
from mitra.local.java import BRIEF, java
from mitra.local.ports import LOOPBACK, free_ports
from mitra.local.process import ChildProcess

_START_S = 120.0
_SETTINGS = """
server.default_listen_address=127.0.0.1
server.bolt.listen_address=127.0.0.1:{port}
server.http.enabled=false
server.https.enabled=false
dbms.security.auth_enabled=false
dbms.usage_report.enabled=false
server.memory.heap.initial_size=256m
server.memory.heap.max_size=256m
server.memory.pagecache.size=32m
dbms.cypher.min_replan_interval=1h
"""
_OPENS = ("java.base/java.nio", "java.base/java.io", "java.base/sun.nio.ch", "java.base/java.util.concurrent")


class Neo4jServer:
    """A server whose files lie in a folder. It can be killed, and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (self._port,) = free_ports(1)
        self.place = Neo4jPlace(f"bolt://{LOOPBACK}:{self._port}")
        (folder / "conf").mkdir(parents=True)
        (folder / "conf" / "neo4j.conf").write_text(_SETTINGS.format(port=self._port), encoding="utf-8")
        self._process: ChildProcess | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        command: list[str | Path] = [
            java(), "-Xmx256m", "-Xss1m", BRIEF,
            *(word for module in _OPENS for word in ("--add-opens", f"{module}=ALL-UNNAMED")),
            "-cp", ":".join(map(str, jars("neo4j"))),
            "org.neo4j.server.CommunityEntryPoint",
            f"--home-dir={self._folder}", f"--config-dir={self._folder / 'conf'}",
        ]  # fmt: skip
        self._process = process = ChildProcess(command, log=self._folder / "server.log", grace_s=0.5)
        ends = time.monotonic() + _START_S
        while not self._answers():
            assert process.status() is None, process.output(40)
            assert time.monotonic() < ends, process.output(40)
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self._port), timeout=1).close()
        except OSError:
            return False

        async def ask() -> None:
            await (await open_store(self.place)).close()

        try:
            asyncio.run(ask())
        except StoreError:
            return False
        return True

    def stop(self) -> None:
        """End it; what it has committed stays."""
        if self._process is not None:
            self._process.stop()
            self._process = None


@contextmanager
def neo4j_server(folder: Path) -> Iterator[Neo4jServer]:
    """A server while the block runs."""
    server = Neo4jServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


async def emptied(store: Neo4jStore) -> None:
    """Forget everything."""
    await store.write("MATCH (n) DETACH DELETE n")
    store._newest_ms = None
