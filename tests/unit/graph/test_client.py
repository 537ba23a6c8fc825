"""The asking side against a real gRPC server that hangs, fails, is slow, talks nonsense, dies and comes back."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from mitra.graph.client import GraphClient
from mitra.graph.questions import Question
from tests.factories.graph import Behaviour, double, failing, garbage, honest, hung, settings, short, slow


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


def questions(count: int, as_of_ms: int = 10) -> list[Question]:
    return [Question("customer", f"C{number}", as_of_ms) for number in range(count)]


async def answered(client: GraphClient) -> None:
    """Ask until there is an answer."""
    async with asyncio.timeout(10):
        while (await client.ask([Question("customer", "C0", 10)]))[0] is None:  # noqa: ASYNC110 - time is what it waits for
            await asyncio.sleep(0.01)  # the breaker's pause


def test_every_question_has_its_answer() -> None:
    async def work() -> None:
        async with double() as server:
            client = GraphClient(settings(f"127.0.0.1:{server.port}", timeout_ms=5_000))
            asked = [*questions(3), Question("device", "D1", 10)]
            answers = await client.ask(asked)
            for answer in answers:
                assert answer is not None
                assert np.frombuffer(answer.values).tolist() == [1.0] * len(client._columns)
            assert (server.calls, client._in_flight) == (1, 0)
            await client.close()

    run(work())


@pytest.mark.parametrize("behaviour", [hung, slow, failing, garbage, short])
def test_a_service_that_misbehaves_costs_its_deadline_and_then_nothing(behaviour: Behaviour) -> None:
    async def work() -> None:
        async with double() as server:
            client = GraphClient(settings(f"127.0.0.1:{server.port}", timeout_ms=40, cache_ms=0))
            await answered(client)
            server.behaviour = behaviour
            for number in range(3):
                started = time.monotonic()
                assert await client.ask(questions(2, 100 + number)) == [None, None]
                assert time.monotonic() - started < 1.0
            await asyncio.gather(*client._tasks)  # whoever asked was answered in time, however late the loop is
            assert client.breaker.state == "open"
            calls = server.calls
            assert await client.ask(questions(2, 200)) == [None, None]
            assert server.calls == calls
            assert client.figures.timeouts + client.figures.errors >= 3
            server.behaviour = honest
            started = time.monotonic()
            await answered(client)
            assert time.monotonic() - started < 5.0
            assert client.breaker.state == "closed"
            await client.close()

    run(work())


def test_a_service_that_dies_and_returns_is_used_again() -> None:
    async def work() -> None:
        async with double() as server:
            client = GraphClient(settings(f"127.0.0.1:{server.port}", timeout_ms=200, cache_ms=0))
            await answered(client)
            await server.stop()
            while client.breaker.state == "closed":
                assert await client.ask(questions(1, 20)) == [None]
            await server.start()
            await answered(client)
            await client.close()

    run(work())


def test_nobody_listening_and_a_missing_token_file_are_no_answer() -> None:
    async def work() -> None:
        client = GraphClient(settings("127.0.0.1:1"))
        assert await client.ask(questions(2)) == [None, None]
        await client.close()
        transport = type(settings().transport)("127.0.0.1:1", token_file="nowhere/token")
        client = GraphClient(settings(transport=transport))
        assert await client.ask(questions(1)) == [None]
        assert client.figures.errors == 1

    run(work())


def test_equal_nodes_are_asked_once_as_of_the_earliest() -> None:
    async def work() -> None:
        async with double() as server:
            client = GraphClient(settings(f"127.0.0.1:{server.port}", timeout_ms=5_000))
            asked = [Question("device", "D", moment) for moment in (30, 10, 20)]
            answers = await client.ask(asked)
            assert [answer.as_of_ms for answer in answers if answer] == [10, 10, 10]
            assert server.questions == 1
            # A call under way is joined as well, and what it brought is kept for a while.
            await asyncio.gather(client.ask(questions(1, 40)), client.ask(questions(1, 50)))
            assert server.questions == 2
            assert (client.figures.misses, client.figures.joined) == (2, 3)
            await client.ask(questions(1, 60))
            assert (server.questions, client.figures.hits) == (2, 1)
            # An answer as of a later time never stands in for an earlier one.
            await client.ask(questions(1, 39))
            assert server.questions == 3
            await client.close()

    run(work())


def test_more_than_may_be_open_is_answered_at_once() -> None:
    async def work() -> None:
        async with double(hung) as server:
            client = GraphClient(settings(f"127.0.0.1:{server.port}", timeout_ms=2_000, in_flight=3))
            first = asyncio.create_task(client.ask(questions(3)))
            await asyncio.sleep(0)
            started = time.monotonic()
            assert await client.ask([Question("device", "D", 5)]) == [None]
            assert time.monotonic() - started < 1.0
            assert client.figures.refused_full == 1
            assert await first == [None] * 3
            assert client._in_flight == 0
            await client.close()

    run(work())


def test_who_asks_loads_no_compiler() -> None:
    """The lookup's worker can't: PyFlink puts a print of its own in the place of Python's, which numba won't have."""
    loaded = "import sys, operators.graph_lookup; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
