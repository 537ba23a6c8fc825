"""Checks of aggregates: their field, entity, window, delay, condition and event type; and their canonical key."""

import ast
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from mitra.schema import Entity, EventType
from rules import tree
from rules.conditions import where_of
from rules.durations import duration_ms, duration_text
from rules.grammar import AGGREGATES, ELAPSED, OPEN_OPTIONS, OPTIONS, SPEED, AggregateShape
from rules.names import IN_STEP, stored_scope
from rules.pairs import elapsed_in, elapsed_text, ends_text, event_of, pair_of
from rules.plan import TYPES_SEPARATOR, Aggregate, Function, Pair, ValueType, Where, Window
from rules.problems import closest
from rules.tree import AggregateNode, Node, Unknown
from rules.windows import Options, check_reach, duration_of, window_of, window_text

if TYPE_CHECKING:
    from rules.check import Checker

UNKNOWN = Unknown("unknown", "?")
LONGEST_PERIOD_MS = 7 * 86_400_000
INSIDE = {
    "where=": ("an aggregate can't stand inside another", "where= asks only the stored event itself"),
    IN_STEP: (
        "a step can't ask an aggregate, which is known of the event that is decided alone",
        "write it in the sequence's own when: it is asked where the last step comes",
    ),
}
"""Why there are no aggregates of aggregates, by what stands around."""


@dataclass(frozen=True, slots=True)
class History:
    """Whose events are aggregated and which: what by=, event= and where= say, and what pairs them."""

    entity: Entity
    event: str | None
    where: Where | None
    events: tuple[EventType, ...]
    pair: Pair | None = None


def aggregate(checker: "Checker", found: ast.Call) -> Node:
    """Return the checked node of an aggregate."""
    function = cast(Function, found.func.id)  # type: ignore[attr-defined]
    shape = AGGREGATES[function]
    if checker.scope.stored:
        return checker.refuse(found, *INSIDE[checker.scope.place])
    before = len(checker.source.problems)
    allowed = OPEN_OPTIONS if function == "open" else OPTIONS if shape.windowed else ("by", "where", "event")
    options = options_of(checker, found, function, allowed, elsewhere=OPTIONS)
    if len(checker.source.problems) > before:
        return UNKNOWN
    history = _history(checker, found, function, options)
    window = window_of(checker, found, function, options) if shape.windowed else Window("ever")
    if window is not None and window.kind == "ever" and not shape.ever:
        hint = "it looks at the events themselves: name a window"
        checker.refuse(options["over"], f"{function} keeps no lifetime totals", hint)
    delay_ms = duration_of(checker, options["delay"]) if "delay" in options else 0
    check_reach(checker, found, options, window, delay_ms)
    parameter = None if shape.parameter is None else _parameter(checker, found, function, shape)
    if shape.parameter is not None and parameter is None:
        return UNKNOWN
    given = found.args if shape.parameter is None else found.args[:-1]
    field, kind = _field(checker, found, given, function, shape, history)
    if len(checker.source.problems) > before or history is None or window is None or delay_ms is None:
        return UNKNOWN
    if checker.schema.labels is not None and field == checker.schema.labels.name:
        history = replace(history, event=_judged(history))
    return _node(function, history, field, kind, window, delay_ms, parameter)


def _parameter(checker: "Checker", found: ast.Call, function: str, shape: AggregateShape) -> float | None:
    """Return what stands last in the brackets: the share of a quantile, or a period in milliseconds."""
    given = found.args[-1] if len(found.args) > (shape.field == "required") else None
    value = given.value if isinstance(given, ast.Constant) else None
    if shape.parameter == "share":
        if type(value) in (int, float) and 0 <= value <= 1:  # type: ignore[operator]
            return float(value)  # type: ignore[arg-type]
        wanted, hint = "a share from 0 to 1", "write quantile(amount, 0.9, by=...)"
    else:
        period_ms = duration_ms(value) if isinstance(value, str) else None
        if period_ms is not None and period_ms <= LONGEST_PERIOD_MS:
            return float(period_ms)
        wanted, hint = "a period of up to a week", 'write periodicity("1d", by=...)'
    checker.refuse(given or found, f"{function} wants {wanted}", hint)
    return None


def _judged(history: History) -> str | None:
    """Return the types that labels judge among those that are aggregated; None where they judge all of them.

    Nobody calls a login a fraud, so its silence doesn't say that it was legit.
    """
    decided = [event.name for event in history.events if event.decided]
    return history.event if len(decided) == len(history.events) else TYPES_SEPARATOR.join(decided)


def _node(
    function: Function,
    history: History,
    field: str | None,
    kind: ValueType,
    window: Window,
    delay_ms: int,
    parameter: float | None = None,
) -> Node:
    shape = AGGREGATES[function]
    parts = [field] if field else []
    if parameter is not None:
        parts.append(duration_text(int(parameter)) if shape.parameter == "period" else repr(parameter))
    parts.append(f"by={history.entity.name}")
    if shape.windowed:
        parts.append(window_text(window))
    if delay_ms:
        parts.append(f"delay={duration_text(delay_ms)}")
    pair = history.pair
    if pair is not None and function == "open":
        parts += [f"event={pair.begin}", f"until={ends_text(pair)}", f"id={pair.id}"]
    elif history.event and pair is None:
        parts.append(f"event={history.event}")
    if history.where:
        parts.append(f"where={history.where.text}")
    key = f"{function}({', '.join(parts)})"
    made = Aggregate(
        key=key,
        function=function,
        entity=history.entity.name,
        field=None if pair is not None else field,
        window=window,
        delay_ms=delay_ms,
        where=history.where,
        event=history.event,
        value_type=kind,
        parameter=parameter,
        pair=pair,
    )
    return AggregateNode(kind, key, aggregate=made)


