"""The embedded store: the whole graph in memory, some 150 bytes a link. It is rebuilt from the edges topic, or from a snapshot."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from mitra.graph.caps import STANDARD, Caps
from mitra.graph.columns import Columns
from mitra.graph.community import LinkTable
from mitra.graph.features import Column
from mitra.graph.kernels import frauds_at
from mitra.graph.measure import Measurer
from mitra.graph.questions import Answers, Question
from mitra.graph.records import Record
from mitra.graph.store import Taken


def link_table(graph: Columns, time_ms: int) -> LinkTable:
    """Return the links of a graph made up to a time, with what was known by then."""
    return _delayed(graph, time_ms)()


def _delayed(graph: Columns, time_ms: int) -> Callable[[], LinkTable]:
    """Return what makes the table in another thread, as of now: links that are there stay as they are, labels may change."""
    links = graph.links
    hashes, time, ends, payment = graph.hashes, graph.time[:links], graph.ends, graph.payment
    spans = graph.span_first.copy(), graph.span_count.copy(), graph.spans.copy()

    def table() -> LinkTable:
        made = np.flatnonzero(time <= time_ms)
        fraud = frauds_at(time_ms, *spans)
        return LinkTable(hashes[ends[2 * made]], hashes[ends[2 * made + 1]], fraud[payment[made]])

    return table


class EmbeddedStore:
    """A graph in columns."""

    def __init__(self, columns: Columns | None = None, caps: Caps = STANDARD) -> None:
        """Start with some columns, or empty."""
        self.columns = columns or Columns()
        self._measurer = Measurer(self.columns, caps)

    async def ingest(self, records: Sequence[Record]) -> Taken:
        """Take records; each counts once, however often it comes."""
        return Taken(*self.columns.add(records))

    async def answer(self, questions: Sequence[Question], features: Sequence[Column]) -> Answers:
        """Answer each question with all features; those of communities are left missing."""
        return self._measurer.answer(questions, features)

    async def links(self, time_ms: int) -> LinkTable:
        """Return the links made up to a time, with what was known by then."""
        return await asyncio.to_thread(_delayed(self.columns, time_ms))

    async def newest_ms(self) -> int:
        """Return the event time of the newest link, 0 without any."""
        return self.columns.newest_ms

    async def close(self) -> None:
        """Nothing is held open."""
