"""What a pipeline says of its events, entities and labels, after it has been checked.

These classes hold no behaviour beyond look-ups: the pipeline file's reader makes them, every stage uses them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

FieldType = Literal["string", "integer", "number", "boolean"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event. A field that is not required may be absent or null: it is then missing."""

    name: str
    type: FieldType
    required: bool = True


@dataclass(frozen=True)
class EventType:
    """A kind of event: its topic, the fields of its messages, and which of them are its id and time.

    `time_format` is `epoch_ms`, `epoch_s`, `iso8601` or a `strptime` pattern (read as UTC).
    `late_after_ms`: an event this much behind its lane's clock is scored and marked late.
    """

    name: str
    topic: str
    id: str
    time: str
    fields: tuple[Field, ...]
    time_format: str = "epoch_ms"
    decided: bool = True
    late_after_ms: int = 300_000

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """The fields by name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def index(self) -> dict[str, int]:
        """Each field's place in `fields`."""
        return {field.name: place for place, field in enumerate(self.fields)}


@dataclass(frozen=True, slots=True)
class Entity:
    """Something with a history (a customer, a terminal, a pair of both): named by the fields that identify it."""

    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Labels:
    """Where labels come from and what silence means.

    `name` is the label's name in expressions (`fraud`). With `absent_is` = "legit", an event that is `after_ms` old
    and has no label counts as legit; with None it counts as unlabelled for ever.
    A label for an unknown transaction waits `horizon_ms` before it is a dead letter.
    """

    name: str
    topic: str
    id: str
    label: str
    known_at: str | None = None
    known_at_format: str = "epoch_ms"
    absent_is: Literal["legit"] | None = None
    after_ms: int = 0
    horizon_ms: int = 60 * 86_400_000


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How much of an entity is kept: `raw_events` exact events, windows up to `max_window_ms`, idle time until swept."""

    raw_events: int = 2048
    max_window_ms: int = 90 * 86_400_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one message, expression or model may be. `model_us`: what a model put at run time takes for one payment."""

    message_bytes: int = 65_536
    expression_bytes: int = 4_096
    expression_depth: int = 32
    max_future_ms: int = 86_400_000
    model_bytes: int = 100_000_000
    model_us: int = 2_000
