"""The gRPC server: lookup, ingest and health, over TLS and behind a token where they are configured."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from mitra.errors import MitraError
from mitra.graph import graph_pb2 as pb
from mitra.graph.contract import (
    MAX_QUESTIONS,
    SERVICE,
    TOKEN_HEADER,
    ContractError,
    answers_message,
    features_of,
    questions_of,
    records_of,
)
from mitra.graph.features import Column
from mitra.graph.questions import Answers, Question
from mitra.graph.service import GraphService
from mitra.graph.store import StoreError
from mitra.graph.transport import read_file

MESSAGE_BYTES = 16 << 20
_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),  # a second service on the port is a mistake, and should hear so
]


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may ask, and how: a token that every call shows; certificate and key of the server, PEM."""

    token: str | None = None
    certificate: bytes | None = None
    key: bytes | None = None

    @classmethod
    def read(cls, token: Path | None, certificate: Path | None, key: Path | None) -> "Guard":
        """Read the files of a guard. Raises MitraError for one that is missing or half of a pair."""
        if (certificate is None) != (key is None):
            raise MitraError("TLS needs both: --tls-certificate and --tls-key")
        text = None if token is None else read_file(token).decode().strip()
        if text == "":
            raise MitraError(f"{token} is empty; put the token in it")
        return cls(
            text, None if certificate is None else read_file(certificate), None if key is None else read_file(key)
        )


class GraphServer:
    """Serves a graph on one port. Health is NOT_SERVING until `ready`."""

    def __init__(self, service: GraphService, guard: Guard | None = None) -> None:
        """Serve `service` to those whom `guard` lets in."""
        self._service = service
        self._guard = guard or Guard()
        self._health = HealthServicer()
        self._server: Any = None
        self._token = None if self._guard.token is None else f"Bearer {self._guard.token}".encode()

    async def start(self, address: str) -> int:
        """Listen on `host:port`, 0 for a free port; return the port. Raises MitraError where it is taken."""
        self._server = grpc.aio.server(options=_OPTIONS)  # it belongs to the loop that runs now
        handlers = {
            "Lookup": grpc.unary_unary_rpc_method_handler(
                self._guarded(self._lookup), pb.LookupRequest.FromString, pb.LookupReply.SerializeToString
            ),
            "Ingest": grpc.unary_unary_rpc_method_handler(
                self._guarded(self._ingest), pb.IngestRequest.FromString, pb.IngestReply.SerializeToString
            ),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        add_HealthServicer_to_server(self._health, self._server)
        await self._tell(health_pb2.HealthCheckResponse.NOT_SERVING)
        guard = self._guard
        try:
            if guard.certificate is not None and guard.key is not None:
                credentials = grpc.ssl_server_credentials([(guard.key, guard.certificate)])
                port = self._server.add_secure_port(address, credentials)
            else:
                port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise MitraError(f"can't listen on {address}: is the port taken? ({error})") from error
        await self._server.start()
        return int(port)

    async def ready(self) -> None:
        """Say that the graph is complete as far as the topic goes."""
        await self._tell(health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float = 1.0) -> None:
        """Answer what has been asked, and end."""
        await self._tell(health_pb2.HealthCheckResponse.NOT_SERVING)
        if self._server is not None:
            await self._server.stop(grace_s)

    async def _tell(self, status: int) -> None:
        for name in ("", SERVICE):
            await self._health.set(name, status)

    def _guarded(self, handler: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        """Return a handler that wants the token, and tells a caller's mistakes as such."""

        async def handle(request: Any, context: Any) -> Any:
            if self._token is not None:
                shown = dict(context.invocation_metadata() or ()).get(TOKEN_HEADER, "")
                if not hmac.compare_digest(str(shown).encode(), self._token):
                    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is missing or wrong")
            try:
                return await handler(request)
            except StoreError as error:
                await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            except MitraError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

        return handle

    async def _lookup(self, request: pb.LookupRequest) -> pb.LookupReply:
        asked = sum(len(group.questions) for group in request.groups)
        if asked > MAX_QUESTIONS:
            raise ContractError(f"{asked} questions are too many for one call; allowed: {MAX_QUESTIONS}")
        reply = pb.LookupReply(newest_ms=await self._service.store.newest_ms())
        groups: list[tuple[tuple[Column, ...], list[Question]]] = []
        for group in request.groups:
            said = features_of(group) if group.features or not groups else groups[-1][0]
            groups.append((said, questions_of(group)))
        found: dict[int, pb.Answers] = {}
        for features in dict.fromkeys(features for features, _ in groups):
            # What is asked with the same features, all of a job's, is one question to the store.
            places = [place for place, (asked_for, _) in enumerate(groups) if asked_for == features]
            questions = [one for place in places for one in groups[place][1]]
            answers = await self._service.answer(questions, features)
            start = 0
            for place in places:
                rows = slice(start, start := start + len(groups[place][1]))
                found[place] = answers_message(Answers(answers.values[rows], answers.capped[rows]))
        reply.groups.extend([found[place] for place in range(len(groups))])
        return reply

    async def _ingest(self, request: pb.IngestRequest) -> pb.IngestReply:
        taken = await self._service.ingest(records_of(request))
        return pb.IngestReply(taken=taken.taken, known=taken.known)
