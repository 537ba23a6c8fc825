"""The whole service in one process: restore, follow the edges topic, answer, find communities, save, until it is told to end."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitra.graph.community import Communities
from mitra.graph.embedded import EmbeddedStore
from mitra.graph.follow import Follower
from mitra.graph.server import GraphServer, Guard
from mitra.graph.service import GraphService
from mitra.graph.snapshot import Saved, delayed_pack, read, write
from mitra.graph.store import GraphStore, StoreError
from mitra.pipeline import Pipeline

if TYPE_CHECKING:
    from mitra.graph.neo4j_store import Neo4jStore  # its driver is optional

log = logging.getLogger(__name__)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Serving:
    """What one service is. Without a pipeline no topic is followed.

    The graph is embedded, and `folder` keeps its snapshots; or it lies in the database that `open_database` connects to.
    """

    address: str
    pipeline: Pipeline | None = None
    folder: Path | None = None
    open_database: Callable[[], Awaitable["Neo4jStore"]] | None = None
    guard: Guard = field(default_factory=Guard)
    communities_s: float = 60.0
    save_s: float = 300.0
    seconds: float | None = None


@dataclass
class _Kept:
    """A store with what is known of its past, and how it is told how far the topic has been read."""

    store: GraphStore
    communities: Communities
    offsets: Mapping[int, int]
    save: Callable[[Mapping[int, int]], Awaitable[str]] | None


async def serve(what: Serving, say: Say) -> None:
    """Serve until Ctrl-C, SIGTERM or the end of the time. Raises MitraError for what can't be opened."""
    topic = "" if what.pipeline is None else what.pipeline.topics.edges
    kept = await _in_database(what.open_database, topic) if what.open_database else _embedded(what.folder, topic, say)
    service = GraphService(kept.store, kept.communities)
    server = GraphServer(service, what.guard)
    tasks: list[asyncio.Task[Any]] = []
    follower: Follower | None = None
    try:
        port = await server.start(what.address)
        host = what.address.rpartition(":")[0]
        if what.pipeline is None:
            await server.ready()
        else:
            follower = Follower(what.pipeline, service, kept.offsets)
            say(await asyncio.get_running_loop().run_in_executor(None, follower.open))
            tasks.append(asyncio.create_task(follower.run(server.ready)))
        say(
            f"serving on {host}:{port}{' with TLS' if what.guard.certificate else ''}{', token wanted' if what.guard.token else ''}"
        )
        if what.communities_s > 0:
            tasks.append(asyncio.create_task(service.keep_finding(what.communities_s)))

        async def save() -> str:
            assert kept.save is not None
            return await kept.save({} if follower is None else dict(follower.offsets))

        if kept.save is not None:
            tasks.append(asyncio.create_task(_keep_saving(save, what.save_s)))
        await _until_told(what.seconds, tasks)
        await server.stop()
        if kept.save is not None:
            say(await save())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.stop(0)
        if follower is not None:
            follower.close()
        await kept.store.close()


def _embedded(folder: Path | None, topic: str, say: Say) -> _Kept:
    """Return the store in memory, as its folder's snapshot has it."""
    saved = (read(folder) if folder else None) or Saved()
    store, communities = EmbeddedStore(saved.columns), saved.communities
    # The offsets of another topic say nothing of this one; what has been read already changes nothing.
    offsets = saved.offsets if saved.topic == topic else {}
    if folder is None:
        return _Kept(store, communities, offsets, None)
    if saved.columns.links:
        say(f"restored {saved.columns.links:,} links between {len(saved.columns.nodes):,} nodes from {folder}")

    async def save(offsets: Mapping[int, int]) -> str:
        packed = delayed_pack(Saved(saved.columns, communities, topic, dict(offsets)))
        await asyncio.to_thread(lambda: write(packed(), folder))
        return f"saved {saved.columns.links:,} links to {folder}"

    return _Kept(store, communities, offsets, save)


async def _in_database(open_database: Callable[[], Awaitable["Neo4jStore"]], topic: str) -> _Kept:
    """Return the store in a database, which also remembers how far the topic has been read."""
    store = await open_database()

    async def save(offsets: Mapping[int, int]) -> str:
        await store.keep_offsets(topic, offsets)
        return f"{topic} has been read to {sum(offsets.values())} in all, and the database knows it"

    return _Kept(store, Communities(), await store.offsets(topic), save if topic else None)


async def _keep_saving(save: Callable[[], Awaitable[str]], every_s: float) -> None:
    """Save every so often; a full disk or a database that is away is told, and tried again."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await save()
        except (OSError, StoreError) as error:
            log.error("the graph could not be saved: %s", error)  # noqa: TRY400 - a sentence says it


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
