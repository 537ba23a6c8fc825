"""The embedded store against a naive oracle: what is known as of a time, and nothing else."""

import asyncio

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mitra.graph.caps import Caps
from mitra.graph.embedded import EmbeddedStore
from mitra.graph.features import COMMUNITY, all_columns
from mitra.graph.questions import Answers, Question
from mitra.graph.records import Edges, Judged, Link, Record
from tests.factories.graph_records import histories as random_histories
from tests.factories.graph_records import questions as random_questions
from tests.oracles.graph import Graph, Made, Verdict

TYPES = ("customer", "device", "account")
WINDOWS = (5, 20)
COLUMNS = all_columns(TYPES, WINDOWS)
UNBOUNDED = Caps(own_links=100, links=100, nodes=100)

histories, questions = random_histories(TYPES, 30), random_questions(TYPES)


def oracle_of(records: list[Record]) -> Graph:
    graph = Graph()
    seen: set[object] = set()
    for record in records:
        mark = record.id if isinstance(record, Edges) else (record.id, record.version)
        if mark in seen:
            continue
        seen.add(mark)
        if isinstance(record, Edges):
            graph.links += [Made(record.id, record.time, link[:2], link[2:]) for link in record.links]
        else:
            graph.labels.append(Verdict(record.id, record.known_at, record.version, record.fraud))
    return graph


def told(records: list[Record], asked: list[Question], caps: Caps = UNBOUNDED, piece: int = 7) -> Answers:
    async def run() -> Answers:
        store = EmbeddedStore(caps=caps)
        for start in range(0, len(records), piece):
            await store.ingest(records[start : start + piece])
        return await store.answer(asked, COLUMNS)

    return asyncio.run(run())


def expected(graph: Graph, question: Question) -> list[float]:
    node, moment = (question.kind, question.id), question.as_of_ms
    found: list[float] = []
    for name, kind, over_ms in COLUMNS:
        match name:
            case "degree":
                found.append(graph.degree(node, moment, kind))
            case "peers":
                found.append(graph.peers(node, moment, kind))
            case "fan_in" | "fan_out":
                found.append(graph.fan(node, moment, over_ms, out=name == "fan_out"))
            case "links_in" | "links_out":
                found.append(graph.links_within(node, moment, over_ms, out=name == "links_out"))
            case "frauds_1_hop":
                found.append(len(graph.touching({node}, moment)))
            case "frauds_2_hops":
                found.append(graph.frauds_2_hops(node, moment))
            case "fraud_distance":
                found.append(graph.distance(node, moment))
            case "cycle_length":
                found.append(graph.cycle(node, moment))
            case _:
                found.append(np.nan)
    return found


@settings(max_examples=150)
@given(histories, questions)
def test_answers_are_what_was_known_as_of_the_time(records: list[Record], asked: list[Question]) -> None:
    answers = told(records, asked)
    graph = oracle_of(records)
    np.testing.assert_array_equal(answers.values, [expected(graph, one) for one in asked])
    assert not answers.capped.any()


@settings(max_examples=50)
@given(histories, questions, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_no_answer(records: list[Record], asked: list[Question], random: object) -> None:
    first = {(type(one), one.id, getattr(one, "version", 0)): one for one in reversed(records)}
    shuffled = list(first.values())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    caps = Caps(own_links=3, links=2, nodes=2)
    one, other = told(list(first.values()), asked, caps), told(shuffled, asked, caps, piece=1)
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.capped, other.capped)


@settings(max_examples=50)
@given(histories, questions)
def test_an_answer_that_is_not_marked_as_capped_is_exact(records: list[Record], asked: list[Question]) -> None:
    capped, whole = told(records, asked, Caps(own_links=4, links=2, nodes=3)), told(records, asked)
    unmarked = capped.capped == 0
    np.testing.assert_array_equal(capped.values[unmarked], whole.values[unmarked])


@settings(max_examples=50)
@given(histories, questions)
def test_what_comes_later_changes_nothing_before(records: list[Record], asked: list[Question]) -> None:
    moment = min(one.as_of_ms for one in asked)
    at_once = [Question(one.kind, one.id, moment) for one in asked]
    ids = {one.id for one in records if isinstance(one, Edges)}
    later = [Edges(f"later {number}", moment + number, [Link("customer", "a", "device", "b")]) for number in range(3)]
    later += [Judged(id, fraud=True, known_at=moment + 1, version=9) for id in sorted(ids)]
    np.testing.assert_array_equal(told(records, at_once).values, told([*records, *later], at_once).values)


def test_every_feature_but_those_of_communities_is_compared() -> None:
    answered = {
        column.name
        for column in COLUMNS
        if not np.isnan(expected(Graph(), Question("customer", "a", 1))[COLUMNS.index(column)])
    }
    assert answered == {column.name for column in COLUMNS} - set(COMMUNITY)
