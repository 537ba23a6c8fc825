"""A circuit breaker: after some failures in a row nothing is asked for a while, then one call tries."""

from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half-open"]

FAILURES = 3
"""In a row: with the standard deadline a dead service costs 120 ms of waiting in all, then nothing."""
FIRST_PAUSE_MS = 250.0
LONGEST_PAUSE_MS = 1_000.0
"""Pauses double from the first to the longest, so a service that is back is used again within that."""


class Breaker:
    """Says whether to ask. `clock` is monotonic, in ms."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start closed: everything is asked."""
        self._clock = clock
        self._failures = 0
        self._pause_ms = FIRST_PAUSE_MS
        self._until_ms = 0.0
        self._probing = False
        self.opened = 0
        """How often it has opened."""

    @property
    def state(self) -> State:
        """What is asked: all, nothing, or one call that tries."""
        if self._failures < FAILURES:
            return "closed"
        return "half-open" if self._probing or self._clock() >= self._until_ms else "open"

    def allows(self) -> bool:
        """Tell whether a payment's question may be asked now."""
        return self.state == "closed"

    def wants_probe(self) -> bool:
        """Tell whether a call is to be tried that no payment waits for; who is told so must make it."""
        if self.state != "half-open" or self._probing:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """Close: a call was answered."""
        self._failures, self._probing, self._pause_ms = 0, False, FIRST_PAUSE_MS

    def failed(self) -> None:
        """Count a failure; the last that is allowed opens, and one of a probe opens for longer."""
        if self._probing:
            self._probing = False
            self._pause_ms = min(2 * self._pause_ms, LONGEST_PAUSE_MS)
        elif self._failures >= FAILURES:
            return  # it was under way when the breaker opened
        self._failures += 1
        if self._failures >= FAILURES:
            self._failures = FAILURES
            self.opened += 1
            self._until_ms = self._clock() + self._pause_ms
