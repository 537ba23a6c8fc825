"""Checks of aggregates: their field, entity, window, delay, condition and event type; and their canonical key."""

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mitra.schema import Entity, EventType
from rules import tree
from rules.conditions import where_of
from rules.durations import EXAMPLES, duration_ms, duration_text
from rules.grammar import AGGREGATES, MAX_LAST, OPTIONS, SPEED, AggregateShape
from rules.names import stored_scope
from rules.plan import Aggregate, Function, ValueType, Where, Window
from rules.problems import closest
from rules.tree import AggregateNode, Node, Unknown

if TYPE_CHECKING:
    from rules.check import Checker

UNKNOWN = Unknown("unknown", "?")
Options = dict[str, ast.keyword]


@dataclass(frozen=True, slots=True)
class History:
    """Whose events are aggregated and which: what by=, event= and where= say."""

    entity: Entity
    event: str | None
    where: Where | None
    events: tuple[EventType, ...]


def aggregate(checker: "Checker", found: ast.Call) -> Node:
    """Return the checked node of an aggregate."""
    function = cast(Function, found.func.id)  # type: ignore[attr-defined]
    shape = AGGREGATES[function]
    if checker.scope.stored:
        return checker.refuse(
            found, "an aggregate can't stand inside another", "where= asks only the stored event itself"
        )
    before = len(checker.source.problems)
    options = _options(checker, found, function, OPTIONS if shape.windowed else ("by", "where", "event"))
    if len(checker.source.problems) > before:
        return UNKNOWN
    history = _history(checker, found, function, options)
    window = _window(checker, found, function, options) if shape.windowed else Window("ever")
    delay_ms = _duration(checker, options["delay"]) if "delay" in options else 0
    _check_reach(checker, found, options, window, delay_ms)
    field, kind = _field(checker, found, function, shape, history)
    if len(checker.source.problems) > before or history is None or window is None or delay_ms is None:
        return UNKNOWN
    return _node(function, history, field, kind, window, delay_ms)


def _node(
    function: Function, history: History, field: str | None, kind: ValueType, window: Window, delay_ms: int
) -> Node:
    parts = [field] if field else []
    parts.append(f"by={history.entity.name}")
    if AGGREGATES[function].windowed:
        match window.kind:
            case "over":
                parts.append(f"over={duration_text(window.size)}")
            case "ever":
                parts.append("over=ever")
            case "last":
                parts.append(f"last={window.size}")
    if delay_ms:
        parts.append(f"delay={duration_text(delay_ms)}")
    if history.event:
        parts.append(f"event={history.event}")
    if history.where:
        parts.append(f"where={history.where.text}")
    key = f"{function}({', '.join(parts)})"
    made = Aggregate(
        key=key,
        function=function,
        entity=history.entity.name,
        field=field,
        window=window,
        delay_ms=delay_ms,
        where=history.where,
        event=history.event,
        value_type=kind,
    )
    return AggregateNode(kind, key, aggregate=made)


def speed(checker: "Checker", found: ast.Call) -> Node:
    """Return the speed from the event before to this one; less than a second apart counts as a second."""
    if checker.scope.stored:
        return checker.refuse(
            found, "an aggregate can't stand inside another", "where= asks only the stored event itself"
        )
    before = len(checker.source.problems)
    options = _options(checker, found, SPEED, ("by", "where", "event"))
    if len(checker.source.problems) > before:
        return UNKNOWN
    history = _history(checker, found, SPEED, options)
    names = [one for one in found.args if isinstance(one, ast.Name)]
    if len(found.args) != 2 or len(names) != 2:
        hint = "write speed_kmh(lat, lon, by=customer)"
        return checker.refuse(found, "speed_kmh wants two fields, latitude and longitude in degrees", hint)
    here = [checker.number(name, "speed_kmh()") for name in names]
    if len(checker.source.problems) > before or history is None or any(node.type == "unknown" for node in here):
        return UNKNOWN
    earlier = []
    for name in names:
        kind = _field_type(checker, name, "previous", AGGREGATES["previous"], history)
        earlier.append(_node("previous", history, name.id, kind, Window("ever"), 0))
    if len(checker.source.problems) > before:
        return UNKNOWN
    seconds = _node("seconds_since", history, None, "number", Window("ever"), 0)
    distance = tree.call("distance_km", (*earlier, *here), "number")
    elapsed = tree.call("greatest", (seconds, tree.constant(1)), "number")
    return tree.arithmetic(("/", "*"), (distance, elapsed, tree.constant(3600)), "number")


