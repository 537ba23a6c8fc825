"""Graph services for tests: settings, and a real gRPC server that behaves as a test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np

from mitra.graph import graph_pb2 as pb
from mitra.graph.contract import SERVICE
from mitra.graph.settings import GraphNode, GraphSettings, Transport

NODES = (GraphNode("customer", "customer_id", "customer"), GraphNode("device", "device_id", "device"))


def settings(address: str = "127.0.0.1:1", **changes: Any) -> GraphSettings:
    """A graph of customers and their devices."""
    known: dict[str, Any] = {
        "transport": Transport(address),
        "nodes": NODES,
        "links": (("customer", "device"),),
        "windows_ms": (86_400_000,),
    }
    return GraphSettings(**(known | changes))


Behaviour = Callable[[pb.LookupRequest, Any], Awaitable[bytes]]


async def honest(request: pb.LookupRequest, _context: Any) -> bytes:
    """Answer 1 to everything."""
    groups = []
    for group in request.groups:
        size = len(group.questions) * len(request.groups[0].features)
        groups.append(pb.Answers(values=np.ones(size), capped=bytes(size)))
    return pb.LookupReply(groups=groups, newest_ms=5).SerializeToString()


async def hung(_request: pb.LookupRequest, _context: Any) -> bytes:
    """Accept, and never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def slow(request: pb.LookupRequest, context: Any) -> bytes:
    """Answer after half a second."""
    await asyncio.sleep(0.5)
    return await honest(request, context)


async def failing(_request: pb.LookupRequest, context: Any) -> bytes:
    """Answer with an error."""
    await context.abort(grpc.StatusCode.INTERNAL, "out of order")
    raise AssertionError


async def garbage(_request: pb.LookupRequest, _context: Any) -> bytes:
    """Answer bytes that are no message."""
    return b"\xff\xfe garbage"


async def short(_request: pb.LookupRequest, _context: Any) -> bytes:
    """Answer less than was asked."""
    return pb.LookupReply(groups=[pb.Answers(values=[1.0], capped=b"\0")]).SerializeToString()


class Double:
    """A server on a port of its own whose behaviour a test changes."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.calls = 0
        self.questions = 0
        self.port = 0
        self._server: Any = None

    async def start(self) -> None:
        """Listen, on the same port as before."""

        async def lookup(request: pb.LookupRequest, context: Any) -> bytes:
            self.calls += 1
            self.questions += sum(len(group.questions) for group in request.groups)
            return await self.behaviour(request, context)

        handler = grpc.unary_unary_rpc_method_handler(lookup, pb.LookupRequest.FromString, lambda data: data)
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Lookup": handler}),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Be gone, as after a kill."""
        await self._server.stop(0)


@asynccontextmanager
async def double(behaviour: Behaviour = honest) -> AsyncIterator[Double]:
    """A server while the block runs."""
    server = Double(behaviour)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
