"""Rows between memory and the form in which they are stored (see `codec`)."""

from mitra.history.columns import ADDRESS, CAP, COUNTER, EXTRA_BYTES, LOW_HALF, ROWS, SEALED
from mitra.history.memory import ARRIVAL, FIELDS, ID, META, TIME, integers_at
from mitra.history.scans import jit


@jit
def store_rows(integers, cap, columns, first, stop, out, at):  # type: ignore[no-untyped-def]
    """Write rows column by column as they are stored: time with kind, id, content with arrival, then the fields."""
    size = stop - first
    for i in range(size):
        row = first + i
        meta = integers[META * cap + row]
        out[at + i] = integers[TIME * cap + row] << 8 | (meta & 0xFF)
        out[at + size + i] = integers[ID * cap + row]
        out[at + 2 * size + i] = (meta >> 32 << 32) | (integers[ARRIVAL * cap + row] & LOW_HALF)
    for column in range(FIELDS, columns):
        to = at + (column - 1) * size
        start = column * cap + first
        for i in range(size):
            out[to + i] = integers[start + i]


@jit
def encode_rows(address, cap, columns, first, stop, out):  # type: ignore[no-untyped-def]
    """Write rows [first, stop) of an entity to `out`; `columns` are those in memory that are stored."""
    store_rows(integers_at(address, cap * columns), cap, columns, first, stop, out, 0)


@jit
def decode_rows(address, cap, columns, first, size, stored, counter):  # type: ignore[no-untyped-def]
    """Put rows as `store_rows` wrote them into memory, from row `first` on."""
    integers = integers_at(address, cap * columns)
    for i in range(size):
        row = first + i
        meta = stored[2 * size + i]
        integers[TIME * cap + row] = stored[i] >> 8
        integers[ID * cap + row] = stored[size + i]
        integers[META * cap + row] = (meta >> 32 << 32) | (stored[i] & 0xFF)
        integers[ARRIVAL * cap + row] = counter - ((counter - meta) & LOW_HALF)
    for column in range(FIELDS, columns):
        start = column * cap + first
        for i in range(size):
            integers[start + i] = stored[(column - 1) * size + i]


@jit
def encode_headers(handles, info, columns, version, layout, conditions, out, places):  # type: ignore[no-untyped-def]
    """Write the headers' fixed words and open rows one behind the other; `places` gets where each begins and the end."""
    at = 0
    for i in range(handles.size):
        h = handles[i]
        places[i] = at
        cap = info[h, CAP]
        first = info[h, SEALED]
        stop = info[h, ROWS]
        out[at] = version | (stop - first) << 8 | info[h, EXTRA_BYTES] << 32
        out[at + 1] = layout
        out[at + 2] = conditions
        out[at + 3] = info[h, COUNTER]
        at += 4
        store_rows(integers_at(info[h, ADDRESS], cap * columns), cap, columns, first, stop, out, at)
        at += (stop - first) * (columns - 1)
    places[handles.size] = at
