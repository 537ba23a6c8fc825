"""The whole service in one process: restore, follow the edges topic, answer, find communities, save, until it is told to end."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitra.graph.embedded import EmbeddedStore
from mitra.graph.follow import Follower
from mitra.graph.server import GraphServer, Guard
from mitra.graph.service import GraphService
from mitra.graph.snapshot import Saved, pack, read, write
from mitra.pipeline import Pipeline

log = logging.getLogger(__name__)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Serving:
    """What one service is. `folder` keeps snapshots of the embedded store; without a pipeline no topic is followed."""

    address: str
    pipeline: Pipeline | None = None
    folder: Path | None = None
    guard: Guard = field(default_factory=Guard)
    communities_s: float = 60.0
    save_s: float = 300.0
    seconds: float | None = None


async def serve(what: Serving, say: Say) -> None:
    """Serve until Ctrl-C, SIGTERM or the end of the time. Raises MitraError for what can't be opened."""
    saved = (read(what.folder) if what.folder else None) or Saved()
    topic = "" if what.pipeline is None else what.pipeline.topics.edges
    store = EmbeddedStore(saved.columns)
    service = GraphService(store, saved.communities)
    server = GraphServer(service, what.guard)
    port = await server.start(what.address)
    host = what.address.rpartition(":")[0]
    if saved.columns.links:
        say(f"restored {saved.columns.links:,} links between {len(saved.columns.nodes):,} nodes from {what.folder}")
    # The offsets of another topic say nothing of this one; what has been read already changes nothing.
    follower = (
        None
        if what.pipeline is None
        else Follower(what.pipeline, service, saved.offsets if saved.topic == topic else {})
    )
    tasks: list[asyncio.Task[Any]] = []
    try:
        if follower is None:
            await server.ready()
        else:
            say(await asyncio.get_running_loop().run_in_executor(None, follower.open))
            tasks.append(asyncio.create_task(follower.run(server.ready)))
        say(
            f"serving on {host}:{port}{' with TLS' if what.guard.certificate else ''}{', token wanted' if what.guard.token else ''}"
        )
        if what.communities_s > 0:
            tasks.append(asyncio.create_task(service.keep_finding(what.communities_s)))

        def save() -> bytes:
            offsets = {} if follower is None else dict(follower.offsets)
            return pack(Saved(saved.columns, service.communities, topic, offsets))

        if what.folder is not None:
            tasks.append(asyncio.create_task(_keep_saving(save, what.folder, what.save_s)))
        await _until_told(what.seconds, tasks)
        await server.stop()
        if what.folder is not None:
            write(save(), what.folder)
            say(f"saved {saved.columns.links:,} links to {what.folder}")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.stop(0)
        if follower is not None:
            follower.close()
        await store.close()


async def _keep_saving(save: Callable[[], bytes], folder: Path, every_s: float) -> None:
    """Save every so often; a full disk is told, and tried again."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(every_s)
        data = save()
        try:
            await loop.run_in_executor(None, write, data, folder)
        except OSError as error:
            log.error("the graph could not be saved in %s: %s", folder, error)  # noqa: TRY400 - a sentence says it


async def _until_told(seconds: float | None, tasks: list[asyncio.Task[Any]]) -> None:
    """Wait for Ctrl-C, SIGTERM, the end of the time, or a task that fails; what it raised goes to the caller."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    waiting = asyncio.create_task(told.wait())
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
    finally:
        waiting.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
