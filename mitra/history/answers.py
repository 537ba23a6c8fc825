"""Answers an entity's aggregates as of a row: windows, distinct values, single events, labels."""

import numpy as np

from mitra.history.columns import (
    ENTITY,
    GONE_MS,
    NOTE_COUNT,
    NOTE_FLAGS,
    NOTE_ID,
    NOTE_KNOWN,
    NOTE_STATE,
    NOTE_TIME,
    NOTE_VALUE,
    NOTES,
    PAST,
    PAST_WORDS,
    PENDING,
    STORED,
    UNKNOWN,
    flag_column,
)
from mitra.history.memory import FIELDS, ID, TIME, floats_at, integers_at
from mitra.history.scans import (
    ALWAYS,
    NEVER,
    clear,
    count_first,
    count_matching,
    extend,
    find,
    find_back,
    first_matching,
    jit,
    last_matching,
    merge,
    nth_matching,
    upper_bound,
)
from mitra.history.series import answer_series, session_start
from mitra.history.tiles import (
    COVERED_AT,
    COVERED_MS,
    FIRST_MS,
    FIRST_VALUE,
    FOLDED_MS,
    LAST_MS,
    LAST_VALUE,
    SAMPLE_HEAD,
    SAMPLES_AT,
    TOTAL_WORDS,
    TOTALS_AT,
    add_tiles,
    count_sampled,
    newest_tiles,
    sum_tiles,
)


@jit
def _result(function, n, total, spread, low, high):  # type: ignore[no-untyped-def]
    if function == 0:
        return n
    if function == 1:
        return total
    if n <= 0.0:
        return np.nan
    if function == 2:
        return total / n
    if function == 3:
        return low
    if function == 4:
        return high
    return np.sqrt(max(spread, 0.0) / n)


