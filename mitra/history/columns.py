"""The columns of what kernels share: `info` (a row for each entity in memory) and label notes."""

from mitra.history.scans import jit

# Columns of `info`.
(
    ADDRESS, CAP, ROWS, ENTITY, COUNTER, SEALED, NOTES, NOTE_COUNT, NOTES_CHANGED, PAST, PAST_WORDS, GONE_MS, EXTRA_BYTES,
    COMING,
) = range(14)  # fmt: skip
INFO_COLUMNS = 16
# Columns of a label note; its condition flags follow.
NOTE_TIME, NOTE_ID, NOTE_KNOWN, NOTE_VALUE, NOTE_VERSION, NOTE_STATE, NOTE_FLAGS = range(7)
# The event of a note: not there, a row, folded, folded before the label came.
PENDING, STORED, FOLDED, UNKNOWN = range(4)
DROP_ROWS = 32  # rows are dropped for their age when so many may go: seldom enough to cost nothing
HEADER_WORDS = 4
LOW_HALF = 0xFFFF_FFFF


@jit
def flag_column(integers, cap, word_column, word):  # type: ignore[no-untyped-def]
    """Return the flag column of a condition; any column will do where there is none."""
    column = 0 if word < 0 else word_column + word
    return integers[column * cap : (column + 1) * cap]


@jit
def note_place(notes, width, count, identity, version):  # type: ignore[no-untyped-def]
    """Return where among notes, which are in order of (id, version), the first stands that isn't before these."""
    low = 0
    high = count
    while low < high:
        middle = (low + high) >> 1
        other = notes[middle * width + NOTE_ID]
        if other < identity or (other == identity and notes[middle * width + NOTE_VERSION] < version):
            low = middle + 1
        else:
            high = middle
    return low
