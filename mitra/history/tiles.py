"""What is kept of events that are no longer rows: tiles of time, lifetime totals, and samples of distinct values.

A tile covers [start, end): 10 s, 2 min, 30 min or 6 h, aligned to multiples of its width, so that a tile lies inside another or
beside it. New ones are the finest; a wider one takes their place once its whole span is old enough, so that the tile a
window's edge falls into is narrow compared with the window. A tile holds for each source a partial (see `scans`), or just a
count; the part of a tile that an edge leaves in the window is taken pro rata.

A sample of distinct values holds the values whose mixed hash ends in `level` zero bits, each with the time it was last seen:
all of them (level 0, exact) until there are more than SAMPLE, then every other one, and so on.
"""

import numpy as np

from mitra.history.memory import FIELDS, TIME, floats_at, integers_at
from mitra.history.scans import ALWAYS, clear, find, jit, merge

WIDTHS_MS = np.array([10_000, 120_000, 1_800_000, 21_600_000], np.int64)
# A tile of a width gives way to the next when it has ended so long ago: a 5 min window's edge meets 10 s tiles, an hour's
# those of 2 min, a day's those of 30 min, and wider ones 6 h.
AGES_MS = np.array([600_000, 7_200_000, 93_600_000], np.int64)
SAMPLE = 1024  # values; the error of a count of n sampled ones is about 1/sqrt(n)

# A total: the partial, then time and bits of the first and the last event's value, and from when on it was kept.
FIRST_MS, FIRST_VALUE, LAST_MS, LAST_VALUE, COVERED_MS = range(5, 10)
TOTAL_WORDS = 10
# The head of what the kernels get, `Past.packed`.
(TILES, TILE_WORDS, FOLDED_MS, TILES_AT, SUFFIX_AT, COVERED_AT, TOTALS_AT, SAMPLES_AT) = range(8)
HEAD = 8
SAMPLE_HEAD = 4  # level, count, place of the values, from when on it was kept


@jit
def mixed(value):  # type: ignore[no-untyped-def]
    """Return well mixed bits of a value (the finaliser of SplitMix64): numbers' own bits are anything but even."""
    x = np.uint64(value)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@jit
def sampled(value, level):  # type: ignore[no-untyped-def]
    """Say whether a value belongs to a sample of that level."""
    return (mixed(value) & ((np.uint64(1) << np.uint64(level)) - np.uint64(1))) == np.uint64(0)


@jit
def row_value(integers, cap, numbers, kind, place, row):  # type: ignore[no-untyped-def]
    """Return the bits of a row's field, and whether it is present."""
    column = FIELDS + place + (numbers if kind == 2 else 0)
    value = integers[column * cap + row]
    if kind == 2:
        return value, value != 0
    return value, (value & 0x7FF0_0000_0000_0000) != 0x7FF0_0000_0000_0000


@jit
def _tile(starts, ends, count, time):  # type: ignore[no-untyped-def]
    """Return the first tile that ends after a time."""
    low = 0
    high = count
    while low < high:
        middle = (low + high) >> 1
        if ends[middle] <= time:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def fold_rows(  # type: ignore[no-untyped-def]
    address, cap, columns, count, numbers, word_column, sources, oldest, starts, ends, payload, tiles
):
    """Add the oldest `count` rows that are not older than `oldest` to tiles; return how many tiles there are then.

    `sources` are rows of (kind, place, word, mask, place in the payload).
    """
    integers = integers_at(address, cap * columns)
    bits = floats_at(address, cap * columns)
    for row in range(count):
        time = integers[TIME * cap + row]
        if time < oldest:
            continue
        tile = _tile(starts, ends, tiles, time)
        if tile == tiles or starts[tile] > time:
            for back in range(tiles - tile):
                i = tiles - back
                starts[i] = starts[i - 1]
                ends[i] = ends[i - 1]
                payload[i] = payload[i - 1]
            starts[tile] = time // WIDTHS_MS[0] * WIDTHS_MS[0]
            ends[tile] = starts[tile] + WIDTHS_MS[0]
            payload[tile] = 0.0
            for source in range(len(sources)):
                if sources[source, 0] == 1:
                    clear(payload[tile, sources[source, 4] :])
            tiles += 1
        for source in range(len(sources)):
            kind, place, word, mask, at = sources[source]
            if mask != 0 and (integers[(word_column + word) * cap + row] & mask) != mask:
                continue
            if kind == 0:
                payload[tile, at] += 1.0
                continue
            _, present = row_value(integers, cap, numbers, kind, place, row)
            if not present:
                continue
            if kind == 2:
                payload[tile, at] += 1.0
            else:
                x = bits[(FIELDS + place) * cap + row]
                merge(payload[tile, at:], 1.0, x, 0.0, x, x)
    return tiles


