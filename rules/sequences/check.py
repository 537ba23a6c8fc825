"""The texts of a pattern, checked against the events of its entity's history and compiled.

A step's condition is taken apart at its `and`s: what asks the event alone is asked once of each event, what speaks of
earlier steps is asked of each way to come there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from mitra.errors import Problem
from mitra.schema import EventType, Field
from rules import tree
from rules.check import Checker
from rules.conditions import where_of
from rules.durations import duration_text
from rules.expression import function_of
from rules.names import IN_STEP, Scope
from rules.parse import parse
from rules.plan import TYPES_SEPARATOR, Value, Where
from rules.problems import Source, closest
from rules.schema import ExpressionSchema, stored_fields
from rules.sequences.pattern import Pattern, Step
from rules.tree import FieldNode, Logic, Node


@dataclass(frozen=True)
class Test:
    """A compiled condition: `evaluate(values of `fields`, time in ms)` is True where it holds. Never raises.

    A field is (None, name) of the event itself, or (step, name) of the event that an earlier step took last.
    """

    fields: tuple[tuple[str | None, str], ...]
    evaluate: Callable[[Sequence[Value], int], Value]


@dataclass(frozen=True)
class CompiledStep:
    """A step with the event types it takes, and its tests: `own` of the event alone, `linked` of earlier steps too.

    `times` are the names that its own test may call the event's time by.
    """

    step: Step
    events: frozenset[str]
    own: Where | None
    linked: Test | None
    condition: Node | None
    times: frozenset[str]


@dataclass(frozen=True)
class CompiledPattern:
    """A checked pattern with its steps in order."""

    pattern: Pattern
    steps: tuple[CompiledStep, ...]


def compile_pattern(
    pattern: Pattern, path: str, schema: ExpressionSchema, when: str
) -> tuple[CompiledPattern | None, list[Problem]]:
    """Return the compiled pattern of the sequence at `path`, or None, and all that is wrong with its texts.

    `when` is what the sequence asks where a match is complete.
    """
    problems: list[Problem] = []
    entity = schema.entity_by_name.get(pattern.by)
    if entity is None:
        listed = ", ".join(schema.entity_by_name) or "none"
        hint = closest(pattern.by, schema.entity_by_name) or f"the entities are {listed}"
        return None, [Problem(f"{path}.by", f'found "{pattern.by}", which is no entity', hint)]
    if pattern.within_ms > schema.max_window_ms:
        message = f"is longer than histories reach back: history.max_window is {duration_text(schema.max_window_ms)}"
        problems.append(Problem(f"{path}.within", message))
    known = schema.with_history_of(entity)
    before: dict[str, Mapping[str, Field]] = {}
    steps = []
    for place, step in enumerate(pattern.steps):
        where = f"{path}.steps[{place}]"
        events = _events(step, known, entity.name, schema, where, problems)
        if events:
            made = _step(step, events, before, schema, where, problems)
            steps.append(made)
            if not step.absent:
                before[step.name] = stored_fields(events)
    compiled = CompiledPattern(pattern, tuple(one for one in steps if one is not None))
    if not problems and when != "True" and not decides(compiled, schema):
        decided = " or ".join(sorted(_decided(schema)))
        message = (
            f"is asked where a {decided} completes the sequence, and the step {pattern.steps[-1].name} isn't always one"
        )
        hint = f"write it in a step's when, or say in the last step event: {decided}"
        problems.append(Problem(f"{path}.when", message, hint))
    return (None if problems else compiled), problems


def _decided(schema: ExpressionSchema) -> frozenset[str]:
    return frozenset(event.name for event in schema.events if event.decided)


def decides(compiled: CompiledPattern, schema: ExpressionSchema) -> bool:
    """Tell whether it is always a decided event that completes the pattern."""
    return not compiled.pattern.awaits_absence and compiled.steps[-1].events <= _decided(schema)


def may_decide(compiled: CompiledPattern, schema: ExpressionSchema) -> bool:
    """Tell whether a decided event may complete the pattern."""
    return not compiled.pattern.awaits_absence and not compiled.steps[-1].events.isdisjoint(_decided(schema))


def _events(
    step: Step, known: Sequence[EventType], entity: str, schema: ExpressionSchema, path: str, problems: list[Problem]
) -> tuple[EventType, ...]:
    """Return the event types that a step may take."""
    if step.event is None:
        return tuple(event for event in known if not event.derived)
    found = next((event for event in known if event.name == step.event), None)
    if found is not None:
        return (found,)
    names = [event.name for event in known]
    listed = f"{entity} histories have {', '.join(names)}"
    if step.event in schema.event_by_name:
        message = f"{step.event} events are in no {entity}'s history"
        problems.append(Problem(f"{path}.event", message, listed))
    else:
        message = f'found "{step.event}", which is no event type'
        problems.append(Problem(f"{path}.event", message, closest(step.event, names) or listed))
    return ()


def _step(
    step: Step,
    events: tuple[EventType, ...],
    before: Mapping[str, Mapping[str, Field]],
    schema: ExpressionSchema,
    path: str,
    problems: list[Problem],
) -> CompiledStep | None:
    names = frozenset(event.name for event in events)
    if step.event is None and any(event.derived for event in schema.events):
        step = msgspec.structs.replace(step, event=TYPES_SEPARATOR.join(event.name for event in events))
    if not step.when:
        return CompiledStep(step, names, None, None, None, frozenset())
    source = Source(f"{path}.when", step.when)
    found = parse(source, schema.expression_bytes, schema.expression_depth)
    times = frozenset(event.time for event in events)
    unkept = frozenset(event.id for event in events)
    scope = Scope(
        stored_fields(events), events[0].time, times, {}, stored=True, unkept=unkept, place=IN_STEP, steps=before
    )
    node = None if found is None else Checker(source, schema, scope).condition(found, "when")
    problems += source.sorted()
    if node is None or source.problems:
        return None
    parts = node.parts if isinstance(node, Logic) and node.operator == "and" else (node,)
    own = [part for part in parts if not _is_linked(part)]
    linked = [part for part in parts if _is_linked(part)]
    where = where_of(tree.logic("and", own), schema.zone) if own else None
    return CompiledStep(step, names, where, _test(linked, schema.zone), node, times)


def _is_linked(node: Node) -> bool:
    return any(isinstance(one, FieldNode) and "." in one.name for one in node.walk())


def _test(parts: Sequence[Node], zone: str) -> Test | None:
    if not parts:
        return None
    signals, evaluate = function_of(tree.logic("and", list(parts)), zone, boolean_numbers=True)
    fields = []
    for signal in signals:
        step, dot, name = signal.name.rpartition(".")
        fields.append((step if dot else None, name))
    return Test(tuple(fields), evaluate)
