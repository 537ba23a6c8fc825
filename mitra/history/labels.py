"""Labels of an entity's events: sparse, exact, and apart from the rows, so that they outlive them.

A label that says what silence says (legit, known when silence would mean that anyway) is kept for a while only, so that it can
take back an earlier version that arrives after it; then it goes, for there is one for every event where all are labelled.

Notes are rows of words in order of (id, version): the columns `NOTE_*` of `kernels`, then the flag words of the
event they judge, which are known from when it is a row. A note waits as PENDING for an event that has not come.
"""

import numpy as np
from numpy.typing import NDArray

from mitra.history.columns import (
    ADDRESS,
    CAP,
    FOLDED,
    NOTE_COUNT,
    NOTE_FLAGS,
    NOTE_ID,
    NOTE_KNOWN,
    NOTE_STATE,
    NOTE_TIME,
    NOTE_VALUE,
    NOTE_VERSION,
    NOTES,
    NOTES_CHANGED,
    PAST,
    PAST_WORDS,
    PENDING,
    ROWS,
    STORED,
    UNKNOWN,
    note_place,
)
from mitra.history.memory import ID, TIME, integers_at
from mitra.history.scans import find, jit
from mitra.history.tiles import FOLDED_MS

INLINE_NOTES = 4  # as many lie in the header; more would be rewritten with every event
SILENT_NOTES = 16  # as many are kept, up to twice as many before some go
Notes = NDArray[np.int64]


@jit
def add_notes(  # type: ignore[no-untyped-def]
    handles, identities, times, values, known_at, versions, info, words, word_column
):
    """Add labels to the notes of their entities, which have room for them; a version that is there already changes nothing.

    An event's notes have the time, state and flags of its row; those of the notes before where it isn't a row.
    """
    width = NOTE_FLAGS + words
    bits = values.view(np.int64)
    for label in range(handles.size):
        h = handles[label]
        count = info[h, NOTE_COUNT]
        notes = integers_at(info[h, NOTES], (count + 1) * width)
        identity = identities[label]
        version = versions[label]
        place = note_place(notes, width, count, identity, version)
        at = place * width
        same = -1  # a note of the same event, with what all of them say of it
        if place < count and notes[at + NOTE_ID] == identity:
            if notes[at + NOTE_VERSION] == version:
                continue
            same = place
        elif place > 0 and notes[at - width + NOTE_ID] == identity:
            same = place - 1
        for back in range((count - place) * width):
            i = (count + 1) * width - 1 - back
            notes[i] = notes[i - width]
        if same >= place:
            same += 1
        cap = info[h, CAP]
        rows = integers_at(info[h, ADDRESS], cap * (word_column + words))
        row = find(rows[ID * cap : ID * cap + info[h, ROWS]], identity, 0, info[h, ROWS])
        notes[at + NOTE_TIME] = times[label]
        notes[at + NOTE_ID] = identity
        notes[at + NOTE_KNOWN] = known_at[label]
        notes[at + NOTE_VALUE] = bits[label]
        notes[at + NOTE_VERSION] = version
        notes[at + NOTE_STATE] = PENDING
        for word in range(words):
            notes[at + NOTE_FLAGS + word] = 0
        if row >= 0:
            notes[at + NOTE_TIME] = rows[TIME * cap + row]
            notes[at + NOTE_STATE] = STORED
            for word in range(words):
                notes[at + NOTE_FLAGS + word] = rows[(word_column + word) * cap + row]
        elif same >= 0:
            notes[at + NOTE_TIME] = notes[same * width + NOTE_TIME]
            for i in range(NOTE_STATE, width):
                notes[at + i] = notes[same * width + i]
        elif info[h, PAST_WORDS] > 0 and times[label] <= integers_at(info[h, PAST], info[h, PAST_WORDS])[FOLDED_MS]:
            # Neither a row nor newer than what was folded: it has been folded.
            notes[at + NOTE_STATE] = UNKNOWN
        info[h, NOTE_COUNT] = count + 1
        info[h, NOTES_CHANGED] = 1


def forget_silent(notes: Notes, after_ms: int) -> Notes:
    """Return the notes with the oldest left out of those that say what silence says, when there are too many."""
    if len(notes) <= 2 * SILENT_NOTES:
        return notes
    identities = notes[:, NOTE_ID]
    alone = np.ones(len(notes), np.bool_)
    alone[1:] &= identities[1:] != identities[:-1]
    alone[:-1] &= identities[:-1] != identities[1:]
    silent = np.flatnonzero(
        alone & (notes[:, NOTE_VALUE] == 0) & (notes[:, NOTE_KNOWN] >= notes[:, NOTE_TIME] + after_ms)
    )
    if len(silent) <= 2 * SILENT_NOTES:
        return notes
    newest_first = silent[np.argsort(-notes[silent, NOTE_KNOWN], kind="stable")]
    return np.delete(notes, newest_first[SILENT_NOTES:], axis=0)


def expire(notes: Notes, before_ms: int) -> Notes:
    """Return the notes of events that no window will reach again left out."""
    keep = notes[:, NOTE_TIME] > before_ms
    return notes if keep.all() else notes[keep]


def fold(notes: Notes, identities: NDArray[np.int64]) -> int:
    """Mark the notes of events that were folded; return how many there are."""
    folded = np.isin(notes[:, NOTE_ID], identities)
    notes[folded, NOTE_STATE] = FOLDED
    return int(folded.sum())
