"""What is usual for somebody: the values of their earlier payments, in a few figures."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rules.plan import Value


@dataclass(frozen=True, slots=True)
class Usual:
    """Earlier values: how many there are and how many payments had none.

    Of numbers the median, least and greatest; of texts and booleans the most frequent one and how many have it.
    """

    count: int
    missing: int
    median: float | None = None
    least: float | None = None
    greatest: float | None = None
    most_frequent: str | bool | None = None
    times: int | None = None


def usual(values: Sequence[Value]) -> Usual | None:
    """Return what is usual among values, None for missing; None where there is nothing to compare with."""
    there = [value for value in values if value is not None]
    missing = len(values) - len(there)
    if not there:
        return None if not values else Usual(0, missing)
    numbers = [value for value in there if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(there):
        return Usual(len(there), missing, float(median(numbers)), min(numbers), max(numbers))
    ((common, times),) = Counter(value for value in there if isinstance(value, str | bool)).most_common(1)
    return Usual(len(there), missing, most_frequent=common, times=times)
