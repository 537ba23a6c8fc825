"""The stages of the job as pure functions over batches: intake (decode and route), history, decide.

Operators feed them from Flink, the simulator from memory, replay from files. A stage takes encoded messages and a store and
returns encoded messages; whatever it writes, it writes after everything was computed.
"""

import time
from collections.abc import Callable, Iterable

Emit = Iterable[tuple[int, bytes]]
"""(bucket, message): what a stage sends on."""

Clock = Callable[[], float]
"""The wall clock, in milliseconds since 1970."""


def wall_clock_ms() -> float:
    """Return the wall clock in milliseconds."""
    return time.time() * 1000.0
