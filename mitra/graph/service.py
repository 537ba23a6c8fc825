"""The service over one store: answers with what communities add, and looks for these in the background."""

import asyncio
import logging
import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from mitra.graph.columns import node_key
from mitra.graph.community import Communities, Snapshot, find_communities
from mitra.graph.features import COMMUNITY, Column
from mitra.graph.questions import Answers, Question
from mitra.graph.records import Record
from mitra.graph.store import GraphStore, Taken
from mitra.hashing import text_hash

log = logging.getLogger(__name__)

NICE = 10
"""Communities are found at a lower priority: the answers that a payment waits for come first."""


def give_way() -> None:
    """Begin a process that finds communities: behind what answers, and not for longer than that lives, even if it is killed."""
    os.nice(NICE)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


class GraphService:
    """Answers questions and takes records; `find` adds a snapshot of the communities."""

    def __init__(self, store: GraphStore, communities: Communities | None = None) -> None:
        """Serve a store, with the snapshots that are there already."""
        self.store = store
        self.communities = communities or Communities()

    async def answer(self, questions: Sequence[Question], features: Sequence[Column]) -> Answers:
        """Answer each question with all features."""
        answers = await self.store.answer(questions, features)
        asked = {one.name: place for place, one in enumerate(features) if one.name in COMMUNITY}
        if asked and self.communities.snapshots:
            nodes = [text_hash(node_key(one.kind, one.id)) for one in questions]
            self.communities.fill(answers.values, asked, nodes, [one.as_of_ms for one in questions])
        return answers

    async def ingest(self, records: Sequence[Record]) -> Taken:
        """Take records; each counts once, however often it comes."""
        return await self.store.ingest(records)

    async def find(self, executor: Executor | None = None) -> Snapshot | None:
        """Find the communities as of the newest link; None where there are no links or they have been found already."""
        time_ms = await self.store.newest_ms()
        known = self.communities.snapshots
        if not time_ms or (known and known[-1].time_ms >= time_ms):
            return None
        table = await self.store.links(time_ms)
        if executor is None:
            snapshot = find_communities(table, time_ms)
        else:
            snapshot = await asyncio.get_running_loop().run_in_executor(executor, find_communities, table, time_ms)
        self.communities.add(snapshot)
        return snapshot

    async def keep_finding(self, every_s: float) -> None:
        """Find communities every so often, in a process of their own, until cancelled; where it is killed, another takes its place."""
        context = multiprocessing.get_context("spawn")
        while True:
            try:
                with ProcessPoolExecutor(1, mp_context=context, initializer=give_way) as executor:
                    await self._keep_finding_by(executor, every_s)
            except BrokenProcessPool:
                log.exception(
                    "what finds communities was killed, for want of memory perhaps; started again in %g s", every_s
                )
            await asyncio.sleep(every_s)

    async def _keep_finding_by(self, executor: Executor, every_s: float) -> None:
        """Find communities every so often, until cancelled. Raises BrokenProcessPool where what finds them has gone."""
        while True:
            try:
                snapshot = await self.find(executor)
                if snapshot is not None:
                    log.info("%d communities of %d nodes", len(snapshot.size), len(snapshot.nodes))
            except BrokenProcessPool:
                raise
            except Exception:  # without a new snapshot the old ones still answer, and tell their age
                log.exception("communities could not be found; tried again in %g s", every_s)
            await asyncio.sleep(every_s)
