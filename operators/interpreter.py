"""The Python interpreter that all operators of a task manager share, set for many small calls."""

import gc
import sys

from operators.background import yield_to_payments

SWITCH_INTERVAL_S = 5e-5
"""Operators share the interpreter's lock. Handing it over after 50 µs instead of 5 ms keeps a small batch from waiting for a
large one (16 % less time a transaction where it was measured)."""

GC_THRESHOLDS = (20_000, 50, 100)
"""A batch makes thousands of small objects that die with it. Python's 700 would look through them several times a batch;
so much rarer it saves 10 to 25 % of a transaction's time (`python -m bench.stages`)."""


def settle() -> None:
    """Set the interpreter when an operator has opened: what it compiled and loaded is never looked through again."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    yield_to_payments()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.collect()
    gc.freeze()
