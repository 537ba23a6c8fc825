"""Columns of an Arrow table in the types of the schema: the fast way from Parquet to events, whole columns at a time.

A column whose type fits is turned into a list of Python values and a mask of the rows to look at again, one by one
(`mitra.rows`): those with a null that isn't allowed, a value beyond the bounds. A column of any other type is left to that too.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mitra.event_time import EARLIEST_MS, LATEST_MS
from mitra.schema import EventType, Field

Mask = np.ndarray[Any, np.dtype[np.bool_]]

_UNIT_PER_MS = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}


@dataclass(frozen=True, slots=True)
class Column:
    """One field's values, None where missing, and the rows whose value is not to be taken as it is."""

    values: list[Any]
    suspects: Mask | None


def plain(array: Any) -> Any:
    """Return an array without dictionary encoding and chunks."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def times_ms(array: Any) -> Any | None:
    """Return a timestamp or date array as int64 epoch milliseconds, cut towards the past; None for other types."""
    kind = array.type
    if pa.types.is_date32(kind):
        return pc.multiply_checked(array.cast(pa.int32()).cast(pa.int64()), 86_400_000)
    if pa.types.is_date64(kind):
        return array.cast(pa.int64())
    if not pa.types.is_timestamp(kind):
        return None
    factor, divisor = _UNIT_PER_MS[kind.unit]
    raw = array.cast(pa.int64())
    if divisor == 1:
        return pc.multiply(raw, factor)
    # Arrow's integer division cuts towards zero; a time before 1970 is refused anyway, but not because of its rounding.
    values = np.floor_divide(raw.fill_null(0).to_numpy(zero_copy_only=False), divisor)
    return pa.array(values, mask=None if raw.null_count == 0 else np.asarray(raw.is_null()))


def read_column(event: EventType, field: Field, array: Any) -> Column | None:
    """Return the column of a field, or None if the array's type needs a look at each value."""
    array = plain(array)
    if field.name == event.time:
        array = _event_times(event, array)
    elif field.type == "string":
        array = _strings(array)
    elif field.type == "integer":
        array = array.cast(pa.int64()) if _is_small_integer(array.type) else None
    elif field.type == "number":
        array = _numbers(array)
    elif not pa.types.is_boolean(array.type):
        array = None
    if array is None:
        return None
    return Column(_listed(array), _suspects(event, field, array))


def _event_times(event: EventType, array: Any) -> Any | None:
    times = times_ms(array)
    if times is not None:
        return times
    if event.time_format == "epoch_ms" and _is_small_integer(array.type):
        return array.cast(pa.int64())
    return None


def _strings(array: Any) -> Any | None:
    if pa.types.is_string(array.type):
        return array
    if pa.types.is_large_string(array.type) or _is_small_integer(array.type):
        return array.cast(pa.string())
    return None


def _numbers(array: Any) -> Any | None:
    if pa.types.is_float64(array.type):
        return array
    if pa.types.is_float32(array.type):
        return array.cast(pa.float64())
    if _is_small_integer(array.type):
        # Beyond 2**53 a float skips integers: the nearest stands for each, as it does in JSON.
        return pa.array(array.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64), mask=_null_mask(array))
    return None


def _is_small_integer(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind)) and not pa.types.is_uint64(kind)


def _null_mask(array: Any) -> Mask | None:
    return None if array.null_count == 0 else np.asarray(array.is_null())


def _listed(array: Any) -> list[Any]:
    """Return an array as a list; numbers go through numpy, ten times faster than one by one."""
    if pa.types.is_string(array.type) or pa.types.is_boolean(array.type):
        listed: list[Any] = array.to_pylist()
        return listed
    nulls = _null_mask(array)
    listed = (array if nulls is None else array.fill_null(0)).to_numpy(zero_copy_only=False).tolist()
    if nulls is not None:
        for row in np.flatnonzero(nulls).tolist():
            listed[row] = None
    return listed


def _suspects(event: EventType, field: Field, array: Any) -> Mask | None:
    suspects = _null_mask(array) if field.required else None
    wrong: Mask | None = None
    if field.name == event.time:
        numbers = array.fill_null(EARLIEST_MS).to_numpy(zero_copy_only=False)
        wrong = (numbers < EARLIEST_MS) | (numbers > LATEST_MS)
    elif field.type == "number":
        wrong = ~np.isfinite(array.fill_null(0.0).to_numpy(zero_copy_only=False))
    elif field.name == event.id and field.type == "string":
        wrong = np.asarray(pc.equal(pc.binary_length(array), 0).fill_null(False))
    if wrong is None or not wrong.any():
        return suspects
    return wrong if suspects is None else wrong | suspects
