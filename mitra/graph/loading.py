"""Links and labels from a file of records to a running service, in pieces."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import grpc

from mitra.errors import MitraError
from mitra.graph import graph_pb2 as pb
from mitra.graph.contract import INGEST, ingest_request, token_metadata
from mitra.graph.records import Record, RecordError, decode_record
from mitra.graph.settings import Transport
from mitra.graph.store import Taken
from mitra.graph.transport import channel_arguments, token_of

_PIECE = 5_000


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a file, one JSON object a line. Raises MitraError with the line of one that is none."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    yield decode_record(line)
                except RecordError as error:
                    raise MitraError(f"{path}, line {number}: {error}") from error
    except OSError as error:
        raise MitraError(f"{path} can't be read: {error.strerror}") from error


def load(transport: Transport, records: Iterator[Record]) -> Taken:
    """Bring records to the service. Raises MitraError if it can't be reached or refuses."""
    target, credentials, options = channel_arguments(transport)
    channel = (
        grpc.insecure_channel(target, options)
        if credentials is None
        else grpc.secure_channel(target, credentials, options)
    )
    taken = known = 0
    with channel:
        ingest = channel.unary_unary(INGEST, pb.IngestRequest.SerializeToString, pb.IngestReply.FromString)
        while piece := list(islice(records, _PIECE)):
            try:
                reply = ingest(ingest_request(piece), timeout=60, metadata=token_metadata(token_of(transport)))
            except grpc.RpcError as error:
                raise MitraError(
                    f"the graph service at {target} says {error.code().name}: {error.details()}"
                ) from error
            taken, known = taken + reply.taken, known + reply.known
    return Taken(taken, known)
