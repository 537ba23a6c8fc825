"""What the simulated records say, kept apart from the job: the truth that its output is compared with."""

from dataclasses import dataclass
from typing import Literal

DECIDED: tuple[Literal["payment"], ...] = ("payment",)


@dataclass(frozen=True)
class Event:
    """A payment or a login; equal facts are the same content."""

    kind: Literal["payment", "login"]
    id: str
    time_ms: int
    customer_id: str
    device_id: str | None
    terminal_id: str | None = None
    country: str | None = None
    amount: float | None = None
    passed: bool | None = None

    def keys(self) -> dict[str, str]:
        """Return the keys of the entities that the event touches."""
        keys = {"customer": self.customer_id}
        if self.terminal_id is not None:
            keys["terminal"] = self.terminal_id
            keys["pair"] = f"{self.customer_id}\x1f{self.terminal_id}"
        if self.device_id is not None:
            keys["device"] = self.device_id
        return keys


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a transaction, which may not exist."""

    id: str
    value: float
    known_at_ms: int
    version: int


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that is a dead letter, and the reason it should give."""

    reason: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A record that passes every bucket."""

    name: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A record of the control topic; what becomes of it is read off the topic itself."""


Fact = Event | Label | Bad | Probe | Changed
