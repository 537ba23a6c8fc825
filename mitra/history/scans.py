"""The loops over one entity's rows, each simple enough for the compiler to use vector instructions.

Sums may be added up in any order (`reassoc`); nothing assumes that NaN doesn't occur, for NaN is a missing value.
A row matches when `flags & mask == mask`; with mask 0 every row does, whatever column is given as flags.
"""

from pathlib import Path
from typing import Any

import numpy as np

from mitra.compiled import compiler

FAST = {"reassoc", "contract", "nsz"}
COUNT_AT, SUM_AT, SPREAD_AT, LOW_AT, HIGH_AT = range(5)  # what a partial holds: n, sum, sum of (x - mean)², min, max
NEVER = np.iinfo(np.int64).max  # as a time of previous occurrence: the row does not count
ALWAYS = np.iinfo(np.int64).min  # as a time of previous occurrence: the value did not occur before
BLOCK = 64

jit: Any = compiler(Path(__file__).parent, fastmath=FAST, nogil=True)


@jit
def upper_bound(times, size, time):  # type: ignore[no-untyped-def]
    """Return how many of the first `size` ascending times are at or before `time`."""
    low = 0
    high = size
    while low < high:
        middle = (low + high) >> 1
        if times[middle] <= time:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def count_matching(flags, mask):  # type: ignore[no-untyped-def]
    """Return how many rows match."""
    n = 0
    for i in range(flags.size):
        n += (flags[i] & mask) == mask
    return n


@jit
def clear(partial):  # type: ignore[no-untyped-def]
    """Make a partial one of nothing."""
    partial[0] = 0.0
    partial[1] = 0.0
    partial[2] = 0.0
    partial[3] = np.inf
    partial[4] = -np.inf


@jit
def merge(partial, n, total, spread, low, high):  # type: ignore[no-untyped-def]
    """Add n values of that sum, spread and range to a partial (Chan, Golub, LeVeque 1979 for the spread)."""
    if n <= 0.0:
        return
    before = partial[0]
    if before > 0.0:
        apart = total / n - partial[1] / before
        partial[2] += spread + apart * apart * (before * n / (before + n))
    else:
        partial[2] = spread
    partial[0] = before + n
    partial[1] += total
    partial[3] = min(partial[3], low)
    partial[4] = max(partial[4], high)


@jit
def extend(partial, values, flags, mask, need):  # type: ignore[no-untyped-def]
    """Add the present values of matching rows to a partial; `need` says if spread (1) and range (2) are wanted."""
    n = 0
    total = 0.0
    if mask == 0:
        for i in range(values.size):
            x = values[i]
            ok = x == x
            n += ok
            total += x if ok else 0.0
    else:
        for i in range(values.size):
            x = values[i]
            ok = ((flags[i] & mask) == mask) & (x == x)
            n += ok
            total += x if ok else 0.0
    if n == 0:
        return
    if need == 0:
        partial[0] += n
        partial[1] += total
        return
    spread = 0.0
    if need & 1:
        mean = total / n
        for i in range(values.size):
            x = values[i]
            ok = ((flags[i] & mask) == mask) & (x == x)
            apart = x - mean if ok else 0.0
            spread += apart * apart
    low = np.inf
    high = -np.inf
    if need & 2:
        for i in range(values.size):
            x = values[i]
            ok = ((flags[i] & mask) == mask) & (x == x)
            y = x if ok else np.inf
            z = x if ok else -np.inf
            low = y if y < low else low
            high = z if z > high else high
    merge(partial, float(n), total, spread, low, high)


@jit
def last_matching(flags, mask, low, high):  # type: ignore[no-untyped-def]
    """Return the newest row of [low, high) that matches, -1 if none does."""
    for back in range(high - low):
        i = high - 1 - back
        if (flags[i] & mask) == mask:
            return i
    return -1


@jit
def first_matching(flags, mask, low, high):  # type: ignore[no-untyped-def]
    """Return the oldest row of [low, high) that matches, -1 if none does."""
    for i in range(low, high):
        if (flags[i] & mask) == mask:
            return i
    return -1


@jit
def nth_matching(flags, mask, size, high):  # type: ignore[no-untyped-def]
    """Return the row of the size-th newest match before row `high`, or 0, and how many matches there were too few."""
    if mask == 0:
        return (high - size, 0) if high >= size else (0, size - high)
    left = size
    for back in range(high):
        i = high - 1 - back
        if (flags[i] & mask) == mask:
            left -= 1
            if left == 0:
                return i, 0
    return 0, left


@jit
def _hits(column, value):  # type: ignore[no-untyped-def]
    n = 0
    for i in range(column.size):
        n += column[i] == value
    return n


@jit
def find(column, value, low, high):  # type: ignore[no-untyped-def]
    """Return the first row of [low, high) that holds the value, -1 if none does."""
    start = low
    while start < high:
        stop = min(start + BLOCK, high)
        if _hits(column[start:stop], value):
            for i in range(start, stop):
                if column[i] == value:
                    return i
        start = stop
    return -1


@jit
def find_back(column, value, flags, mask, low, high):  # type: ignore[no-untyped-def]
    """Return the newest row of [low, high) that holds the value and matches, -1 if none does."""
    stop = high
    while stop > low:
        start = max(stop - BLOCK, low)
        if _hits(column[start:stop], value):
            for back in range(stop - start):
                i = stop - 1 - back
                if column[i] == value and (flags[i] & mask) == mask:
                    return i
        stop = start
    return -1


@jit
def count_first(previous, since):  # type: ignore[no-untyped-def]
    """Return how many rows hold a value that did not occur after `since` before them: the distinct values."""
    n = 0
    for i in range(previous.size):
        n += previous[i] <= since
    return n