def _options(checker: "Checker", found: ast.Call, function: str, allowed: tuple[str, ...]) -> Options:
    options: Options = {}
    for option in found.keywords:
        if option.arg is None:
            checker.refuse(option.value, "** is not part of the language")
        elif option.arg in options:
            checker.refuse(option, f"{option.arg}= is given twice")
        elif option.arg in allowed:
            options[option.arg] = option
        elif option.arg in OPTIONS:
            checker.refuse(option, f"{function} takes no {option.arg}=", "it looks at the event before this one")
        else:
            hint = closest(option.arg, allowed) or f"it takes {', '.join(f'{one}=' for one in allowed)}"
            checker.refuse(option, f"{function} has no option {option.arg}", hint)
    return options


def _history(checker: "Checker", found: ast.Call, function: str, options: Options) -> History | None:
    entity = _entity(checker, found, function, options)
    event = _event(checker, options["event"].value) if "event" in options else None
    if entity is None or (event is None and "event" in options):
        return None
    events = checker.schema.with_history_of(entity)
    if event is not None:
        if event not in events:
            key = ", ".join(entity.fields)
            checker.refuse(
                options["event"], f"{event.name} events are in no {entity.name}'s history", f"they lack {key}"
            )
            return None
        events = (event,)
    # With one event type, naming it says nothing: the keys are equal with and without.
    named = event.name if event is not None and len(checker.schema.events) > 1 else None
    where = None
    if "where" in options:
        scope = stored_scope(checker.schema, events, checker.scope.features)
        condition = checker.inside(scope).condition(options["where"].value, "where=")
        if condition.type == "unknown":
            return History(entity, named, None, events)
        where = where_of(condition, checker.schema.zone)
    return History(entity, named, where, events)


def _entity(checker: "Checker", found: ast.Call, function: str, options: Options) -> Entity | None:
    known = checker.schema.entity_by_name
    listed = f"the entities are {', '.join(known)}" if known else "the pipeline has no entities"
    if "by" not in options:
        checker.refuse(found, f"{function} needs by=, whose history to look at", listed)
        return None
    given = options["by"].value
    if not isinstance(given, ast.Name):
        quoted = isinstance(given, ast.Constant) and isinstance(given.value, str)
        checker.refuse(given, "behind by= stands the name of an entity", "take the quotes off" if quoted else listed)
        return None
    entity = known.get(given.id)
    if entity is None:
        by_field = next((one.name for one in known.values() if given.id in one.fields), None)
        hint = f"did you mean {by_field}?" if by_field else closest(given.id, known) or listed
        checker.refuse(given, f"unknown entity {given.id}", hint)
        return None
    lacking = [name for name in entity.fields if name not in checker.schema.decided.by_name]
    if lacking:
        decided = checker.schema.decided.name
        checker.refuse(given, f"{decided} events have no {entity.name}", f"they lack the field {', '.join(lacking)}")
        return None
    return entity


def _event(checker: "Checker", given: ast.expr) -> EventType | None:
    known = checker.schema.event_by_name
    if isinstance(given, ast.Name) and given.id in known:
        return known[given.id]
    listed = f"the event types are {', '.join(known)}"
    if isinstance(given, ast.Name):
        checker.refuse(given, f"unknown event type {given.id}", closest(given.id, known) or listed)
    else:
        quoted = isinstance(given, ast.Constant) and isinstance(given.value, str)
        checker.refuse(
            given, "behind event= stands the name of an event type", "take the quotes off" if quoted else listed
        )
    return None


