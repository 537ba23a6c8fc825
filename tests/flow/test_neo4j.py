"""Both stores on the same records and questions: a real Neo4j gives the answers that the embedded store gives."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from mitra.graph.caps import Caps
from mitra.graph.community import find_communities
from mitra.graph.embedded import EmbeddedStore
from mitra.graph.features import all_columns
from mitra.graph.neo4j_store import Neo4jPlace, Neo4jStore, open_store
from mitra.graph.questions import Question
from mitra.graph.records import Edges, Judged, Link, Record
from mitra.graph.serving import Serving, serve
from mitra.graph.store import GraphStore, StoreError, Taken
from tests.factories.graph_records import histories, questions
from tests.factories.neo4j import Neo4jServer, emptied, neo4j_server

pytestmark = pytest.mark.flow

TYPES = ("customer", "device")
COLUMNS = all_columns(TYPES, (5, 20))
CAPS = Caps(own_links=4, links=2, nodes=3)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neo4jServer]:
    with neo4j_server(tmp_path_factory.mktemp("neo4j")) as server:
        yield server


@pytest.fixture(scope="module")
def opened(server: Neo4jServer) -> Iterator[tuple[asyncio.AbstractEventLoop, Neo4jStore]]:
    """A store, and the loop that it belongs to."""
    loop = asyncio.new_event_loop()
    store = loop.run_until_complete(open_store(server.place, CAPS))
    yield loop, store
    loop.run_until_complete(store.close())
    loop.close()


async def said_by(store: GraphStore, records: list[Record], asked: list[Question]) -> tuple[Any, ...]:
    """Return what a store says of records, of questions and of the communities."""
    taken = [await store.ingest(records[start : start + 12]) for start in range(0, len(records), 12)]
    newest_ms = await store.newest_ms()
    snapshot = find_communities(await store.links(newest_ms), newest_ms)
    return taken, newest_ms, await store.answer(asked, COLUMNS), snapshot


@settings(max_examples=20)
@given(records=histories(TYPES, 25), asked=questions(TYPES))
def test_both_stores_give_the_same_answers(
    opened: tuple[asyncio.AbstractEventLoop, Neo4jStore], records: list[Record], asked: list[Question]
) -> None:
    loop, neo4j = opened
    loop.run_until_complete(emptied(neo4j))
    *numbers, answers, snapshot = loop.run_until_complete(said_by(neo4j, records, asked))
    *expected, right, other = loop.run_until_complete(said_by(EmbeddedStore(caps=CAPS), records, asked))
    assert numbers == expected
    for mine, theirs in zip((*answers, *snapshot), (*right, *other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_what_a_service_has_taken_is_there_for_the_next(server: Neo4jServer) -> None:
    records = [
        Edges("p1", 10, [Link("customer", "a", "device", "d")]),
        Edges("p2", 20, [Link("customer", "b", "device", "d")]),
        Judged("p1", fraud=True, known_at=15, version=1),
    ]

    async def run() -> tuple[Taken, list[float], dict[int, int]]:
        first = await open_store(server.place)
        await emptied(first)
        await first.ingest(records)
        await first.keep_offsets("edges", {0: 3, 1: 0})
        await first.close()
        second = await open_store(server.place)
        again = await second.ingest(records)
        asked = [Question("device", "d", 30), Question("customer", "b", 30)]
        wanted = [one for one in COLUMNS if one.name in {"degree", "frauds_2_hops"} and not one.kind]
        answers = await second.answer(asked, wanted)
        offsets = await second.offsets("edges")
        await second.close()
        return again, answers.values.ravel().tolist(), offsets

    assert asyncio.run(run()) == (Taken(0, 3), [2.0, 1.0, 1.0, 1.0], {0: 3, 1: 0})


def test_the_service_serves_a_database_and_says_where_it_had_read_to(server: Neo4jServer) -> None:
    said: list[str] = []
    what = Serving("127.0.0.1:0", open_database=lambda: open_store(server.place), seconds=0.1, communities_s=0)
    asyncio.run(serve(what, said.append))
    assert [line.partition(":")[0] for line in said] == ["serving on 127.0.0.1"]


def test_a_database_that_is_away_is_told_with_its_address() -> None:
    with pytest.raises(StoreError, match=r"Neo4j at bolt://127.0.0.1:1 can't be used: .*127\.0\.0\.1:1"):
        asyncio.run(open_store(Neo4jPlace("bolt://127.0.0.1:1")))
