"""Compiles written code: a function that never raises, and its slow twin for when a line would.

The generated code tests for everything that is known to raise. Should a line raise all the same (a value of a wrong type,
an integer beyond 64 bits), the twin computes again with every line guarded by itself, and that line alone is missing.
"""

import builtins
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

from rules.calendar import day_of_month, offset_of
from rules.distance import distance_km
from rules.supplied import supplied

Lines = Sequence[tuple[str, str]]

_PYTHONS = ("abs", "min", "max", "round", "Exception")


@lru_cache(maxsize=16_384)
def _compiled(text: str) -> CodeType:
    """Compile a module of our own; cached by its text, so that a rule put again costs nothing."""
    return compile(text, "<expressions>", "exec", dont_inherit=True, optimize=2)


def _names(zone: str, text: str) -> dict[str, Any]:
    """Return all that generated code can name: no builtins but these, of supplied functions those that its text calls."""
    names: dict[str, Any] = {name: getattr(builtins, name) for name in _PYTHONS}
    names |= {"log": math.log, "sqrt": math.sqrt, "day_of_month": day_of_month, "distance_km": distance_km}
    if zone != "UTC":
        names["offset_ms"] = offset_of(zone)
    return names | supplied(text) | {"__builtins__": {}}


def function_text(arguments: str, opening: Lines, lines: Lines, result: str, *, guarded: bool) -> str:
    """Return the text of a function: `opening` lines, then `lines`, then the result.

    Not guarded, any exception leads to `again` with the same arguments.
    """
    rows = [f"def function({arguments}):"]
    rows += [f" {local} = {text}" for local, text in opening]
    if guarded:
        for local, text in lines:
            rows += [" try:", f"  {local} = {text}", " except Exception:", f"  {local} = None"]
        rows.append(f" return {result}")
    else:
        rows.append(" try:")
        rows += [f"  {local} = {text}" for local, text in lines]
        rows += [f"  return {result}", " except Exception:", f"  return again({arguments})"]
    return "\n".join(rows) + "\n"


def make_function(arguments: str, opening: Lines, lines: Lines, result: str, zone: str) -> Callable[..., Any]:
    """Return the compiled function of these lines; its twin is compiled when it is first needed."""
    text = function_text(arguments, opening, lines, result, guarded=False)
    names = _names(zone, text)
    twin: list[Callable[..., Any]] = []

    def again(*values: Any) -> Any:
        if not twin:
            scope = _names(zone, text)
            exec(_compiled(function_text(arguments, opening, lines, result, guarded=True)), scope)  # noqa: S102
            twin.append(scope["function"])
        return twin[0](*values)

    names["again"] = again
    exec(_compiled(text), names)  # noqa: S102 - our own text
    made: Callable[..., Any] = names["function"]
    return made
