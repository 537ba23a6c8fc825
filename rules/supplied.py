"""Functions of the language whose code lies elsewhere: the grammar declares them, a process is told once where to fetch them.

So this package needs neither models nor their libraries. Code is fetched when an expression that calls it is compiled:
a process without such an expression loads nothing, and no event waits for a model to be read.
"""

from collections.abc import Callable, Iterable, Mapping

from rules.plan import Value

Functions = Mapping[str, Callable[..., Value]]

_fetch: dict[str, Callable[[], Functions]] = {}


def supply(names: Iterable[str], fetch: Callable[[], Functions]) -> None:
    """Say where functions are to be had. `fetch` gives them by name, the same each time; threads may call them at once."""
    _fetch.update(dict.fromkeys(names, fetch))


def supplied(text: str) -> dict[str, Callable[..., Value]]:
    """Return the supplied functions that generated code calls. Whatever fetching raises goes to the caller."""
    return {name: fetch()[name] for name, fetch in _fetch.items() if f"{name}(" in text}