def speed(checker: "Checker", found: ast.Call) -> Node:
    """Return the speed from the event before to this one; less than a second apart counts as a second."""
    if checker.scope.stored:
        return checker.refuse(found, *INSIDE[checker.scope.place])
    before = len(checker.source.problems)
    options = options_of(checker, found, SPEED, ("by", "where", "event"), elsewhere=OPTIONS)
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


def options_of(
    checker: "Checker", found: ast.Call, function: str, allowed: tuple[str, ...], *, elsewhere: Collection[str] = ()
) -> Options:
    """Return a call's options by name, having noted those that it doesn't take; `elsewhere` are those of windows."""
    options: Options = {}
    for option in found.keywords:
        if option.arg is None:
            checker.refuse(option.value, "** is not part of the language")
        elif option.arg in options:
            checker.refuse(option, f"{option.arg}= is given twice")
        elif option.arg in allowed:
            options[option.arg] = option
        elif option.arg in elsewhere:
            checker.refuse(option, f"{function} takes no {option.arg}=", "it looks at the event before this one")
        else:
            hint = closest(option.arg, allowed) or f"it takes {', '.join(f'{one}=' for one in allowed)}"
            checker.refuse(option, f"{function} has no option {option.arg}", hint)
    return options


def _history(checker: "Checker", found: ast.Call, function: str, options: Options) -> History | None:
    entity = entity_of(checker, found, function, options)
    if function == "open" or elapsed_in(found) is not None:
        return None if entity is None else _paired(checker, found, function, options, entity)
    event = event_of(checker, options["event"].value) if "event" in options else None
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
    if event is None and any(one.derived for one in events):
        events = tuple(one for one in events if not one.derived)
        named = TYPES_SEPARATOR.join(one.name for one in events)
    return History(entity, named, _where(checker, options, events), events)


def _where(checker: "Checker", options: Options, events: tuple[EventType, ...]) -> Where | None:
    if "where" not in options:
        return None
    scope = stored_scope(checker.schema, events, checker.scope.features)
    condition = checker.inside(scope).condition(options["where"].value, "where=")
    return None if condition.type == "unknown" else where_of(condition, checker.schema.zone)


def _paired(checker: "Checker", found: ast.Call, function: str, options: Options, entity: Entity) -> History | None:
    """Return the events that open() counts, or at which elapsed() is known."""
    elapsed = elapsed_in(found)
    if elapsed is None:
        pair = pair_of(checker, found, options, "until", entity)
        chosen = None if pair is None else pair.begin
    else:
        if not AGGREGATES[function].elapsed:  # type: ignore[index]
            able = ", ".join(name for name, one in AGGREGATES.items() if one.elapsed)
            checker.refuse(elapsed, f"{function} can't aggregate {ELAPSED}(...)", f"{able} can")
        if "event" in options:
            checker.refuse(options["event"], f"{ELAPSED}(...) says which events", "leave event= out")
        for given in elapsed.args:
            checker.refuse(given, f"{ELAPSED} takes event=, to= and id= by name")
        inside = options_of(checker, elapsed, ELAPSED, ("event", "to", "id"), elsewhere=OPTIONS)
        pair = pair_of(checker, elapsed, inside, "to", entity)
        chosen = None if pair is None else pair.ends[0]
    if pair is None:
        return None
    events = (checker.schema.event_by_name[chosen],)  # type: ignore[index]
    return History(entity, chosen, _where(checker, options, events), events, pair)


def entity_of(checker: "Checker", found: ast.Call, function: str, options: Options) -> Entity | None:
    """Return the entity that by= names, None having noted why that is none."""
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
    decided = [event for event in checker.schema.events if event.decided]
    if not any(event in decided for event in checker.schema.with_history_of(entity)):
        names = " or ".join(event.name for event in decided)
        lacking = [name for name in entity.fields if all(name not in event.own_names for event in decided)]
        hint = f"they lack the field {', '.join(lacking)}" if lacking else "none has all of its fields"
        checker.refuse(given, f"{names} events have no {entity.name}", hint)
        return None
    return entity


def _field(
    checker: "Checker",
    found: ast.Call,
    arguments: list[ast.expr],
    function: Function,
    shape: AggregateShape,
    history: History | None,
) -> tuple[str | None, ValueType]:
    """Return the field that is aggregated and the type of the result."""
    if elapsed_in(found) is not None:
        text = None if history is None or history.pair is None else elapsed_text(history.pair)
        return text, "integer" if function == "count" else "number"
    nothing: tuple[str | None, ValueType] = None, "integer" if function in {"count", "open"} else "number"
    if shape.field == "none":
        if arguments:
            told = '"1d", ' if shape.parameter == "period" else ""
            checker.refuse(arguments[0], f"{function} reads no field", f"write {function}({told}by=...)")
        return nothing
    if not arguments:
        if shape.field == "required":
            told = "0.9, " if shape.parameter == "share" else ""
            checker.refuse(found, f"{function} wants a field", f"write {function}(amount, {told}by=...)")
        return nothing
    given = arguments[0]
    if len(arguments) > 1 or not isinstance(given, ast.Name):
        scalar = {"min": "least", "max": "greatest"}.get(function)
        place = arguments[1] if len(arguments) > 1 else given
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
    if function in {"mean", "std", "quantile", "trend"}:
        return "number"
    if function == "sum":
        return "number" if node.type == "number" else "integer"
    return node.type if node.type in {"string", "integer", "number", "boolean"} else "number"
