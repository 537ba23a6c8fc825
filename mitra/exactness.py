"""From when an aggregate that is asked for anew is exact: rows are all there, what was folded away before is not.

A history keeps its newest events as rows, and whatever is asked of rows is right at once. Older events lie folded into
tiles, totals and samples of what was asked for by then: an aggregate that needs others of them is approximate, and marked
so, until all that it looks at has come since.
"""

from collections.abc import Iterable

from rules.plan import Aggregate

_FOLDED = frozenset({"count", "sum", "mean", "min", "max", "std"})
_OF_ROWS = frozenset({"quantile", "most_common", "trend", "periodicity", "sequence"})


def exact_from(
    asked: Iterable[Aggregate], before: Iterable[Aggregate], texts: Iterable[str], newest_ms: int
) -> dict[str, int]:
    """Return by key those of `asked` that may not be exact at once, and the event time from which they are.

    A window is exact for every event from then on, an aggregate over `ever` for every entity first seen from then on: as
    exact as if it had been asked for from the beginning. `before` is what has been asked for all along; `texts` are the
    fields that are texts; no event that histories hold is newer than `newest_ms`.
    """
    text_fields = frozenset(texts)
    known: dict[tuple[object, ...], int | None] = {}
    for one in before:
        source = _source(one)
        if source in known:
            known[source] = _wider(known[source], _reach_ms(one))
        else:
            known[source] = _reach_ms(one)
    dates = {}
    for one in asked:
        source, reach_ms = _source(one), _reach_ms(one)
        # These are approximate whenever they reach behind the rows, new or old.
        if one.window.kind in {"last", "session"} or one.function in _OF_ROWS or _in_every_tile(one, text_fields):
            continue
        if one.pair is not None:
            continue
        if source in known and _wider(known[source], reach_ms) == known[source]:
            continue
        dates[one.key] = newest_ms + (reach_ms or 0) + 1
    return dates


def _reach_ms(one: Aggregate) -> int | None:
    """Return how far back an aggregate looks; None is for ever."""
    return None if one.window.kind == "ever" else one.delay_ms + one.window.size


def _wider(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def _source(one: Aggregate) -> tuple[object, ...]:
    """Return what is kept of folded events for an aggregate."""
    kind = "partial" if one.function in _FOLDED else "sample" if one.function == "distinct" else "event"
    return one.entity, kind, one.field, None if one.where is None else one.where.text, one.event


def _in_every_tile(one: Aggregate, texts: frozenset[str]) -> bool:
    """Tell whether tiles hold an aggregate's events whether it is asked for or not."""
    plain = one.where is None and one.event is None and one.field not in texts
    return plain and one.function in _FOLDED and one.window.kind == "over"
