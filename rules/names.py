"""Names in an expression: fields, the event's time, features; and why a name is none of these."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field

from mitra.schema import EventType, Field
from rules.grammar import FUNCTIONS
from rules.problems import Source, closest
from rules.schema import ExpressionSchema, stored_fields
from rules.tree import FeatureNode, FieldNode, Node, NodeType, TimeNode, Unknown

IN_STEP = "a step"
TIME = "time"
"""In an expression this name is always the event's time, whatever field holds it."""


@dataclass(frozen=True)
class Scope:
    """The names that mean something at a place: `stored` inside of where=, where only the stored event can be asked.

    `time_field` is the field that holds the time; `times` are all that do. `unkept`: ids, which histories don't keep.
    `place` says where that is. `steps`: in a sequence, the fields of the steps before this one by the step's name.
    """

    fields: Mapping[str, Field]
    time_field: str
    times: frozenset[str]
    features: Mapping[str, NodeType]
    stored: bool = False
    unkept: frozenset[str] = frozenset()
    place: str = "where="
    steps: Mapping[str, Mapping[str, Field]] = dataclass_field(default_factory=dict)


def decided_scope(schema: ExpressionSchema, features: Mapping[str, NodeType]) -> Scope:
    """Return the names outside of aggregates."""
    event = schema.decided
    return Scope(event.by_name, event.time, frozenset({event.time}), features)


def stored_scope(schema: ExpressionSchema, events: tuple[EventType, ...], features: Mapping[str, NodeType]) -> Scope:
    """Return the names inside an aggregate over these event types; features are known only to be refused well."""
    kept = stored_fields(events)
    time_field = (schema.decided if schema.decided in events else events[0]).time
    ids = frozenset(event.id for event in events) - kept.keys()
    return Scope(kept, time_field, frozenset(event.time for event in events), features, stored=True, unkept=ids)


def resolve(name: ast.Name, scope: Scope, schema: ExpressionSchema, source: Source) -> Node:
    """Return what a name stands for, or note why it stands for nothing."""
    word = name.id
    if schema.labels is not None and word == schema.labels.name:
        if scope.stored:
            source.add(
                name, f"{word} is the label, which {scope.place} can't ask", "labels come after the event was stored"
            )
        else:
            hint = f'ask for that of earlier events: mean({word}, by=..., over="7d", delay="7d")'
            source.add(name, f"{word} is the label, which isn't known when an event is decided", hint)
        return Unknown("unknown", word)
    if word == TIME and TIME in scope.fields and TIME not in scope.times:
        source.add(name, "time is the event's time, but a field has that name too", "give the field another name")
        return Unknown("unknown", word)
    if word == TIME or word in scope.times:
        return TimeNode("time", TIME, name=scope.time_field)
    if word in scope.fields:
        return FieldNode(scope.fields[word].type, word, name=word)
    if word in scope.features and not scope.stored:
        kind = scope.features[word]
        return Unknown("unknown", word) if kind == "unknown" else FeatureNode(kind, word, name=word)
    source.add(name, *_why_unknown(word, scope, schema))
    return Unknown("unknown", word)


def resolve_part(found: ast.Attribute, scope: Scope, source: Source) -> Node:
    """Return the field of an earlier step that `step.field` stands for, or note why it stands for nothing."""
    if not isinstance(found.value, ast.Name) or found.value.id not in scope.steps:
        before = ", ".join(scope.steps)
        hint = f"the steps before this one are {before}" if before else "it is the first step that comes"
        source.add(found.value, "before a dot stands the name of an earlier step", hint)
        return Unknown("unknown", "?")
    step, fields = found.value.id, scope.steps[found.value.id]
    if found.attr not in fields:
        of_time = found.attr in {TIME, *scope.times}
        hint = "within bounds the time between steps" if of_time else closest(found.attr, fields)
        source.add(found, f"the step {step} has no field {found.attr}", hint or _some(list(fields)))
        return Unknown("unknown", "?")
    name = f"{step}.{found.attr}"
    return FieldNode(fields[found.attr].type, name, name=name)


def _why_unknown(word: str, scope: Scope, schema: ExpressionSchema) -> tuple[str, str]:
    if scope.stored:
        if word in scope.features:
            return (
                f"{word} is a feature; aggregates and {scope.place} read fields of stored events",
                "write the field itself",
            )
        if word in scope.unkept:
            return f"{word} is the event's id, which histories don't keep", "count(...) counts events"
        owners = [event.name for event in schema.events if word in event.own_names]
        if owners:
            return (
                f"{word} is no field of the events that are aggregated here",
                f"it is one of {', '.join(owners)} events",
            )
    if word in schema.entity_by_name:
        keys = ", ".join(schema.entity_by_name[word].fields)
        return f"{word} is an entity, which only stands behind by=", f"its key is {keys}"
    if word in FUNCTIONS:
        return f"{word} is a function", f"call it: {word}(...)"
    if word in schema.event_by_name:
        return f"{word} is an event type, which only stands behind event=", ""
    if word.lower() in {"true", "false"}:
        return f"unknown name {word}", f"did you mean {word.capitalize()}?"
    if word.lower() in {"null", "none", "nan", "nil", "missing"}:
        return f"unknown name {word}", "to ask whether a value is there, write is_missing(...)"
    known = [TIME, *scope.fields, *(() if scope.stored else scope.features)]
    return f"unknown name {word}", closest(word, known) or _some(known)


def _some(known: list[str]) -> str:
    shown = ", ".join(known[:12])
    return f"known here: {shown}{' …' if len(known) > 12 else ''}"
