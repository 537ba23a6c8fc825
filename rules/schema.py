"""What an expression may speak of: the events' fields, the entities, the label, the zone, and how big a text may be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from mitra.graph.features import FEATURES, Column
from mitra.graph.settings import GraphSettings
from mitra.schema import Entity, EventType, Field, Labels
from rules.durations import duration_text


@dataclass(frozen=True)
class ExpressionSchema:
    """The part of a pipeline that expressions are checked against.

    One or more of `events` are decided: names outside of aggregates are their fields. `zone` is the IANA name of the time
    zone that hour(), weekday() and day() answer in. `max_window_ms` bounds a window together with its delay.
    `columns` are what every decision has, which no feature may be called. `patterns` are those that Flink CEP looks for, each with
    its entity.
    """

    events: tuple[EventType, ...]
    entities: tuple[Entity, ...]
    labels: Labels | None
    max_window_ms: int
    zone: str = "UTC"
    expression_bytes: int = 4_096
    expression_depth: int = 32
    columns: frozenset[str] = frozenset()
    graph: GraphSettings | None = None
    patterns: tuple[tuple[str, str], ...] = ()

    @cached_property
    def decided(self) -> EventType:
        """The first event type that decisions are made on. All have its fields."""
        return next(event for event in self.events if event.decided)

    @cached_property
    def graph_index(self) -> dict[str, int]:
        """Where what the graph says stands behind the values of a decided event, by its text; empty without a graph."""
        if self.graph is None:
            return {}
        asked = [graph_text(node.name, column) for node in self.graph.nodes for column in self.graph.columns]
        return {text: len(self.decided.fields) + place for place, text in enumerate(asked)}

    @cached_property
    def entity_by_name(self) -> dict[str, Entity]:
        """The entities by name."""
        return {entity.name: entity for entity in self.entities}

    @cached_property
    def event_by_name(self) -> dict[str, EventType]:
        """The event types by name."""
        return {event.name: event for event in self.events}

    def with_history_of(self, entity: Entity) -> tuple[EventType, ...]:
        """Return the event types that reach the entity's history: those that have all the fields of its key.

        Profiles do so too, and are no events of the entity.
        """
        return tuple(event for event in self.events if event.own_names.issuperset(entity.fields))


def graph_text(node: str, column: Column) -> str:
    """Return the canonical text of what is asked of a node."""
    option = f", {FEATURES[column.name].option}={column.kind}" if column.kind else ""
    window = f", over={duration_text(column.over_ms)}" if column.over_ms else ""
    return f'graph("{column.name}", by={node}{option}{window})'


def stored_fields(events: Iterable[EventType]) -> Mapping[str, Field]:
    """Return by name the fields that histories keep of these events; ids and times have columns of their own."""
    fields: dict[str, Field] = {}
    for event in events:
        for field in event.own:
            if field.name not in {event.id, event.time}:
                fields.setdefault(field.name, field)
    return fields
