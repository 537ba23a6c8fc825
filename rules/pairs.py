"""Events that belong together: what event= names, elapsed(…) as a column, and what open(…) waits for."""

import ast
from typing import TYPE_CHECKING

from mitra.schema import Entity, EventType
from rules.grammar import ELAPSED
from rules.plan import Pair
from rules.problems import closest
from rules.schema import stored_fields
from rules.windows import Options

if TYPE_CHECKING:
    from rules.check import Checker

MEASURE = "mean(elapsed(event=created, to=picked, id=order_id), by=store, last=50)"
COUNT = "open(event=created, until=picked, id=order_id, by=store)"


def event_of(checker: "Checker", given: ast.expr, option: str = "event") -> EventType | None:
    """Return the event type that is named, with quotes or without; None having noted that there is none."""
    known = checker.schema.event_by_name
    listed = f"the event types are {', '.join(known)}"
    quoted = isinstance(given, ast.Constant) and isinstance(given.value, str)
    name = given.id if isinstance(given, ast.Name) else given.value if quoted else None  # type: ignore[attr-defined]
    if not isinstance(name, str):
        checker.refuse(given, f"behind {option}= stands the name of an event type", listed)
    elif name not in known:
        checker.refuse(given, f"unknown event type {name}", closest(name, known) or listed)
    return known.get(name) if isinstance(name, str) else None


def elapsed_in(found: ast.Call) -> ast.Call | None:
    """Return what an aggregate's first argument is if it is elapsed(…)."""
    first = found.args[0] if found.args else None
    named = isinstance(first, ast.Call) and isinstance(first.func, ast.Name) and first.func.id == ELAPSED
    return first if named else None  # type: ignore[return-value]


def pair_of(checker: "Checker", found: ast.Call, options: Options, ends: str, entity: Entity) -> Pair | None:
    """Return the pair that event=, the option called `ends` and id= describe, None having noted what is wrong."""
    before = len(checker.source.problems)
    usage = MEASURE if ends == "to" else COUNT
    lacking = [name for name in ("event", ends, "id") if name not in options]
    if lacking:
        checker.refuse(found, f"it needs {', '.join(f'{name}=' for name in lacking)}", f"write {usage}")
        return None
    end = options[ends].value
    named = end.elts if isinstance(end, ast.Tuple | ast.List) and ends == "until" and end.elts else [end]
    begin = event_of(checker, options["event"].value)
    types = [event_of(checker, one, ends) for one in named]
    if len(checker.source.problems) > before or begin is None:
        return None
    found_types = [one for one in types if one is not None]
    for event in (begin, *found_types):
        if event not in checker.schema.with_history_of(entity):
            key = ", ".join(entity.fields)
            checker.refuse(found, f"{event.name} events are in no {entity.name}'s history", f"they lack {key}")
    if begin in found_types:
        checker.refuse(options[ends], f"{begin.name} can't end what it begins", "name two event types")
    _check_id(checker, options["id"].value, [begin, *found_types])
    if len(checker.source.problems) > before:
        return None
    names = sorted({one.name for one in found_types})
    return Pair(begin.name, tuple(names), options["id"].value.id)  # type: ignore[attr-defined]


def _check_id(checker: "Checker", given: ast.expr, events: list[EventType]) -> None:
    """Note why a field can't tell which events belong together."""
    if not isinstance(given, ast.Name):
        checker.refuse(given, "behind id= stands the field whose value the events share", "like id=order_id")
        return
    for event in events:
        field = stored_fields([event]).get(given.id)
        if given.id in (event.id, event.time):
            what = "id" if given.id == event.id else "time"
            hint = f"histories don't keep it as a field: give {event.name} events an {what} of their own"
            checker.refuse(given, f"{given.id} is the {what} of {event.name} events", hint)
        elif field is None:
            checker.refuse(given, f"{event.name} events have no {given.id}", closest(given.id, event.by_name) or "")
        elif field.type not in {"string", "integer"}:
            checker.refuse(given, f"{given.id} is a {field.type}", "a text or an integer tells which belong together")


def elapsed_text(pair: Pair) -> str:
    """Return the column's one text."""
    return f"{ELAPSED}(event={pair.begin}, to={pair.ends[0]}, id={pair.id})"


def ends_text(pair: Pair) -> str:
    """Return what until= says."""
    return pair.ends[0] if len(pair.ends) == 1 else f"({', '.join(pair.ends)})"