def _window(checker: "Checker", found: ast.Call, function: str, options: Options) -> Window | None:
    over, last = options.get("over"), options.get("last")
    if over is not None and last is not None:
        checker.refuse(last, "over= and last= exclude each other")
        return None
    if over is not None:
        if isinstance(over.value, ast.Constant) and over.value.value == "ever":
            return Window("ever")
        size = _duration(checker, over)
        return None if size is None else Window("over", size)
    if last is None:
        checker.refuse(found, f"{function} needs a window", 'add over="1h", over="ever" or last=10')
        return None
    given = last.value.value if isinstance(last.value, ast.Constant) else None
    if type(given) is not int or not 1 <= given <= MAX_LAST:
        checker.refuse(last.value, f"behind last= stands a number of events from 1 to {MAX_LAST:,}")
        return None
    return Window("last", given)


def _duration(checker: "Checker", option: ast.keyword) -> int | None:
    given = option.value.value if isinstance(option.value, ast.Constant) else None
    size = duration_ms(given) if isinstance(given, str) else None
    if size is None:
        ever = ', or "ever"' if option.arg == "over" else ""
        checker.refuse(option.value, f"behind {option.arg}= stands a length of time", f"like {EXAMPLES}{ever}")
    return size


def _check_reach(
    checker: "Checker", found: ast.Call, options: Options, window: Window | None, delay_ms: int | None
) -> None:
    """Refuse a window that reaches back further than histories do."""
    most = checker.schema.max_window_ms
    size = window.size if window is not None and window.kind == "over" else 0
    reach = size + (delay_ms or 0)
    if reach > most:
        place = options.get("over") if size else options.get("delay")
        what = (
            "the window and its delay reach"
            if size and delay_ms
            else "the window reaches"
            if size
            else "the delay reaches"
        )
        message = f"{what} back {_readable(reach)}, more than history.max_window = {_readable(most)}"
        checker.refuse(place or found, message, 'over="ever" keeps lifetime totals' if not delay_ms else "")


def _readable(size_ms: int) -> str:
    return duration_text(size_ms) if size_ms % 1_000 == 0 else f"{size_ms} ms"


def _field(
    checker: "Checker", found: ast.Call, function: Function, shape: AggregateShape, history: History | None
) -> tuple[str | None, ValueType]:
    """Return the field that is aggregated and the type of the result."""
    nothing: tuple[str | None, ValueType] = None, "number" if function == "seconds_since" else "integer"
    if shape.field == "none":
        if found.args:
            checker.refuse(found.args[0], f"{function} reads no field", f"write {function}(by=...)")
        return nothing
    if not found.args:
        if shape.field == "required":
            checker.refuse(found, f"{function} wants a field", f"write {function}(amount, by=...)")
        return nothing
    given = found.args[0]
    if len(found.args) > 1 or not isinstance(given, ast.Name):
        scalar = {"min": "least", "max": "greatest"}.get(function)
        place = found.args[1] if len(found.args) > 1 else given
        hint = (
            f"to compare values of this event, write {scalar}(x, y)"
            if scalar
            else "a computed value can't be aggregated"
        )
        checker.refuse(place, f"{function} aggregates one field of the stored events, by its name", hint)
        return nothing
    if history is None:
        return nothing
    return given.id, _field_type(checker, given, function, shape, history)


def _field_type(
    checker: "Checker", given: ast.Name, function: Function, shape: AggregateShape, history: History
) -> ValueType:
    """Return the type of the aggregate of a field, having noted what is wrong with it."""
    labels = checker.schema.labels
    if labels is not None and given.id == labels.name:
        if not shape.label:
            checker.refuse(given, f"{given.id} is the label, which only sum, mean and count take")
        return "number" if function == "mean" else "integer"
    scope = stored_scope(checker.schema, history.events, checker.scope.features)
    node = checker.inside(scope).node(given)
    if node.type == "time":
        checker.refuse(
            given, "the time of events can't be aggregated", "seconds_since(by=...) is the time since the last"
        )
    elif node.type == "string" and shape.numeric != "any":
        checker.refuse(
            given, f"{function} wants a field of numbers; {given.id} is a text", "count or distinct take any field"
        )
    elif node.type == "boolean" and shape.numeric == "number":
        checker.refuse(
            given, f"{function} wants a field of numbers; {given.id} is a boolean", "sum and mean take booleans"
        )
    if function in {"count", "distinct"}:
        return "integer"
    if function in {"mean", "std"}:
        return "number"
    if function == "sum":
        return "number" if node.type == "number" else "integer"
    return node.type if node.type in {"string", "integer", "number", "boolean"} else "number"
