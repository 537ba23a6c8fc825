"""Both topics of control in memory, and a job behind them that answers as the real one does, or doesn't."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from control_stream import Ack, Context
from mitra.control.topics import Record
from tests.factories.control import NOW_MS, Job


@dataclass
class MemoryTopics:
    """A log and acks. `silent` are parts (stage, number) that answer nothing; a job that is `down` does nothing at all.

    `fault` is why models can't be loaded, empty if they can. `exact_from` is what buckets of history say when they are ready, each a minute later than the one before.
    """

    context: Context
    lanes: int = 2
    buckets: int = 2
    records: list[bytes | None] = field(default_factory=list)
    acks: list[bytes | None] = field(default_factory=list)
    silent: set[tuple[str, int]] = field(default_factory=set)
    down: bool = False
    exact_from: dict[str, int] = field(default_factory=dict)
    fault: str = ""

    def __post_init__(self) -> None:
        self._seen = 0
        self.job = Job(lanes=self.lanes, buckets=self.buckets, context=self.context)

    def log(self, start: int) -> Iterator[Record]:
        for offset, data in enumerate(self.records[start:], start):
            yield Record(offset, NOW_MS + offset * 1_000, data)

    def append(self, changes: Sequence[bytes | None]) -> list[int]:
        first = len(self.records)
        self.records += changes
        if not self.down:
            self.work()
        return list(range(first, first + len(changes)))

    def work(self) -> None:
        """Let the job take what is on the log, and answer."""
        while self.job.offset < len(self.records):
            self.job.send(self.records[self.job.offset])
            self.job.try_out(self.fault)
            self.records += self.job.published
            self.job.published.clear()
            self.answer()

    def answer(self) -> None:
        """Let the parts that aren't silent answer, and publish all acks."""
        told = len(self.job.acks)
        self.acks += [ack.to_json() for ack in self.job.acks[getattr(self, "_told", 0) :]]
        self._told = told
        for ack in self.job.replies():
            if (ack.stage, ack.part) not in self.silent:
                self._publish(ack)

    def _publish(self, ack: Ack) -> None:
        said = self.exact_from if (ack.stage, ack.status) == ("history", "ready") else {}
        dates = {name: at + 60_000 * ack.part for name, at in said.items()}
        ack = msgspec.structs.replace(ack, parts=self.job.sizes[ack.stage], exact_from=dates)
        self.acks.append(ack.to_json())
        self.job.take(self.job.govern.ack(ack, self.job.now_ms))

    def newest_acks(self, count: int) -> list[bytes | None]:
        self._seen = len(self.acks)
        return self.acks[-count:]

    def next_acks(self, seconds: float) -> list[bytes | None]:
        found, self._seen = self.acks[self._seen :], len(self.acks)
        if not found:
            time.sleep(min(seconds, 0.001))
        return found
