"""The graph of a replay: fed by the replayed payments and labels themselves, and asked beside them in the order of time.

Answers are as of each payment's time, so a batch's links and labels are taken first, all of them, and then its payments ask:
what is later, and a payment's own links, are not seen. Communities are found at full days of event time, those of each day
before its first payment asks, however many days a batch spans.
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from mitra.decode import Event
from mitra.graph.columns import Columns, node_key
from mitra.graph.community import Communities, LinkTable, find_communities
from mitra.graph.embedded import link_table
from mitra.graph.features import COMMUNITY
from mitra.graph.measure import Measurer
from mitra.graph.questions import Question
from mitra.graph.records import Edges, Judged, Record
from mitra.graph.settings import GraphSettings
from mitra.graph_asking import NodeReader
from mitra.hashing import text_hash
from mitra.lane import Source
from mitra.messages import Told, cells
from mitra.schema import EventType

DAY_MS = 86_400_000


class ReplayGraph:
    """The graph as it grows while a replay goes on."""

    def __init__(self, settings: GraphSettings, event: EventType, buckets: int) -> None:
        """Start empty, for decide buckets of that number."""
        self._settings = settings
        self._reader = NodeReader(settings, event)
        self._buckets = buckets
        self._columns = Columns()
        self._measurer = Measurer(self._columns)
        self._communities = Communities()
        self._day = -1
        self._asked = {one.name: place for place, one in enumerate(settings.columns) if one.name in COMMUNITY}

    def tell(
        self, events: Sequence[Event], sources: Sequence[Source], labels: Sequence[Judged]
    ) -> Iterator[tuple[int, Told]]:
        """Take a batch of payments, in the order of time, with their labels; yield what the graph says to each decide bucket."""
        records: list[Record] = []
        for event in events:
            links = self._reader.links(event.values)
            if links:
                records.append(Edges(event.id, event.time_ms, links))
        self._columns.add([*records, *labels])
        for day, rows in groupby(range(len(events)), lambda row: events[row].time_ms // DAY_MS):
            if self._asked:
                self._find(day)
            first, *others = rows
            stop = first + len(others) + 1
            yield from self._answers(events[first:stop], sources[first:stop])

    def _find(self, day: int) -> None:
        """Find the communities as of the beginning of the day that is reached, where they haven't been."""
        if day == self._day:
            return
        self._day = day
        # A moment before midnight: payments of the day, its first millisecond included, are younger.
        moment = day * DAY_MS - 1
        table: LinkTable = link_table(self._columns, moment)
        if len(table.one):
            self._communities.add(find_communities(table, moment))

    def _answers(self, events: Sequence[Event], sources: Sequence[Source]) -> Iterator[tuple[int, Told]]:
        settings = self._settings
        columns = len(settings.columns)
        values = np.full((len(events), settings.width), np.nan)
        capped = np.zeros((len(events), settings.width), np.uint8)
        ids = [self._reader.ids(event.values) for event in events]
        for place, node in enumerate(settings.nodes):
            rows = [row for row, named in enumerate(ids) if named[place] is not None]
            questions = [Question(node.type, ids[row][place] or "", events[row].time_ms) for row in rows]
            answers = self._measurer.answer(questions, settings.columns)
            if self._asked:
                keys = [text_hash(node_key(one.kind, one.id)) for one in questions]
                self._communities.fill(answers.values, self._asked, keys, [one.as_of_ms for one in questions])
            span = slice(place * columns, (place + 1) * columns)
            values[rows, span], capped[rows, span] = answers.values, answers.capped
        yield from self._messages(events, sources, values, capped)

    def _messages(
        self,
        events: Sequence[Event],
        sources: Sequence[Source],
        values: NDArray[np.float64],
        capped: NDArray[np.uint8],
    ) -> Iterator[tuple[int, Told]]:
        partitions = array("i", [source.partition for source in sources]).tobytes()
        offsets = array("q", [source.offset for source in sources]).tobytes()
        topics = bytes([source.topic for source in sources])
        rows_of: dict[int, list[int]] = {}
        for row, event in enumerate(events):
            rows_of.setdefault(text_hash(event.id) % self._buckets, []).append(row)
        for bucket, rows in rows_of.items():
            yield (
                bucket,
                Told(
                    plan=self._settings.fingerprint,
                    ids=[events[row].id for row in rows],
                    topics=cells(topics, 1, rows),
                    partitions=cells(partitions, 4, rows),
                    offsets=cells(offsets, 8, rows),
                    width=self._settings.width,
                    values=values[rows].tobytes(),
                    capped=capped[rows].tobytes(),
                    complete=b"\1" * len(rows),
                ),
            )
