"""What an expression may speak of: the events' fields, the entities, the label, the zone, and how big a text may be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from mitra.schema import Entity, EventType, Field, Labels


@dataclass(frozen=True)
class ExpressionSchema:
    """The part of a pipeline that expressions are checked against.

    One or more of `events` are decided: names outside of aggregates are their fields. `zone` is the IANA name of the time
    zone that hour(), weekday() and day() answer in. `max_window_ms` bounds a window together with its delay.
    `columns` are what every decision has, which no feature may be called.
    """

    events: tuple[EventType, ...]
    entities: tuple[Entity, ...]
    labels: Labels | None
    max_window_ms: int
    zone: str = "UTC"
    expression_bytes: int = 4_096
    expression_depth: int = 32
    columns: frozenset[str] = frozenset()

    @cached_property
    def decided(self) -> EventType:
        """The first event type that decisions are made on. All have its fields."""
        return next(event for event in self.events if event.decided)

    @cached_property
    def entity_by_name(self) -> dict[str, Entity]:
        """The entities by name."""
        return {entity.name: entity for entity in self.entities}

    @cached_property
    def event_by_name(self) -> dict[str, EventType]:
        """The event types by name."""
        return {event.name: event for event in self.events}

    def with_history_of(self, entity: Entity) -> tuple[EventType, ...]:
        """Return the event types that reach the entity's history: those that have all the fields of its key."""
        return tuple(event for event in self.events if event.own_names.issuperset(entity.fields))


def stored_fields(events: Iterable[EventType]) -> Mapping[str, Field]:
    """Return by name the fields that histories keep of these events; ids and times have columns of their own."""
    fields: dict[str, Field] = {}
    for event in events:
        for field in event.own:
            if field.name not in {event.id, event.time}:
                fields.setdefault(field.name, field)
    return fields