@jit
def answer(  # type: ignore[no-untyped-def]
    integers, bits, cap, row, time, numeric, word_column, words, pairs, plan, at, info, h, scratch, partial, values, text_values,
    approximate,
):  # fmt: skip
    """Answer an entity's aggregates as of a row, from the rows up to it and what is kept of older ones.

    `pairs`: how many columns of paired events there are; in `plan` they are told just before `at`.
    """
    times = integers[TIME * cap : (TIME + 1) * cap]
    pairs_at = at - 5 * pairs
    upto = row + 1
    edges = plan[at]
    offsets = plan[at + 1 : at + 1 + edges]
    for edge in range(edges):
        scratch[edge] = upto if offsets[edge] == 0 else upper_bound(times, upto, time - offsets[edge])
    at += 1 + edges
    after = plan[at]
    lasts = plan[at + 1]
    at += 2
    past = integers_at(info[h, PAST], info[h, PAST_WORDS])
    floats = floats_at(info[h, PAST], info[h, PAST_WORDS])
    gone = info[h, GONE_MS]
    older = past.size > 0 or gone != ALWAYS
    last_at = edges  # in scratch: the row each `last` window begins with, then since when it reaches into tiles (NEVER: it doesn't)
    for last in range(lasts):
        flags = flag_column(integers, cap, word_column, plan[at])
        since = NEVER
        if plan[at + 2] < 0:
            until = time - offsets[plan[at + 3]]
            found, reach = session_start(times, flags, plan[at + 1], scratch[plan[at + 3]], until, -plan[at + 2])
            # It may go on among events that are gone; it is answered from its first row on.
            if older and reach <= max(gone, past[FOLDED_MS] if past.size else gone):
                since = min(times[found] - 1, until) if found < scratch[plan[at + 3]] else until
        else:
            found, missing = nth_matching(flags, plan[at + 1], plan[at + 2], scratch[plan[at + 3]])
            if missing > 0 and older:
                since = newest_tiles(past, floats, plan[at + 4], float(missing)) if past.size else ALWAYS
        scratch[last_at + last] = found
        scratch[last_at + lasts + last] = since
        at += 5
    sources = plan[at]
    at += 1
    wide = partial[8:16]
    for _ in range(sources):
        kind, place, word, mask, need = plan[at], plan[at + 1], plan[at + 2], plan[at + 3], plan[at + 4]
        tile_at, tile_source, lifetime, windows = plan[at + 5], plan[at + 6], plan[at + 7], plan[at + 8]
        at += 9
        flags = flag_column(integers, cap, word_column, word)
        edge_before = -1
        reached = 0
        for _ in range(windows):
            edge, low, outputs = plan[at], plan[at + 1], plan[at + 2]
            at += 3
            high_row = scratch[edge]
            low_row = scratch[low] if low >= 0 else (0 if low == -1 else scratch[last_at - 2 - low])
            if edge != edge_before or low < -1:
                clear(partial)
                reached = high_row
                edge_before = edge if low >= -1 else -1
            if low_row < reached:
                if kind == 1:
                    column = (FIELDS + place) * cap
                    extend(partial, bits[column + low_row : column + reached], flags[low_row:reached], mask, need)
                elif kind == 0:
                    partial[0] += count_matching(flags[low_row:reached], mask) if mask else reached - low_row
                else:
                    column = (FIELDS + numeric + place) * cap
                    texts = integers[column + low_row : column + reached]
                    for i in range(reached - low_row):
                        partial[0] += (texts[i] != 0) & ((flags[low_row + i] & mask) == mask)
                reached = low_row
            inexact = False
            wide[:] = partial[0:8]
            if older:
                until = time - offsets[edge]
                since = time - offsets[low] if low >= 0 else ALWAYS
                if low < -1:
                    since = scratch[last_at + lasts - 2 - low]
                if low == -1:
                    inexact = _add_total(wide, past, floats, kind, tile_at, lifetime, until)
                elif since != NEVER:
                    inexact = _add_past(wide, past, floats, kind, tile_at, tile_source, since, until, gone) or low < -1
                if kind == 1 and place >= numeric:
                    # What began among the events that are gone has no beginning any more.
                    inexact = inexact or since < max(gone, past[FOLDED_MS] if past.size > 0 else gone)
                    inexact = inexact or count_matching(flags[low_row:high_row], mask) > partial[0]
            for _ in range(outputs):
                output = plan[at + 1]
                values[output] = _result(plan[at], wide[0], wide[1], wide[2], wide[3], wide[4])
                if inexact:
                    approximate[output] = 1
                    if plan[at] == 0:
                        values[output] = np.floor(values[output] + 0.5)
                at += 2
    lasting = last_at + lasts
    _answer_distincts(
        integers, cap, time, numeric, word_column, words + pairs, plan, at, offsets, scratch, last_at, lasting, values, approximate,
        info, h, past, gone,
    )  # fmt: skip
    at += 1 + 4 * plan[at]
    _answer_scans(
        integers, bits, cap, row, time, numeric, word_column, plan, at, offsets, scratch, last_at, lasting, values, text_values,
        approximate, past, gone,
    )  # fmt: skip
    at += 1 + 9 * plan[at]
    _answer_labels(
        integers, cap, row, time, word_column, words, plan, at, offsets, after, scratch, partial, last_at, lasting, values,
        approximate, info, h, past, floats, gone,
    )  # fmt: skip
    at += 1 + 9 * plan[at]
    if plan[at] > 0:
        answer_series(
            integers, bits, cap, row, time, numeric, word_column, plan, at, pairs_at, offsets, scratch, last_at, lasting, values,
            text_values, approximate, past, gone,
        )  # fmt: skip


@jit
def _add_past(partial, past, floats, kind, tile_at, tile_source, since, until, gone):  # type: ignore[no-untyped-def]
    """Add what tiles hold of (since, until]; return True if that is not exact."""
    if past.size == 0:
        return since < gone
    covered = past[past[COVERED_AT] + tile_source]
    cut = add_tiles(partial, past, floats, kind, tile_at, since, until)
    return cut or since < gone or (since < covered and covered != ALWAYS)


@jit
def _add_total(partial, past, floats, kind, tile_at, lifetime, until):  # type: ignore[no-untyped-def]
    """Add the lifetime total of events that are gone; return True if that is not exact as of `until`."""
    if past.size == 0:
        return True
    at = past[TOTALS_AT] + TOTAL_WORDS * lifetime
    merge(partial, floats[at], floats[at + 1], floats[at + 2], floats[at + 3], floats[at + 4])
    if until < past[FOLDED_MS] and tile_at >= 0:
        # What came after `until` is taken out again; spread and range stay those of all.
        n, total = sum_tiles(past, floats, kind, tile_at, until)
        partial[0] -= n
        partial[1] -= total
    return until < past[FOLDED_MS] or past[at + COVERED_MS] != ALWAYS


