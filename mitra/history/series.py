"""Aggregates that look at the events themselves: quantile, most common value, trend, rhythm. Tiles hold nothing of these.

Each takes rows [low, high) of one column and leaves out rows that don't match and values that are missing.
"""

import math

import numpy as np

from mitra.history.columns import flag_column
from mitra.history.memory import FIELDS, TIME
from mitra.history.pairing import count_open
from mitra.history.scans import ALWAYS, NEVER, count_matching, jit
from mitra.history.tiles import FOLDED_MS

DAY_MS = 86_400_000.0


@jit
def _present(values, flags, mask, low, high, out):  # type: ignore[no-untyped-def]
    """Gather the present values of matching rows; return how many there are."""
    n = 0
    for i in range(low, high):
        x = values[i]
        out[n] = x
        n += ((flags[i] & mask) == mask) & (x == x)
    return n


@jit
def _count_present(values, flags, mask, low, high):  # type: ignore[no-untyped-def]
    """Return how many matching rows have a value."""
    n = 0
    for i in range(low, high):
        n += ((flags[i] & mask) == mask) & (values[i] == values[i])
    return n


@jit
def quantile(values, flags, mask, low, high, share):  # type: ignore[no-untyped-def]
    """Return the value below which `share` of the present values lie, between two of them in proportion; NaN of none."""
    out = np.empty(high - low + 1)
    n = _present(values, flags, mask, low, high, out)
    if n == 0:
        return np.nan
    place = share * (n - 1)
    below = int(place)
    part = np.partition(out[:n], below)
    here = part[below]
    if below + 1 >= n or place == below:
        return here
    return here + (part[below + 1 :].min() - here) * (place - below)


@jit
def most_common(bits, missing_is_zero, flags, mask, low, high):  # type: ignore[no-untyped-def]
    """Return the bits of the most frequent value, and whether there is any; of equals, the one that came last."""
    size = 16
    while size < 2 * (high - low):
        size *= 2
    keys = np.empty(size, np.int64)
    counts = np.zeros(size, np.int64)
    most = 0
    found = np.int64(0)
    for i in range(low, high):
        value = bits[i]
        missing = value == 0 if missing_is_zero else (value & 0x7FF0_0000_0000_0000) == 0x7FF0_0000_0000_0000
        if missing or (flags[i] & mask) != mask:
            continue
        # Fibonacci hashing: texts are hashes already, numbers differ in their high bits.
        at = np.int64((np.uint64(value) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & (size - 1)
        while counts[at] != 0 and keys[at] != value:
            at = (at + 1) & (size - 1)
        keys[at] = value
        counts[at] += 1
        if counts[at] >= most:
            most = counts[at]
            found = value
    return found, most > 0


@jit
def trend(values, times, flags, mask, low, high):  # type: ignore[no-untyped-def]
    """Return the least-squares slope of the present values over time, a day; NaN where there are no two times."""
    n = 0
    total = 0.0
    elapsed = 0
    origin = np.int64(0)
    for i in range(low, high):
        x = values[i]
        if (flags[i] & mask) == mask and x == x:
            if n == 0:
                origin = times[i]
            n += 1
            total += x
            elapsed += times[i] - origin
    if n < 2:
        return np.nan
    mean = total / n
    middle = elapsed / n
    both = 0.0
    apart = 0.0
    for i in range(low, high):
        x = values[i]
        if (flags[i] & mask) == mask and x == x:
            t = (times[i] - origin) - middle
            both += t * (x - mean)
            apart += t * t
    return both / apart * DAY_MS if apart > 0.0 else np.nan


@jit
def periodicity(times, flags, mask, low, high, period_ms):  # type: ignore[no-untyped-def]
    """Return the mean cosine of the phase between two of the events, 0 for less; NaN of fewer than three events."""
    n = 0
    across = 0.0
    up = 0.0
    period = np.int64(period_ms)
    for i in range(low, high):
        if (flags[i] & mask) == mask:
            phase = 2.0 * math.pi * (times[i] % period) / period_ms
            across += math.cos(phase)
            up += math.sin(phase)
            n += 1
    if n < 3:
        return np.nan
    # Of all pairs: |sum|² counts every pair twice, and every event with itself.
    return min(max((across * across + up * up - n) / (n * (n - 1.0)), 0.0), 1.0)


@jit
def answer_series(  # type: ignore[no-untyped-def]
    integers, bits, cap, row, time, numeric, word_column, plan, at, pairs_at, offsets, scratch, last_at, lasting, values,
    text_values, approximate, past, gone,
):  # fmt: skip
    """Answer what is asked of the events themselves; what lies behind the rows is left out, and the answer marked.

    A text can't be marked: it is missing there.
    """
    times = integers[TIME * cap : (TIME + 1) * cap]
    count = plan[at]
    at += 1
    for _ in range(count):
        function, kind, place, word, mask = plan[at], plan[at + 1], plan[at + 2], plan[at + 3], plan[at + 4]
        edge, low, output = plan[at + 5], plan[at + 6], plan[at + 7]
        parameter = plan[at + 8 : at + 9].view(np.float64)[0]
        at += 9
        flags = flag_column(integers, cap, word_column, word)
        since = time - offsets[low] if low >= 0 else ALWAYS
        low_row = scratch[low] if low >= 0 else (0 if low == -1 else scratch[last_at - 2 - low])
        if low < -1:
            since = scratch[lasting - 2 - low]
        high_row = max(scratch[edge], low_row)
        kept_ms = max(gone, past[FOLDED_MS]) if past.size > 0 else gone
        inexact = since != NEVER if low < -1 else since < kept_ms
        if kind == 1 and place >= numeric and function != 4 and kept_ms != ALWAYS:
            # What began among the events that are gone has no beginning any more.
            values_at = (FIELDS + place) * cap
            present = _count_present(bits[values_at : values_at + cap], flags, mask, low_row, high_row)
            inexact = inexact or present < count_matching(flags[low_row:high_row], mask)
        column = (FIELDS + place + (numeric if kind == 2 else 0)) * cap
        if function == 0:
            values[output] = quantile(bits[column : column + cap], flags, mask, low_row, high_row, parameter)
        elif function == 1:
            found, any_found = most_common(integers[column : column + cap], kind == 2, flags, mask, low_row, high_row)
            if kind == 2:
                text_values[output] = found if any_found and not inexact else 0
                continue
            if any_found:
                values[output] = np.array([found]).view(np.float64)[0]
        elif function == 2:
            values[output] = trend(bits[column : column + cap], times, flags, mask, low_row, high_row)
        elif function == 4:
            closed = integers[column : column + cap]
            pair = pairs_at + 5 * np.int64(parameter)
            values[output] = count_open(
                integers, cap, numeric, closed, plan, pair, flags, mask, low_row, high_row, row, time
            )
        else:
            values[output] = periodicity(times, flags, mask, low_row, high_row, parameter)
        if inexact:
            approximate[output] = 1


@jit
def session_start(times, flags, mask, upto, until, gap):  # type: ignore[no-untyped-def]
    """Return the first row of a session that lasts until a time, and the time before which nothing belongs to it.

    A row belongs if it matches and the next that does, or `until`, is at most `gap` later. Without any, the row is `upto`.
    """
    first = upto
    reach = until
    for back in range(upto):
        i = upto - 1 - back
        if times[i] < reach - gap:
            break
        if (flags[i] & mask) == mask:
            first = i
            reach = times[i]
    return first, reach - gap
