"""The gRPC methods of the contract, and messages to and from Mitra's own types."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from mitra.errors import MitraError
from mitra.graph import graph_pb2 as pb
from mitra.graph.features import FEATURES, Column
from mitra.graph.questions import Answers, Question
from mitra.graph.records import Edges, Judged, Link, Record

SERVICE = "mitra.graph.v1.Graph"
LOOKUP, INGEST = f"/{SERVICE}/Lookup", f"/{SERVICE}/Ingest"

MAX_QUESTIONS = 10_000
"""Questions in one call: some 3 s of work at worst, which no deadline allows."""
_VALUES_TAG = bytes([pb.Answers.VALUES_FIELD_NUMBER << 3 | 2])
"""What stands on the wire before the length of packed numbers."""
TOKEN_HEADER = "authorization"  # noqa: S105 - the name of a header


class ContractError(MitraError):
    """A message doesn't keep to the contract."""


def token_metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    """Return the headers of a call that shows a token."""
    return () if token is None else ((TOKEN_HEADER, f"Bearer {token}"),)


def features_of(group: pb.Group) -> tuple[Column, ...]:
    """Return the features a group asks for. Raises ContractError for one that isn't known or lacks its window."""
    # A job asks for the same in every call: they are read once, and compared as bytes.
    return _features(pb.Group(features=group.features).SerializeToString(deterministic=True))


@lru_cache(maxsize=64)
def _features(data: bytes) -> tuple[Column, ...]:
    found = []
    for one in pb.Group.FromString(data).features:
        feature = FEATURES.get(one.name)
        if feature is None:
            raise ContractError(f"feature={one.name!r} is not known; known: {', '.join(FEATURES)}")
        if feature.windowed != (one.over_ms > 0) or (one.kind and not feature.option):
            raise ContractError(f"feature={one.name!r} takes no kind={one.kind!r} with over_ms={one.over_ms}")
        found.append(Column(one.name, one.kind, one.over_ms))
    return tuple(found)


def questions_of(group: pb.Group) -> list[Question]:
    """Return a group's questions."""
    return [Question(group.type, one.id, one.as_of_ms) for one in group.questions]


def lookup_request(groups: Iterable[tuple[str, tuple[Column, ...], Sequence[Question]]]) -> pb.LookupRequest:
    """Return a request: for each type of node its features and questions; features that are those of the group before go without saying."""
    request = pb.LookupRequest()
    said: tuple[Column, ...] = ()
    for kind, features, questions in groups:
        group = request.groups.add(type=kind)
        if features != said:
            group.CopyFrom(_group(kind, said := features))
        group.questions.extend([pb.Question(id=one.id, as_of_ms=one.as_of_ms) for one in questions])
    return request


@lru_cache(maxsize=64)
def _group(kind: str, features: tuple[Column, ...]) -> pb.Group:
    """Return what all groups of a type begin with."""
    named = [pb.Feature(name=one.name, kind=one.kind, over_ms=one.over_ms) for one in features]
    return pb.Group(type=kind, features=named)


def answers_message(answers: Answers) -> pb.Answers:
    """Return the message of a group's answers."""
    values = answers.values.astype("<f8", copy=False).tobytes()
    # Numbers that are set one by one take ten times as long as the same read as what they are on the wire.
    message: pb.Answers = pb.Answers.FromString(_VALUES_TAG + _varint(len(values)) + values)
    message.capped = answers.capped.tobytes()
    return message


def _varint(number: int) -> bytes:
    """Return a number in base 128, the least first, all but the last with the high bit: how protobuf writes lengths."""
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def answers_of(message: pb.Answers, questions: int, features: int) -> Answers:
    """Return a group's answers. Raises ContractError where they are not what was asked for."""
    size = questions * features
    if len(message.values) != size or len(message.capped) != size:
        raise ContractError(f"{len(message.values)} values and {len(message.capped)} marks came, {size} were asked for")
    values = np.fromiter(message.values, np.float64, size)
    if np.isinf(values).any():
        raise ContractError("an answer is infinite")
    capped = np.frombuffer(message.capped, np.uint8)
    return Answers(values.reshape(questions, features), capped.reshape(questions, features))


def ingest_request(records: Iterable[Record]) -> pb.IngestRequest:
    """Return a request that brings records."""
    request = pb.IngestRequest()
    for record in records:
        if isinstance(record, Edges):
            links = [
                pb.Link(from_type=one.from_type, from_id=one.from_id, to_type=one.to_type, to_id=one.to_id)
                for one in record.links
            ]
            request.payments.append(pb.Payment(id=record.id, time_ms=record.time, links=links))
        else:
            label = pb.Label(payment=record.id, fraud=record.fraud, known_at_ms=record.known_at, version=record.version)
            request.labels.append(label)
    return request


def records_of(request: pb.IngestRequest) -> list[Record]:
    """Return the records that a request brings."""
    payments: list[Record] = [
        Edges(one.id, one.time_ms, [Link(by.from_type, by.from_id, by.to_type, by.to_id) for by in one.links])
        for one in request.payments
    ]
    return payments + [Judged(one.payment, one.fraud, one.known_at_ms, one.version) for one in request.labels]
