"""Columns derived from pairs of events that share a field's value, one beginning what the other ends; not stored.

ELAPSED: at an event that ends, the seconds since the newest event before it that began; NaN where there is none, and at all others.
CLOSED: at an event that begins, the time of the oldest event behind it that ends it; NEVER where there is none, and at all others.
"""

import numpy as np

from mitra.history.memory import FIELDS, META, TIME, floats_at, integers_at
from mitra.history.scans import NEVER, find, find_back, jit
from mitra.history.tiles import row_value


@jit
def _among(integers, cap, row, kinds):  # type: ignore[no-untyped-def]
    """Say whether a row's type is one of those in the bits."""
    return ((kinds >> (integers[META * cap + row] & 0xFF)) & 1) == 1


@jit
def begun(integers, cap, ids, begins, row):  # type: ignore[no-untyped-def]
    """Return the newest row before `row` that began what ends there, -1 if there is none."""
    found = find_back(ids, ids[row], ids, 0, 0, row)
    while found >= 0 and not _among(integers, cap, found, begins):
        found = find_back(ids, ids[row], ids, 0, 0, found)
    return found


@jit
def ended(integers, cap, ids, ends, row, size):  # type: ignore[no-untyped-def]
    """Return the oldest row behind `row` that ends what begins there, -1 if there is none."""
    found = find(ids, ids[row], row + 1, size)
    while found >= 0 and not _among(integers, cap, found, ends):
        found = find(ids, ids[row], found + 1, size)
    return found


@jit
def id_column(integers, cap, numeric, kind, place):  # type: ignore[no-untyped-def]
    """Return the column of the field that paired events share."""
    column = (FIELDS + place + (numeric if kind == 2 else 0)) * cap
    return integers[column : column + cap]


@jit
def link_pair(address, cap, columns, numeric, column, plan, at, row, size):  # type: ignore[no-untyped-def]
    """Fill in a pair's column at a row that has come among `size`, and at the rows that it changes."""
    integers = integers_at(address, cap * columns)
    seconds = floats_at(address, cap * columns)[column * cap : (column + 1) * cap]
    closed = integers[column * cap : (column + 1) * cap]
    elapsed, kind, place, begins, ends = plan[at] == 0, plan[at + 1], plan[at + 2], plan[at + 3], plan[at + 4]
    ids = id_column(integers, cap, numeric, kind, place)
    times = integers[TIME * cap : (TIME + 1) * cap]
    begins_here = _among(integers, cap, row, begins)
    ends_here = _among(integers, cap, row, ends)
    if elapsed:
        seconds[row] = np.nan
    else:
        closed[row] = NEVER
    _, present = row_value(integers, cap, numeric, kind, place, row)
    if not present:
        return
    if elapsed and ends_here:
        found = begun(integers, cap, ids, begins, row)
        if found >= 0:
            seconds[row] = (times[row] - times[found]) / 1000.0
    elif elapsed and begins_here:
        # Up to the next that begins the same, what ends behind it began here.
        after = find(ids, ids[row], row + 1, size)
        while after >= 0 and not _among(integers, cap, after, begins):
            if _among(integers, cap, after, ends):
                seconds[after] = (times[after] - times[row]) / 1000.0
            after = find(ids, ids[row], after + 1, size)
    elif begins_here:
        found = ended(integers, cap, ids, ends, row, size)
        if found >= 0:
            closed[row] = times[found]
    elif ends_here:
        # Back to the one before that ended the same, what began is ended here first.
        before = find_back(ids, ids[row], ids, 0, 0, row)
        while before >= 0 and not _among(integers, cap, before, ends):
            if _among(integers, cap, before, begins):
                closed[before] = times[row]
            before = find_back(ids, ids[row], ids, 0, 0, before)


@jit
def count_open(integers, cap, numeric, closed, plan, at, flags, mask, low, high, row, time):  # type: ignore[no-untyped-def]
    """Count the rows of [low, high) that begin something which no row up to `row` has ended."""
    kind, place, ends = plan[at + 1], plan[at + 2], plan[at + 4]
    ids = id_column(integers, cap, numeric, kind, place)
    n = 0
    for i in range(low, high):
        if (flags[i] & mask) != mask or closed[i] < time:
            continue
        _, present = row_value(integers, cap, numeric, kind, place, i)
        if not present:
            continue
        # What ends it at this very time may have arrived later.
        n += closed[i] > time or ended(integers, cap, ids, ends, i, row + 1) < 0
    return n
