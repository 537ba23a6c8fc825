"""What one call does for a batch: insert each event into its entities' rows and answer their aggregates.

`run` goes through the touches in order and stops where an entity needs its oldest rows folded or dropped first; Python
does that and calls it again. Entities are rows of `info` (columns below); plans are the packed arrays of `plan.Plan`.
"""

from mitra.history.answers import answer
from mitra.history.columns import (
    ADDRESS,
    CAP,
    COMING,
    COUNTER,
    DROP_ROWS,
    ENTITY,
    NOTE_COUNT,
    NOTE_FLAGS,
    NOTE_ID,
    NOTE_STATE,
    NOTE_TIME,
    NOTES,
    NOTES_CHANGED,
    PAST,
    PAST_WORDS,
    ROWS,
    SEALED,
    STORED,
    flag_column,
    note_place,
)
from mitra.history.memory import ARRIVAL, FIELDS, ID, META, TIME, floats_at, integers_at
from mitra.history.pairing import link_pair
from mitra.history.scans import ALWAYS, NEVER, find, find_back, jit, upper_bound
from mitra.history.tiles import last_sampled

NEGATIVE_ZERO = ALWAYS  # of a number the bits that only a sign stands in


@jit
def _present(integers, cap, kind, column, row, value):  # type: ignore[no-untyped-def]
    """Say whether a field's bits are a value: a text that is not 0, a number that is not NaN."""
    if kind == 2:
        return value != 0
    # Exponent all ones and a fraction: NaN. Infinities don't get in.
    return (value & 0x7FF0_0000_0000_0000) != 0x7FF0_0000_0000_0000


@jit
def link(integers, cap, numbers, kind, place, flags, mask, previous, row, size, past, sample):  # type: ignore[no-untyped-def]
    """Set the time of the previous occurrence of a row's value, and of the next row's that held it."""
    column = FIELDS + place + (numbers if kind == 2 else 0)
    values = integers[column * cap : (column + 1) * cap]
    value = values[row]
    if not ((flags[row] & mask) == mask and _present(integers, cap, kind, column, row, value)):
        previous[row] = NEVER
        return
    before = find_back(values, value, flags, mask, 0, row)
    if before >= 0:
        previous[row] = integers[TIME * cap + before]
    else:
        previous[row] = last_sampled(past, sample, value) if past.size else ALWAYS
    for after in range(row + 1, size):
        if values[after] == value and (flags[after] & mask) == mask:
            previous[after] = integers[TIME * cap + row]
            break


@jit
def link_pairs(address, cap, size, numbers, texts, words, plan, entity):  # type: ignore[no-untyped-def]
    """Fill the columns of paired events anew: rows were loaded, or the oldest have gone."""
    at = plan[1 + entity]
    sources = plan[at]
    at += 1 + 4 * sources
    pairs = plan[at]
    word_column = FIELDS + numbers + texts
    for pair in range(pairs):
        column = word_column + words + pair
        for row in range(size):
            link_pair(
                address,
                cap,
                word_column + words + pairs + sources,
                numbers,
                column,
                plan,
                at + 1 + 5 * pair,
                row,
                row + 1,
            )


@jit
def link_all(address, cap, size, numbers, texts, words, plan, entity, past):  # type: ignore[no-untyped-def]
    """Fill the columns of previous occurrences of rows that were just loaded."""
    at = plan[1 + entity]
    sources = plan[at]
    pairs_at = at + 1 + 4 * sources
    pairs = plan[pairs_at]
    word_column = FIELDS + numbers + texts
    integers = integers_at(address, cap * (word_column + words + pairs + sources))
    link_pairs(address, cap, size, numbers, texts, words, plan, entity)
    for source in range(sources):
        kind, place, word, mask = plan[at + 1], plan[at + 2], plan[at + 3], plan[at + 4]
        at += 4
        start = (word_column + words + pairs + source) * cap
        previous = integers[start : start + cap]
        flags = flag_column(integers, cap, word_column, word)
        for row in range(size):
            link(integers, cap, numbers, kind, place, flags, mask, previous, row, row + 1, past, source)


@jit
def _insert(integers, cap, columns, size, row):  # type: ignore[no-untyped-def]
    """Make room for a row."""
    for column in range(columns):
        start = column * cap
        for back in range(size - row):
            i = start + size - back
            integers[i] = integers[i - 1]


@jit
def _note_stored(notes, width, count, identity, time, flags, event):  # type: ignore[no-untyped-def]
    """Tell the notes of an event that it has come; return 1 if there are any."""
    found = 0
    note = note_place(notes, width, count, identity, ALWAYS)
    while note < count and notes[note * width + NOTE_ID] == identity:
        at = note * width
        if notes[at + NOTE_STATE] != STORED:
            notes[at + NOTE_STATE] = STORED
            notes[at + NOTE_TIME] = time
            for word in range(flags.shape[1]):
                notes[at + NOTE_FLAGS + word] = flags[event, word]
            found = 1
        note += 1
    return found


@jit
def answer_at(  # type: ignore[no-untyped-def]
    h, time, info, numeric, texts, words, plan, scratch, partial, values, text_values, approximate
):
    """Answer an entity's aggregates as of a time that none of its rows is behind."""
    size = info[h, ROWS]
    cap = info[h, CAP]
    section = plan[1 + info[h, ENTITY]]
    sources = plan[section]
    pairs_at = section + 1 + 4 * sources
    pairs = plan[pairs_at]
    word_column = FIELDS + numeric + texts
    columns = word_column + words + pairs + sources
    integers = integers_at(info[h, ADDRESS], cap * columns)
    bits = floats_at(info[h, ADDRESS], cap * columns)
    answer(
        integers, bits, cap, size - 1, time, numeric, word_column, words, pairs, plan, pairs_at + 1 + 5 * pairs, info, h,
        scratch, partial, values, text_values, approximate,
    )  # fmt: skip


