"""Numba's view of one entity's rows: an address, so that a batch of any entities is one kernel call.

Rows lie column by column, `cap` places each: time, id, meta (content in the high half, kind in the low), arrival, the
numbers' bits, the texts' hashes, the flag words, and for each distinct source the time at which the row's value occurred
before. Rows are in order of (time, arrival).
"""

from pathlib import Path
from typing import Any

from numba import carray, float64, int64, types
from numba.extending import intrinsic

from mitra.compiled import compiler

TIME, ID, META, ARRIVAL, FIELDS = range(5)

_jit: Any = compiler(Path(__file__).parent)


@intrinsic
def _integers(_typing, address):  # type: ignore[no-untyped-def]
    def make(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(int64)(address), make


@intrinsic
def _floats(_typing, address):  # type: ignore[no-untyped-def]
    def make(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(float64)(address), make


@_jit
def integers_at(address, size):  # type: ignore[no-untyped-def]
    """Return int64[size] at an address. Whoever gave the address keeps the memory alive."""
    return carray(_integers(address), size)


@_jit
def floats_at(address, size):  # type: ignore[no-untyped-def]
    """Return float64[size] at an address. Whoever gave the address keeps the memory alive."""
    return carray(_floats(address), size)