@jit
def add_payload(sources, into, other):  # type: ignore[no-untyped-def]
    """Add one tile's payload to another's."""
    for source in range(len(sources)):
        at = sources[source, 4]
        if sources[source, 0] == 1:
            merge(into[at:], other[at], other[at + 1], other[at + 2], other[at + 3], other[at + 4])
        else:
            into[at] += other[at]


@jit
def cascade(sources, starts, ends, payload, tiles, newest, oldest):  # type: ignore[no-untyped-def]
    """Widen tiles that have become old, drop those that ended before `oldest`; return how many there are then."""
    kept = 0
    for tile in range(tiles):
        if ends[tile] <= oldest:
            continue
        start = starts[tile]
        end = ends[tile]
        for level in range(1, WIDTHS_MS.size):
            wide = starts[tile] // WIDTHS_MS[level] * WIDTHS_MS[level]
            if end - start < WIDTHS_MS[level] and wide + WIDTHS_MS[level] <= newest - AGES_MS[level - 1]:
                start = wide
                end = wide + WIDTHS_MS[level]
        if kept and starts[kept - 1] == start:
            add_payload(sources, payload[kept - 1], payload[tile])
            ends[kept - 1] = end
            continue
        starts[kept] = start
        ends[kept] = end
        if kept != tile:
            payload[kept] = payload[tile]
        kept += 1
    return kept


@jit
def total_rows(address, cap, columns, count, numbers, word_column, sources, totals):  # type: ignore[no-untyped-def]
    """Add the oldest `count` rows to lifetime totals; `sources` as in `fold_rows`, `totals` words of TOTAL_WORDS each."""
    integers = integers_at(address, cap * columns)
    bits = floats_at(address, cap * columns)
    partials = totals.view(np.float64)
    for source in range(len(sources)):
        kind, place, word, mask, _ = sources[source]
        for row in range(count):
            if mask != 0 and (integers[(word_column + word) * cap + row] & mask) != mask:
                continue
            time = integers[TIME * cap + row]
            value = 0
            present = True
            if kind != 0:
                value, present = row_value(integers, cap, numbers, kind, place, row)
            if time < totals[source, FIRST_MS]:
                totals[source, FIRST_MS] = time
                totals[source, FIRST_VALUE] = value
            if time >= totals[source, LAST_MS]:
                totals[source, LAST_MS] = time
                totals[source, LAST_VALUE] = value
            if present:
                x = bits[(FIELDS + place) * cap + row] if kind == 1 else 0.0
                merge(partials[source], 1.0, x, 0.0, x, x)


@jit
def sample_rows(address, cap, columns, count, numbers, word_column, source, values, times, size, level):  # type: ignore[no-untyped-def]
    """Add the values of the oldest `count` rows to a sample of room SAMPLE + 1; return its size and level."""
    integers = integers_at(address, cap * columns)
    kind, place, word, mask = source[0], source[1], source[2], source[3]
    for row in range(count):
        if mask != 0 and (integers[(word_column + word) * cap + row] & mask) != mask:
            continue
        value, present = row_value(integers, cap, numbers, kind, place, row)
        if not present or not sampled(value, level):
            continue
        time = integers[TIME * cap + row]
        found = find(values, value, 0, size)
        if found >= 0:
            times[found] = max(times[found], time)
            continue
        values[size] = value
        times[size] = time
        size += 1
        while size > SAMPLE:
            level += 1
            kept = 0
            for i in range(size):
                if sampled(values[i], level):
                    values[kept] = values[i]
                    times[kept] = times[i]
                    kept += 1
            size = kept
    return size, level


