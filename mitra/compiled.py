"""Compiles kernels with numba, into a cache that belongs to the sources they were compiled from.

numba takes a compiled function from its cache as long as the file that defines it is the same, whatever became of functions that it
calls in other files: those would go on as they were, and histories would be answered by them. So each state of a package's
sources has a cache folder of its own.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
import xxhash


def compiler(package: Path, **options: Any) -> Any:
    """Return a decorator that compiles the functions of a package, with the options of `numba.njit`."""

    def compiled(function: Callable[..., Any]) -> Any:
        chosen = numba.config.CACHE_DIR
        # Where it can't be written numba takes a folder of the user's.
        numba.config.CACHE_DIR = str(
            (Path(chosen) if chosen else package / "__pycache__") / f"kernels-{_state(package)}"
        )
        try:
            return numba.njit(cache=True, **options)(function)
        finally:
            numba.config.CACHE_DIR = chosen

    return compiled


@lru_cache
def _state(package: Path) -> str:
    """Return a name for the state of a package's sources."""
    hashed = xxhash.xxh3_64()
    for source in sorted(package.glob("*.py")):
        hashed.update(source.name.encode())
        hashed.update(source.read_bytes())
    return hashed.hexdigest()
