"""Topics in memory as a consumer of kafka-python reads them, and a job's decisions on them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mitra.pipeline import Pipeline

START_MS = 1_700_000_000_000


class Place(NamedTuple):
    topic: str
    partition: int


class Stamp(NamedTuple):
    offset: int
    timestamp: int


@dataclass(frozen=True)
class Message:
    """A record as the consumer gives it."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Consumer:
    """All partitions of a topic. It gives `most` records at once; `reads` counts those that it gave."""

    def __init__(self, topic: str, partitions: Sequence[Sequence[Message]], first: int = 0, most: int = 3) -> None:
        self.records = {Place(topic, number): list(one) for number, one in enumerate(partitions)}
        self.first, self.most = first, most
        self.at: dict[Place, int] = {}
        self.reads = 0

    def assignment(self) -> set[Place]:
        return set(self.records)

    def beginning_offsets(self, places: Any) -> dict[Place, int]:
        return dict.fromkeys(places, self.first)

    def end_offsets(self, places: Any) -> dict[Place, int]:
        # Behind the last record lies the end of a transaction, which is no record.
        return {place: max((one.offset + 2 for one in self.records[place]), default=self.first) for place in places}

    def offsets_for_times(self, times: dict[Place, int]) -> dict[Place, Stamp | None]:
        found = {}
        for place, time_ms in times.items():
            later = [one for one in self.records[place] if one.timestamp >= time_ms]
            found[place] = Stamp(later[0].offset, later[0].timestamp) if later else None
        return found

    def seek(self, place: Place, offset: int) -> None:
        self.at[place] = offset

    def position(self, place: Place) -> int:
        return self.at[place]

    def poll(self, timeout_ms: int, max_records: int) -> dict[Place, list[Message]]:
        given = {}
        for place, records in self.records.items():
            found = [one for one in records if one.offset >= self.at[place]][: self.most]
            self.at[place] = found[-1].offset + 1 if found else self.end_offsets([place])[place]
            self.reads += len(found)
            if found:
                given[place] = found
        return given


@dataclass
class Topic:
    """Records of a topic in the order they were written; the key chooses the partition."""

    partitions: int = 2
    records: list[list[Message]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.records = [[] for _ in range(self.partitions)]

    def add(self, at_ms: int, key: str, value: Any) -> None:
        number = sum(key.encode()) % self.partitions
        data = value if isinstance(value, bytes | None) else json.dumps(value).encode()
        self.records[number].append(Message(number, len(self.records[number]), at_ms, key.encode(), data))


def decision(transaction_id: str, **rest: Any) -> dict[str, Any]:
    """Return a decision as it lies on the topic: allowed without model and rules, unless said otherwise."""
    return {
        "transaction_id": transaction_id,
        "event_time": START_MS,
        "decided_at": START_MS + 5,
        "latency_ms": 5.0,
        "timing_ms": {"history": 3.0, "gather": 1.5, "decide": 0.5},
        "outcome": "allow",
        "score": None,
        "raw_score": None,
        "model": None,
        "rules": [],
        "not_evaluated": {},
        "shadow": [],
        "reasons": [],
        "revision": 0,
        "degraded": [],
        "approximate": [],
        "late": False,
        "duplicate": False,
        **rest,
    }


@dataclass
class Kafka:
    """Topics by name; what stands for `open_topic`."""

    topics: dict[str, Topic]
    opened: list[Consumer] = field(default_factory=list)

    @contextmanager
    def open_topic(self, _: Pipeline, topic: str) -> Iterator[Consumer]:
        consumer = Consumer(topic, self.topics[topic].records)
        self.opened.append(consumer)
        yield consumer
