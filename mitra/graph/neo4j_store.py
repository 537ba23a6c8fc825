"""The graph in Neo4j: for graphs that outgrow a machine's memory, or that others want to look at.

Nodes are `(:Node {key, type, id})`, links `[:LINK {time, rank, payment, place, spans}]` from node to node, payments
`(:Payment {id, time, labels, spans})` with what is known of them: `labels` as flat triples, `spans` as flat pairs
(mitra.graph.labels). A batch of questions is one statement: it fetches the surroundings as far as the caps reach, in the order in
which the embedded store would read them, and the very same code measures them. So the answers are the same.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, LiteralString

import numpy as np
from neo4j import READ_ACCESS, AsyncDriver, AsyncGraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

from mitra.graph.caps import STANDARD, Caps
from mitra.graph.columns import Columns, node_key
from mitra.graph.community import LinkTable
from mitra.graph.features import Column
from mitra.graph.labels import Label, Span, fraud_spans
from mitra.graph.measure import Measurer
from mitra.graph.neo4j_statements import (
    ADD_LINKS,
    ALL_LINKS,
    LABELS,
    LOOK,
    NEWEST,
    OFFSETS,
    SCHEMA,
    SET_LABELS,
    SET_OFFSETS,
)
from mitra.graph.questions import Answers, Question
from mitra.graph.records import Edges, Judged, Link, Record
from mitra.graph.store import StoreError, Taken
from mitra.hashing import text_hash

_PIECE = 1_000
_CONNECT_S = 5.0
_RETRY_S = 5.0
"""How long writes are tried again where the database asks for that; lookups never are: who asks has milliseconds."""


@dataclass(frozen=True)
class Neo4jPlace:
    """Where the database is, and as whom it is asked; without a password it must ask for none."""

    uri: str = "bolt://localhost:7687"
    user: str = "neo4j"
    password: str | None = None


def _batched(values: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    """Yield values so many at a time; Python 3.11 has none of its own."""
    left = iter(values)
    while piece := tuple(islice(left, size)):
        yield piece


class Neo4jStore:
    """A graph in a Neo4j database. One writer at a time: the labels of a payment are read, and written back."""

    def __init__(self, driver: AsyncDriver, caps: Caps = STANDARD) -> None:
        """Use a driver whose database has the schema (`open_store`)."""
        self._driver = driver
        self._caps = caps
        self._writing = asyncio.Lock()
        self._newest_ms: int | None = None

    async def ingest(self, records: Sequence[Record]) -> Taken:
        """Take records; each counts once, however often it comes."""
        payments = {one.id: one for one in reversed(records) if isinstance(one, Edges)}
        taken = 0
        async with self._writing:
            for piece in _batched(payments.values(), _PIECE):
                ((made, newest_ms),) = await self.write(ADD_LINKS, payments=[_payment(one) for one in piece])
                taken += made
                self._newest_ms = max(self._newest_ms or 0, newest_ms or 0)
            taken += await self._add_labels([one for one in records if isinstance(one, Judged)])
        return Taken(taken, len(records) - taken)

    async def _add_labels(self, labels: Sequence[Judged]) -> int:
        taken = 0
        for piece in _batched(labels, _PIECE):
            rows = await self.write(LABELS, ids=list(dict.fromkeys(one.id for one in piece)))
            known = {id: [Label(*triple) for triple in _batched(flat, 3)] for id, flat in rows}
            changed = set()
            for one in piece:
                if all(label.version != one.version for label in known[one.id]):
                    known[one.id].append(Label(one.known_at, one.version, one.fraud))
                    changed.add(one.id)
                    taken += 1
            if changed:
                await self.write(SET_LABELS, payments=[_judged(id, known[id]) for id in sorted(changed)])
        return taken

    async def answer(self, questions: Sequence[Question], features: Sequence[Column]) -> Answers:
        """Answer each question with all features; those of communities are left missing."""
        asked = [{"key": node_key(one.kind, one.id), "moment": one.as_of_ms} for one in questions]
        caps = self._caps
        rows = await self._read(LOOK, questions=asked, own=caps.own_links, links=caps.links, nodes=caps.nodes)
        return Measurer(_columns(rows), caps).answer(questions, features)

    async def links(self, time_ms: int) -> LinkTable:
        """Return the links made up to a time, with what was known by then."""
        rows = await self._read(ALL_LINKS, moment=time_ms)
        return LinkTable(
            np.fromiter((text_hash(one) for one, _, _ in rows), np.int64, len(rows)),
            np.fromiter((text_hash(other) for _, other, _ in rows), np.int64, len(rows)),
            np.fromiter((_held(spans, time_ms) for _, _, spans in rows), np.bool_, len(rows)),
        )

    async def newest_ms(self) -> int:
        """Return the event time of the newest payment, 0 without any."""
        if self._newest_ms is None:
            rows = await self._read(NEWEST)
            self._newest_ms = rows[0][0] if rows else 0
        return self._newest_ms

    async def offsets(self, topic: str) -> dict[int, int]:
        """Return how far a topic had been read: by partition the next offset."""
        return dict(await self._read(OFFSETS, topic=topic))

    async def keep_offsets(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Remember how far a topic has been read."""
        places = [{"partition": partition, "offset": offset} for partition, offset in offsets.items()]
        await self.write(SET_OFFSETS, topic=topic, places=places)

    async def close(self) -> None:
        """Close the driver."""
        await self._driver.close()

    async def write(self, statement: LiteralString, **parameters: Any) -> list[list[Any]]:
        """Run a statement in a transaction, tried again where the database asks for that. Raises StoreError."""
        try:
            result = await self._driver.execute_query(statement, parameters)
        except (DriverError, Neo4jError) as error:
            raise StoreError(f"Neo4j says: {error}") from error
        return [record.values() for record in result.records]

    async def _read(self, statement: LiteralString, **parameters: Any) -> list[list[Any]]:
        """Run a statement once. Raises StoreError."""
        try:
            async with self._driver.session(default_access_mode=READ_ACCESS) as session:
                return await (await session.run(statement, parameters)).values()
        except (DriverError, Neo4jError) as error:
            raise StoreError(f"Neo4j says: {error}") from error


