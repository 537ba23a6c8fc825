"""The asking side: a pure asyncio client that always answers in time, if only that it has no answer.

`ask` never raises and never takes longer than its deadline. In front of the call stand a cache, the joining of equal nodes, a
bound of what is open at once, and a circuit breaker whose trial calls no payment waits for.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import grpc

from mitra.graph import graph_pb2 as pb
from mitra.graph.breaker import Breaker
from mitra.graph.cache import Answer, Cache, Key
from mitra.graph.contract import LOOKUP, answers_of, lookup_request, token_metadata
from mitra.graph.features import Column
from mitra.graph.figures import Figures
from mitra.graph.questions import Question
from mitra.graph.settings import GraphSettings
from mitra.graph.transport import channel_arguments, token_of

log = logging.getLogger(__name__)

PROBE_S = 1.0
"""A call that no payment waits for may take longer: a service that starts up is slow at first."""
_RETRY_PAUSE_S = 0.002
_GRACE_MS = 5
_QUIET_S = 10.0
"""What goes wrong is logged once in so long."""


def monotonic_ms() -> float:
    """Return a clock in ms that never goes back."""
    return time.monotonic() * 1000.0


class GraphClient:
    """Asks one service, from one event loop. The channel is made by the first call: it belongs to the loop."""

    def __init__(self, settings: GraphSettings, clock: Callable[[], float] = monotonic_ms) -> None:
        """Ask as `settings` say. Nothing is opened."""
        self._settings = settings
        self._columns: tuple[Column, ...] = settings.columns
        self._clock = clock
        self._cache = Cache(settings.cache_ms, settings.cache_nodes, clock)
        self.breaker = Breaker(clock)
        self.figures = Figures()
        self._open: dict[Key, tuple[int, asyncio.Future[Answer | None]]] = {}
        self._in_flight = 0
        self._channel: Any = None
        self._lookup: Any = None
        self._metadata: tuple[tuple[str, str], ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()
        self._logged_s = 0.0

    async def ask(self, questions: Sequence[Question]) -> list[Answer | None]:
        """Return an answer to each question, None where there is none in time."""
        found: dict[Question, Answer | None] = {}
        waiting: dict[Question, asyncio.Future[Answer | None]] = {}
        asked: list[Question] = []
        for question in sorted(set(questions), key=lambda one: one.as_of_ms):
            answer = self._cache.get(question)
            if answer is not None:
                found[question] = answer
                self.figures.hits += 1
                continue
            key = question.kind, question.id
            under_way = self._open.get(key)
            if under_way is not None and self._cache.serves(under_way[0], question.as_of_ms):
                waiting[question] = under_way[1]
                self.figures.joined += 1
                continue
            if not self._may_ask():
                found[question] = None
                continue
            self.figures.misses += 1
            self._in_flight += 1
            future = asyncio.get_running_loop().create_future()
            waiting[question] = future
            self._open[key] = question.as_of_ms, future
            asked.append(question)
        if asked:
            self._start(self._call(asked, [waiting[question] for question in asked]))
        if self.breaker.wants_probe():
            self._start(self._probe())
        if waiting:
            # Calls settle themselves in time, and whoever joined one under way waits less: this is for a loop that is late.
            await asyncio.wait(waiting.values(), timeout=(self._settings.timeout_ms + _GRACE_MS) / 1000.0)
            for question, future in waiting.items():
                found[question] = future.result() if future.done() else None
        answers = [found[question] for question in questions]
        self.figures.degraded += answers.count(None)
        return answers

    def _may_ask(self) -> bool:
        if not self.breaker.allows():
            self.figures.refused_open += 1
            return False
        if self._in_flight >= self._settings.in_flight:
            self.figures.refused_full += 1
            return False
        return True

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, questions: list[Question], futures: list[asyncio.Future[Answer | None]]) -> None:
        """Make one call for all questions and settle their futures, whatever comes."""
        answers: list[Answer | None] = [None] * len(questions)
        started_ms = self._clock()
        try:
            answers = await self._answered(questions, self._settings.timeout_ms / 1000.0)
            self.breaker.succeeded()
            self.figures.answered(self._clock() - started_ms)
        except Exception as error:  # noqa: BLE001 - a payment waits for this: no error may be worse than no answer
            self.breaker.failed()
            self._failed(error)
        finally:
            self._in_flight -= len(questions)
            for question, future, answer in zip(questions, futures, answers, strict=True):
                key = question.kind, question.id
                if answer is not None:
                    self._cache.put(key, answer)
                if self._open.get(key, (0, None))[1] is future:
                    del self._open[key]
                if not future.done():
                    future.set_result(answer)

    async def _answered(self, questions: list[Question], within_s: float) -> list[Answer | None]:
        """Return all answers, tried again where a connection fails at once. Raises whatever goes wrong, in time."""
        by_kind: dict[str, list[Question]] = {}
        for question in questions:
            by_kind.setdefault(question.kind, []).append(question)
        request = lookup_request((kind, self._columns, group) for kind, group in by_kind.items())
        async with asyncio.timeout(within_s):
            reply = await self._tried_again(request, within_s)
        if len(reply.groups) != len(by_kind):
            raise ValueError(f"{len(reply.groups)} groups came, {len(by_kind)} were asked for")
        found: dict[Question, Answer] = {}
        for group, message in zip(by_kind.values(), reply.groups, strict=True):
            answers = answers_of(message, len(group), len(self._columns))
            for row, question in enumerate(group):
                found[question] = Answer(
                    question.as_of_ms, answers.values[row].tobytes(), answers.capped[row].tobytes()
                )
        self.figures.newest_ms = reply.newest_ms
        return [found[question] for question in questions]

    async def _tried_again(self, request: pb.LookupRequest, within_s: float) -> pb.LookupReply:
        """Return the reply. A connection that broke is tried once more, while most of the time is left."""
        started_s = time.monotonic()
        try:
            return await self._called(request, within_s)
        except grpc.RpcError as error:
            left_s = within_s - (time.monotonic() - started_s)
            if error.code() is not grpc.StatusCode.UNAVAILABLE or left_s < within_s / 2:
                raise
            self.figures.retries += 1
            await asyncio.sleep(_RETRY_PAUSE_S)
            return await self._called(request, left_s)

    async def _called(self, request: pb.LookupRequest, within_s: float) -> pb.LookupReply:
        if self._lookup is None:
            target, credentials, options = channel_arguments(self._settings.transport)
            self._metadata = token_metadata(token_of(self._settings.transport))
            self._channel = (
                grpc.aio.insecure_channel(target, options)
                if credentials is None
                else grpc.aio.secure_channel(target, credentials, options)
            )
            self._lookup = self._channel.unary_unary(
                LOOKUP,
                request_serializer=pb.LookupRequest.SerializeToString,
                response_deserializer=pb.LookupReply.FromString,
            )
        reply: pb.LookupReply = await self._lookup(request, timeout=within_s, metadata=self._metadata)
        return reply

    async def _probe(self) -> None:
        """Try a call that asks nothing much, and tell the breaker."""
        question = Question(self._settings.types[0], "", 0)
        started_ms = self._clock()
        try:
            await self._answered([question], PROBE_S)
        except Exception as error:  # noqa: BLE001 - the same
            self.breaker.failed()
            self._failed(error)
            return
        if self._clock() - started_ms <= self._settings.timeout_ms:
            self.breaker.succeeded()
        else:
            self.breaker.failed()  # it answers, too late for any payment
            self.figures.timeouts += 1

    def _failed(self, error: Exception) -> None:
        code = error.code() if isinstance(error, grpc.RpcError) else None
        if isinstance(error, TimeoutError) or code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self.figures.timeouts += 1
        else:
            self.figures.errors += 1
        now_s = time.monotonic()
        if now_s - self._logged_s > _QUIET_S:
            self._logged_s = now_s
            what = f"{code.name}: {error.details()}" if isinstance(error, grpc.RpcError) and code else repr(error)
            log.warning("the graph service at %s: %s", self._settings.transport.address, what)

    def lookups(self) -> dict[str, Any]:
        """Return the figures since they were last taken, and how the breaker stands, for the monitor topic."""
        return {"breaker": self.breaker.state, **self.figures.take()}

    async def close(self) -> None:
        """Break off what is under way and close the channel."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close()