@jit
def _answer_distincts(  # type: ignore[no-untyped-def]
    integers, cap, time, numeric, word_column, ahead, plan, at, offsets, scratch, last_at, lasting, values, approximate,
    info, h, past, gone,
):  # fmt: skip
    # `ahead`: columns between those of texts and those of previous occurrences.
    count = plan[at]
    at += 1
    section = plan[1 + info[h, ENTITY]]
    for _ in range(count):
        source, edge, low, output = plan[at], plan[at + 1], plan[at + 2], plan[at + 3]
        at += 4
        start = (word_column + ahead + source) * cap
        high_row = scratch[edge]
        since = time - offsets[low] if low >= 0 else ALWAYS
        low_row = scratch[low] if low >= 0 else (0 if low == -1 else scratch[last_at - 2 - low])
        if low < -1:
            since = scratch[lasting - 2 - low]
        if past.size > 0 and since < past[FOLDED_MS]:
            head = past[SAMPLES_AT] + SAMPLE_HEAD * source
            level = past[head]
            until = time - offsets[edge]
            n = count_sampled(past, source, since, until)
            known = count_first(integers[start + low_row : start + high_row], since)
            if since < ALWAYS + 1:
                known = count_first(integers[start + low_row : start + high_row], ALWAYS)
            if level > 0:
                # Rows whose value the sample leaves out say nothing; ALWAYS + 1 marks them.
                aside = 0
                for i in range(start + low_row, start + high_row):
                    aside += integers[i] == ALWAYS + 1
                if since >= ALWAYS + 1:
                    known -= aside
            values[output] = float((n + known) << level)
            covered = past[head + 3]
            if level > 0 or until < past[FOLDED_MS] or low < -1 or (covered != ALWAYS and since < covered):
                approximate[output] = 1
            continue
        if (gone != ALWAYS and since < gone) or (low < -1 and since != NEVER):
            approximate[output] = 1
        if low >= -1:
            values[output] = count_first(integers[start + low_row : start + high_row], max(since, ALWAYS + 1))
            continue
        if low_row >= high_row:
            values[output] = 0.0
            continue
        # Rows of one time may lie on both sides of the edge, so a previous occurrence at that time must be looked up.
        kind = plan[section + 1 + 4 * source]
        column = (FIELDS + plan[section + 2 + 4 * source] + (numeric if kind == 2 else 0)) * cap
        flags = flag_column(integers, cap, word_column, plan[section + 3 + 4 * source])
        mask = plan[section + 4 + 4 * source]
        first = integers[TIME * cap + low_row]
        n = 0
        for i in range(low_row, high_row):
            before = integers[start + i]
            if before < first:
                n += 1
            elif before == first or (past.size > 0 and first <= past[FOLDED_MS]):
                n += (
                    before != NEVER
                    and find_back(integers[column : column + cap], integers[column + i], flags, mask, low_row, i) < 0
                )
        values[output] = n


@jit
def _answer_scans(  # type: ignore[no-untyped-def]
    integers, bits, cap, row, time, numeric, word_column, plan, at, offsets, scratch, last_at, lasting, values, text_values,
    approximate, past, gone,
):  # fmt: skip
    count = plan[at]
    at += 1
    past_floats = past.view(np.float64)
    for _ in range(count):
        function, kind, place, word, mask = plan[at], plan[at + 1], plan[at + 2], plan[at + 3], plan[at + 4]
        edge, low, output, lifetime = plan[at + 5], plan[at + 6], plan[at + 7], plan[at + 8]
        at += 9
        low_row = scratch[low] if low >= 0 else (0 if low == -1 else scratch[last_at - 2 - low])
        high_row = scratch[edge] if function == 1 else min(scratch[edge], row)
        flags = flag_column(integers, cap, word_column, word)
        if function == 1:
            found = first_matching(flags, mask, low_row, high_row)
        else:
            found = last_matching(flags, mask, low_row, high_row)
        when = NEVER
        value = 0
        number = np.nan
        if found >= 0:
            when = integers[TIME * cap + found]
            if kind == 2:
                value = integers[(FIELDS + numeric + place) * cap + found]
            elif kind == 1:
                number = bits[(FIELDS + place) * cap + found]
        since = time - offsets[low] if low >= 0 else ALWAYS
        if low < -1:
            since = scratch[lasting - 2 - low]
        inexact = False
        if past.size > 0 and since < past[FOLDED_MS]:
            total = past[TOTALS_AT] + TOTAL_WORDS * lifetime
            until = time - offsets[edge]
            at_time = past[total + FIRST_MS] if function == 1 else past[total + LAST_MS]
            at_value = total + (FIRST_VALUE if function == 1 else LAST_VALUE)
            # Totals know the first and the last folded event: whether they are in the window decides if that is enough.
            if function == 1:
                better = since < at_time <= until and (found < 0 or at_time <= when)
                inexact = at_time <= since or past[total + COVERED_MS] != ALWAYS
            else:
                better = since < at_time <= until and (found < 0 or at_time > when)
                inexact = at_time > until and at_time != NEVER
                inexact = inexact or (past[total + COVERED_MS] != ALWAYS and found < 0 and not better)
            if low < -1:
                inexact = True
            if better:
                found = 0
                when = at_time
                value = past[at_value]
                number = past_floats[at_value]
        elif (since < gone and (function == 1 or found < 0)) or (low < -1 and since != NEVER):
            inexact = True
        if inexact and kind != 2:
            approximate[output] = 1
        if found < 0:
            continue
        if function == 2:
            values[output] = (time - when) / 1000.0
        elif kind == 2:
            text_values[output] = value
        else:
            values[output] = number


