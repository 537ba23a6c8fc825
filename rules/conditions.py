"""The condition of a `where=`: a predicate on the stored event's own fields."""

from collections.abc import Callable, Sequence

from rules.code import make_function
from rules.generate import Writer
from rules.plan import Value, Where
from rules.tree import Node


def where_of(condition: Node, zone: str) -> Where:
    """Return the compiled condition. Its fields may hold the time's: its value is in milliseconds.

    Booleans may come as 1.0 and 0.0, which is how histories keep them.
    """
    writer = Writer([condition], zoned=zone != "UTC")
    writer.assign("result", condition)
    names = [signal.name for signal in writer.signals]
    locals_ = list(writer.signals.values())
    opening = [(f"{', '.join(locals_)},", "V")] if locals_ else []
    opening += [
        (local, f"None if {local} is None else {local} != 0")
        for signal, local in writer.signals.items()
        if writer.kinds.get(signal) == "boolean"
    ]
    predicate: Callable[[Sequence[Value]], bool | None] = make_function("V", opening, writer.lines, "result", zone)
    return Where(condition.text, tuple(names), predicate)
