"""The two topics of control as the command line needs them; `mitra.control.kafka` has them on a Kafka."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the control topic; `at_ms` is when it was written."""

    offset: int
    at_ms: int
    data: bytes | None


class ControlTopics(Protocol):
    """The log of changes, and the acks."""

    def log(self, start: int) -> Iterator[Record]:
        """Go over the log from an offset to the end that it has now."""

    def append(self, changes: Sequence[bytes]) -> list[int]:
        """Write changes, in order, and return their offsets once they can't be lost."""

    def newest_acks(self, count: int) -> list[bytes | None]:
        """Return the newest acks, oldest first: up to so many of each partition. `next_acks` goes on behind them."""

    def next_acks(self, seconds: float) -> list[bytes | None]:
        """Return the acks that came since, as soon as there are any; none if there are none for so long."""