@jit
def _note_row(integers, cap, note_time, identity, upto):  # type: ignore[no-untyped-def]
    """Return the row of a note's event among the first `upto`, -1 if it isn't there."""
    times = integers[TIME * cap : (TIME + 1) * cap]
    return find(
        integers[ID * cap : (ID + 1) * cap],
        identity,
        upper_bound(times, upto, note_time - 1),
        upper_bound(times, upto, note_time),
    )


@jit
def _answer_labels(  # type: ignore[no-untyped-def]
    integers, cap, row, time, word_column, words, plan, at, offsets, after, scratch, partial, last_at, lasting, values,
    approximate, info, h, past, floats, gone,
):  # fmt: skip
    count = plan[at]
    if count == 0:
        return
    at += 1
    note_count = info[h, NOTE_COUNT]
    width = NOTE_FLAGS + words
    notes = integers_at(info[h, NOTES], note_count * width)
    note_values = floats_at(info[h, NOTES], note_count * width)
    for _ in range(count):
        word, mask, edge, low, function, output = (
            plan[at],
            plan[at + 1],
            plan[at + 2],
            plan[at + 3],
            plan[at + 4],
            plan[at + 5],
        )
        tile_at, tile_source, lifetime = plan[at + 6], plan[at + 7], plan[at + 8]
        at += 9
        high_row = scratch[edge]
        low_row = scratch[low] if low >= 0 else (0 if low == -1 else scratch[last_at - 2 - low])
        n = 0.0
        if after >= 0:
            settled = min(high_row, scratch[after])
            if settled > low_row:
                flags = flag_column(integers, cap, word_column, word)
                n += count_matching(flags[low_row:settled], mask)
        total = 0.0
        squares = 0.0
        inexact = False
        least = np.inf
        most = -np.inf
        until = time - offsets[edge]
        since = time - offsets[low] if low >= 0 else ALWAYS
        if low < -1:
            since = scratch[lasting - 2 - low]
        if after < 0:
            inexact = low != -1 and (since < gone or (low < -1 and since != NEVER))
        elif (past.size > 0 or gone != ALWAYS) and since != NEVER:
            clear(partial)
            settled_ms = min(until, time - offsets[after])
            if low == -1:
                inexact = _add_total(partial, past, floats, 0, tile_at, lifetime, settled_ms)
            else:
                inexact = _add_past(partial, past, floats, 0, tile_at, tile_source, since, settled_ms, gone) or low < -1
            n += partial[0]
        unlabelled = n
        i = 0
        while i < note_count:
            first = i * width
            identity = notes[first + NOTE_ID]
            note_time = notes[first + NOTE_TIME]
            state = notes[first + NOTE_STATE]
            best = -1
            while i < note_count and notes[i * width + NOTE_ID] == identity:  # versions lie in ascending order
                if notes[i * width + NOTE_KNOWN] <= time:
                    best = i
                i += 1
            if best < 0 or state == PENDING or note_time > until or (note_time <= since and since != NEVER):
                continue
            if mask != 0 and state == UNKNOWN:
                inexact = True
                continue
            if mask != 0 and (notes[first + NOTE_FLAGS + word] & mask) != mask:
                continue
            if state == STORED and (low < -1 or note_time == time):
                at_row = _note_row(integers, cap, note_time, identity, row + 1)
                if at_row < low_row or at_row >= high_row:
                    continue
            elif state != STORED and since == NEVER:
                continue
            value = note_values[best * width + NOTE_VALUE]
            if after >= 0 and note_time <= time - offsets[after]:
                unlabelled -= 1.0
            else:
                n += 1.0
            total += value
            squares += value * value
            least = min(least, value)
            most = max(most, value)
        if unlabelled > 0.0:
            least = min(least, 0.0)
            most = max(most, 0.0)
        spread = squares - total * total / n if n > 0.0 else 0.0
        n = max(n, 0.0)
        if inexact:
            approximate[output] = 1
            if function == 0:
                n = np.floor(n + 0.5)
        values[output] = _result(function, n, total, spread, least, most)
