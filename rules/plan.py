"""What an expression needs from history: aggregates, split off by the compiler and computed per entity.

An aggregate's `key` is its canonical text: two expressions that ask for the same thing share one aggregate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Value = float | int | str | bool | None
ValueType = Literal["string", "integer", "number", "boolean"]
Function = Literal[
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "std",
    "distinct",
    "previous",
    "first",
    "seconds_since",
    "quantile",
    "most_common",
    "trend",
    "periodicity",
    "open",
    "sequence",
]


@dataclass(frozen=True, slots=True)
class Window:
    """Which events count: a span of time, the newest `size` events, or all there ever were.

    `over`: size in milliseconds, events in (t - delay - size, t - delay]. `last`: the newest `size` matching events.
    `session`: the matching events back from t - delay to the first gap of more than `size` milliseconds. `ever`: size 0.
    """

    kind: Literal["over", "last", "session", "ever"]
    size: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """Events that belong together: a type, the types that may end what it began, and the field whose value they share."""

    begin: str
    ends: tuple[str, ...]
    id: str


@dataclass(frozen=True)
class Where:
    """A condition on the stored event. `predicate(values)` answers True, False or None (missing) and never raises.

    `values` are the event's own fields, in the order of `fields`; the field that holds its time comes as epoch ms.
    Booleans may come as 1.0 and 0.0, integers as whole floats.
    """

    text: str
    fields: tuple[str, ...]
    predicate: Callable[[Sequence[Value]], bool | None]


TYPES_SEPARATOR = "|"
"""Between the names of several event types that one aggregate is restricted to."""


@dataclass(frozen=True)
class Aggregate:
    """One aggregate of one entity's history, as of the event's time.

    `field` is a field of the event, the label's name, or None (`count`, `seconds_since`).
    `event` restricts to one event type, or to several (`TYPES_SEPARATOR`). `where` to events for which it is True.
    `parameter` is the share that quantile is asked for, or the period of periodicity in milliseconds.
    `pair`: what `open` counts the beginnings of; of other functions, the field is the seconds from beginning to end.
    """

    key: str
    function: Function
    entity: str
    field: str | None
    window: Window
    delay_ms: int
    where: Where | None
    event: str | None
    value_type: ValueType
    parameter: float | None = None
    pair: Pair | None = None
