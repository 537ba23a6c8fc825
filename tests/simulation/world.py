"""The world outside the job: topics with partitions that only grow, and a clock that somebody else moves."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from mitra.stages.intake import FIELD_SEPARATOR

START_MS = 1_700_000_000_000


class FakeClock:
    """A wall clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ms = float(START_MS)

    def __call__(self) -> float:
        return self.now_ms


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies: what identifies it for good."""

    topic: str
    partition: int
    offset: int


@dataclass(slots=True)
class World:
    """Topics as lists of source texts, in the form in which the job's SQL hands records to intake."""

    clock: FakeClock
    partitions: int
    topics: dict[str, list[list[str]]] = field(default_factory=dict)

    def append(self, topic: str, partition: int, value: bytes | None) -> Place:
        """Write a record; return where it lies."""
        logs = self.topics.setdefault(topic, [[] for _ in range(self.partitions)])
        log = logs[partition]
        published = datetime.fromtimestamp(self.clock.now_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        text = "N" if value is None else "V" + value.decode("latin-1")
        log.append(FIELD_SEPARATOR.join((topic, str(partition), str(len(log)), published, text)))
        return Place(topic, partition, len(log) - 1)