async def open_store(place: Neo4jPlace, caps: Caps = STANDARD) -> Neo4jStore:
    """Connect, and make constraints and indexes. Raises MitraError if Neo4j can't be reached or refuses."""
    auth = None if place.password is None else (place.user, place.password)
    try:
        driver = AsyncGraphDatabase.driver(
            place.uri, auth=auth, connection_timeout=_CONNECT_S, max_transaction_retry_time=_RETRY_S
        )
    except (DriverError, ValueError) as error:
        raise StoreError(f"uri={place.uri!r} is none of Neo4j's: {error}; bolt://localhost:7687 is one") from error
    store = Neo4jStore(driver, caps)
    try:
        await driver.verify_connectivity()
        for statement in SCHEMA:
            await store.write(statement)
    except (DriverError, Neo4jError) as error:
        await driver.close()
        raise StoreError(f"Neo4j at {place.uri} can't be used: {error}") from error
    except BaseException:
        await driver.close()
        raise
    return store


def _payment(record: Edges) -> dict[str, Any]:
    links = list(dict.fromkeys(link for link in record.links if link[:2] != link[2:]))
    return {
        "id": record.id,
        "time": record.time,
        "rank": text_hash(record.id),
        "links": [
            {
                "one": node_key(link.from_type, link.from_id), "one_type": link.from_type, "one_id": link.from_id,
                "other": node_key(link.to_type, link.to_id), "other_type": link.to_type, "other_id": link.to_id,
                "place": place,
            }
            for place, link in enumerate(links)
        ],
    }  # fmt: skip


def _judged(id: str, labels: list[Label]) -> dict[str, Any]:
    return {
        "id": id,
        "labels": [int(value) for label in labels for value in label],
        "spans": [moment for span in fraud_spans(labels) for moment in span],
    }


def _held(spans: Sequence[int], time_ms: int) -> bool:
    return any(start <= time_ms < end for start, end in _batched(spans, 2))


def _columns(rows: Iterable[Sequence[Any]]) -> Columns:
    """Return the columns of fetched links: those of a payment lie side by side, in their order."""
    graph = Columns()
    made: dict[str, Edges] = {}
    frauds: dict[str, list[int]] = {}
    for one_type, one, other_type, other, time, payment, spans in rows:
        record = made.get(payment)
        if record is None:
            record = made[payment] = Edges(payment, time, [])
        record.links.append(Link(one_type, one, other_type, other))
        if spans:
            frauds[payment] = spans
    graph.add(made.values())
    for payment, spans in frauds.items():
        graph.set_spans(payment, [Span(*pair) for pair in _batched(spans, 2)])
    return graph
