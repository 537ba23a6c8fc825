"""What a pipeline says of its events, entities and labels, after it has been checked.

These classes hold no behaviour beyond look-ups: the pipeline file's reader makes them, every stage uses them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

FieldType = Literal["string", "integer", "number", "boolean"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event. A field that is not required may be absent or null: it is then missing.

    With `read` False it is no field of this type's messages, but of another decided type's: its value is always `fixed`.
    """

    name: str
    type: FieldType
    required: bool = True
    read: bool = True
    fixed: str | None = None


UPDATE_ID = "update_id"
"""The field that tells a profile's messages apart; where it is missing, it is made of the key and the time."""

EVENT_NAME = "event"
"""What expressions call the type of a decided event, where several types are decided."""


MATCH = "sequence_match"
"""The event type as which matches of Flink CEP enter histories."""


@dataclass(frozen=True)
class EventType:
    """A kind of event: its topic, the fields of its messages, and which of them are its id and time.

    All decided types have the same `fields`, in one order, so that expressions and what is kept of a decision speak of one
    thing; those of them that a type's own messages have are `own`. `time_format` is `epoch_ms`, `epoch_s`, `iso8601` or a `strptime` pattern (read as UTC).
    `late_after_ms`: an event this much behind its lane's clock is scored and marked late. `out_of_order_ms`: so much later than
    what came before it may one still be sent; what is absent is waited for as long. A `derived` type moves no clock, and counts
    only where it is named: what the job makes of the others, and profiles. A profile is a type that says `by` which entity; its
    facts are missing as soon as they are older than `max_age_ms`.
    """

    name: str
    topic: str
    id: str
    time: str
    fields: tuple[Field, ...]
    time_format: str = "epoch_ms"
    decided: bool = True
    late_after_ms: int = 300_000
    out_of_order_ms: int = 0
    derived: bool = False
    by: str = ""
    max_age_ms: int = 0

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """The fields by name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def own(self) -> tuple[Field, ...]:
        """The fields that its messages have."""
        return tuple(field for field in self.fields if field.read)

    @cached_property
    def own_names(self) -> frozenset[str]:
        """The names of the fields that its messages have."""
        return frozenset(field.name for field in self.own)

    @cached_property
    def facts(self) -> tuple[str, ...]:
        """Of a profile what it tells: all fields behind its time."""
        return tuple(field.name for field in self.fields[self.index[self.time] + 1 :]) if self.by else ()

    @cached_property
    def index(self) -> dict[str, int]:
        """Each field's place in `fields`."""
        return {field.name: place for place, field in enumerate(self.fields)}


def share_fields(events: Sequence[EventType]) -> tuple[EventType, ...]:
    """Return the event types, the decided ones with the fields of all decided ones: those of others are missing in them.

    Where there are several, the last field is the type's name.
    """
    decided = [event for event in events if event.decided]
    if len(decided) < 2:
        return tuple(events)
    shared = {field.name: field for event in decided for field in event.fields}
    shared[EVENT_NAME] = Field(EVENT_NAME, "string")

    def widened(event: EventType) -> EventType:
        others = {
            name: replace(field, required=False, read=False, fixed=event.name if name == EVENT_NAME else None)
            for name, field in shared.items()
        }
        return replace(event, fields=tuple((others | event.by_name).values()))

    return tuple(widened(event) if event.decided else event for event in events)


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

    @property
    def fold_rows(self) -> int:
        """So many of the oldest are folded at once when there are `raw_events`: seldom enough to be cheap."""
        return max(1, self.raw_events // 8)

    @property
    def sure_events(self) -> int:
        """So many of an entity's newest events are always kept one by one: behind fewer, a duplicate is known as one."""
        return self.raw_events - self.fold_rows


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one message, expression or model may be. `model_us`: what a model put at run time takes for one payment."""

    message_bytes: int = 65_536
    expression_bytes: int = 4_096
    expression_depth: int = 32
    max_future_ms: int = 86_400_000
    model_bytes: int = 100_000_000
    model_us: int = 2_000