@jit
def suffixes(sources, payload, tiles, out):  # type: ignore[no-untyped-def]
    """Fill `out[k]` with the sum of tiles k … tiles-1; `out[tiles]` is that of none."""
    out[tiles] = 0.0
    for source in range(len(sources)):
        if sources[source, 0] == 1:
            clear(out[tiles, sources[source, 4] :])
    for back in range(tiles):
        tile = tiles - 1 - back
        out[tile] = out[tile + 1]
        add_payload(sources, out[tile], payload[tile])


@jit
def last_sampled(past, sample, value):  # type: ignore[no-untyped-def]
    """Return when a folded event last held a value: ALWAYS if none did, one more if the sample can't say."""
    at = past[SAMPLES_AT] + SAMPLE_HEAD * sample
    level, size, place = past[at], past[at + 1], past[at + 2]
    if not sampled(value, level):
        return ALWAYS + 1
    found = find(past[place : place + size], value, 0, size)
    return ALWAYS if found < 0 else past[place + size + found]


@jit
def _add_tile(partial, floats, kind, at, share):  # type: ignore[no-untyped-def]
    if kind == 1:
        merge(
            partial, floats[at] * share, floats[at + 1] * share, floats[at + 2] * share, floats[at + 3], floats[at + 4]
        )
    else:
        partial[0] += floats[at] * share


@jit
def add_tiles(partial, past, floats, kind, payload_at, since, until):  # type: ignore[no-untyped-def]
    """Add the tiles' share of (since, until] to a partial; return True if an edge cut a tile that holds anything."""
    tiles = past[TILES]
    if tiles == 0 or until <= since:
        return False
    words = past[TILE_WORDS]
    stride = words + 2
    at = past[TILES_AT]
    low = 0
    high = tiles
    while low < high:
        middle = (low + high) >> 1
        if past[at + middle * stride + 1] <= since + 1:
            low = middle + 1
        else:
            high = middle
    cut = False
    last_end = min(past[at + (tiles - 1) * stride + 1], past[FOLDED_MS] + 1)
    for tile in range(low, tiles):
        here = at + tile * stride
        start = past[here]
        end = past[here + 1] if tile < tiles - 1 else last_end
        if start > until:
            break
        if start > since and until + 1 >= last_end:
            _add_tile(partial, floats, kind, past[SUFFIX_AT] + tile * words + payload_at, 1.0)
            break
        inside = min(end, until + 1) - max(start, since + 1)
        if inside <= 0:
            continue
        if inside < end - start and floats[here + 2 + payload_at] > 0.0:
            cut = True
        _add_tile(partial, floats, kind, here + 2 + payload_at, inside / (end - start))
    return cut


@jit
def sum_tiles(past, floats, kind, payload_at, after):  # type: ignore[no-untyped-def]
    """Return count and sum of what the tiles hold of events after a time."""
    partial = np.zeros(8)
    clear(partial)
    add_tiles(partial, past, floats, kind, payload_at, after, past[FOLDED_MS])
    return partial[0], partial[1]


@jit
def newest_tiles(past, floats, payload_at, wanted):  # type: ignore[no-untyped-def]
    """Return since when the tiles hold about `wanted` events of a source of counts: a place inside a tile, pro rata."""
    tiles = past[TILES]
    stride = past[TILE_WORDS] + 2
    for back in range(tiles):
        here = past[TILES_AT] + (tiles - 1 - back) * stride
        n = floats[here + 2 + payload_at]
        if n >= wanted:
            end = past[here + 1] if back else min(past[here + 1], past[FOLDED_MS] + 1)
            return end - 1 - np.int64((end - past[here]) * wanted / n)
        wanted -= n
    return ALWAYS


@jit
def count_sampled(past, sample, since, until):  # type: ignore[no-untyped-def]
    """Return how many sampled values were last seen in (since, until]."""
    at = past[SAMPLES_AT] + SAMPLE_HEAD * sample
    size, place = past[at + 1], past[at + 2]
    times = past[place + size : place + 2 * size]
    n = 0
    for i in range(times.size):
        n += (times[i] > since) & (times[i] <= until)
    return n