@jit
def lacking(handles, info, places, needed):  # type: ignore[no-untyped-def]
    """Find the entities without room for a row of each of their touches; return how many.

    Fills `places` with a touch of each, `needed` with the rows that it may come to.
    """
    for touch in range(handles.size):
        info[handles[touch], COMING] += 1
    found = 0
    for touch in range(handles.size):
        h = handles[touch]
        rows = info[h, ROWS] + info[h, COMING]
        if info[h, COMING] > 0 and rows > info[h, CAP]:
            places[found] = touch
            needed[found] = rows
            found += 1
        info[h, COMING] = 0
    return found


@jit
def run(  # type: ignore[no-untyped-def]
    start, handles, rows, info, kinds, times, identities, contents, numbers, text_hashes, flags, plan, keep_ms, raw_limit,
    scratch, partial, status, arrival, late, new_texts, values, text_values, approximate,
):  # fmt: skip
    """Process touches from `start` on; return the first one whose entity must lose rows first, or their number.

    `handles`, `rows`: each touch's row of `info` and of the events. Fills `status`, `arrival`, `late` (where a row was
    inserted among sealed ones, -1 if not), `new_texts` (bit per text column: a text that no other open row holds) and the answers.
    """
    numeric = numbers.shape[1]
    texts = text_hashes.shape[1]
    words = flags.shape[1]
    word_column = FIELDS + numeric + texts
    for touch in range(start, handles.size):
        h = handles[touch]
        e = rows[touch]
        size = info[h, ROWS]
        cap = info[h, CAP]
        entity = info[h, ENTITY]
        section = plan[1 + entity]
        sources = plan[section]
        pairs_at = section + 1 + 4 * sources
        pairs = plan[pairs_at]
        columns = word_column + words + pairs + sources
        integers = integers_at(info[h, ADDRESS], cap * columns)
        bits = floats_at(info[h, ADDRESS], cap * columns)
        identity = identities[e]
        time = times[e]
        row = find(integers[ID * cap : ID * cap + size], identity, 0, size)
        if row >= 0:
            arrival[touch] = integers[ARRIVAL * cap + row]
            content = integers[META * cap + row] >> 32
            if content != 0 and content != contents[e] >> 32:  # 0: stored under another layout, so nobody can tell
                status[touch] = 2
                continue
            status[touch] = 1
            time = integers[TIME * cap + row]
        else:
            if size >= raw_limit:
                return touch
            if (
                size > DROP_ROWS
                and integers[TIME * cap + DROP_ROWS - 1] < max(time, integers[TIME * cap + size - 1]) - keep_ms
            ):
                return touch
            row = upper_bound(integers[TIME * cap : TIME * cap + size], size, time)
            _insert(integers, cap, columns, size, row)
            info[h, COUNTER] += 1
            integers[TIME * cap + row] = time
            integers[ID * cap + row] = identity
            integers[META * cap + row] = (contents[e] >> 32 << 32) | kinds[e]
            integers[ARRIVAL * cap + row] = info[h, COUNTER]
            for field in range(numeric):
                place = (FIELDS + field) * cap + row
                bits[place] = numbers[e, field]
                if (
                    integers[place] == NEGATIVE_ZERO
                ):  # compared as bits: as numbers, the compiler may take the two for one
                    integers[place] = 0
            fresh = 0
            sealed = info[h, SEALED]
            for field in range(texts):
                column = (FIELDS + numeric + field) * cap
                value = text_hashes[e, field]
                integers[column + row] = value
                if value != 0:
                    there = 0
                    for other in range(sealed, size + 1):
                        there += integers[column + other] == value
                    if there < 2:
                        fresh |= 1 << min(field, 62)
            new_texts[touch] = fresh
            for word in range(words):
                integers[(word_column + word) * cap + row] = flags[e, word]
            size += 1
            info[h, ROWS] = size
            if row < sealed:
                info[h, SEALED] = sealed + 1
                late[touch] = row
            past = integers_at(info[h, PAST], info[h, PAST_WORDS])
            for pair in range(pairs):
                link_pair(
                    info[h, ADDRESS],
                    cap,
                    columns,
                    numeric,
                    word_column + words + pair,
                    plan,
                    pairs_at + 1 + 5 * pair,
                    row,
                    size,
                )
            for source in range(sources):
                at = section + 1 + 4 * source
                first = (word_column + words + pairs + source) * cap
                link(
                    integers, cap, numeric, plan[at], plan[at + 1], flag_column(integers, cap, word_column, plan[at + 2]),
                    plan[at + 3], integers[first : first + cap], row, size, past, source,
                )  # fmt: skip
            if info[h, NOTE_COUNT] > 0:
                width = NOTE_FLAGS + words
                notes = integers_at(info[h, NOTES], info[h, NOTE_COUNT] * width)
                info[h, NOTES_CHANGED] |= _note_stored(notes, width, info[h, NOTE_COUNT], identity, time, flags, e)
            status[touch] = 0
            arrival[touch] = info[h, COUNTER]
        answer(
            integers, bits, cap, row, time, numeric, word_column, words, pairs, plan, pairs_at + 1 + 5 * pairs, info, h,
            scratch, partial, values[touch], text_values[touch], approximate[touch],
        )  # fmt: skip
    return handles.size
