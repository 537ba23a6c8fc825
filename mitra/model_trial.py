"""Tries a model in a process of its own: `python -m mitra.model_trial ORDER` fetches, verifies, loads and times it.

So a hostile file ends this process and not a worker's, a store that hangs is given up, and the second of Python that it takes
to look through thousands of trees is nobody's who decides payments. What is good is left in the cache; what is
printed says what is wrong.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import sys
import time

import msgspec

from mitra.errors import MitraError

_PR_SET_PDEATHSIG = 1
_ROUNDS = 50
_LONGEST_S = 1.0


class Order(msgspec.Struct, frozen=True):
    """What to try: the artefact and what the change says of it, the cache's folder, and the bounds."""

    uri: str
    sha256: str
    reference: str
    features: tuple[str, ...]
    cache: str
    max_bytes: int


_decode = msgspec.json.Decoder(Order).decode


def libraries() -> str:
    """Return what a trial's finding depends on."""
    from importlib.metadata import version  # noqa: PLC0415 - asked once a process

    return " ".join(f"{name} {version(name)}" for name in ("numba", "numpy", "scikit-learn", "skops", "xgboost-cpu"))


def main(order: Order) -> None:
    """Try a model and keep it in the cache. Raises MitraError for one that is no good."""
    from pathlib import Path  # noqa: PLC0415

    from mitra.model_cache import ModelCache, Tried  # noqa: PLC0415
    from mitra.model_fetch import fetch  # noqa: PLC0415
    from models.artefact import load_model  # noqa: PLC0415
    from models.boosted import Boosted  # noqa: PLC0415

    cache = ModelCache(Path(order.cache))
    folder = cache.temporary()
    try:
        fetch(order.uri, order.sha256, folder, order.max_bytes)
        try:
            model = load_model(folder)
        except MitraError as error:
            raise MitraError(str(error).replace(str(folder), order.uri.rstrip("/"))) from error
        _check(order, model.reference, model.features)
        forest = model.scorer.forest if isinstance(model.scorer, Boosted) else None
        tried = Tried(_row_us(model), libraries())
        cache.keep(order.sha256, folder, tried, None if forest is None else forest.arrays())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check(order: Order, reference: str, features: tuple[str, ...]) -> None:
    if reference != order.reference:
        raise MitraError(f"the artefact is {reference}, the change says {order.reference}")
    if features != order.features:
        missing = [name for name in features if name not in order.features]
        more = [name for name in order.features if name not in features]
        told = "; ".join(
            f"{what} {', '.join(names[:10])}" for what, names in (("reads", missing), ("doesn't read", more)) if names
        )
        raise MitraError(f"the artefact's features are not the change's: it {told or 'has them in another order'}")


def _row_us(model: object) -> float:
    """Return the microseconds that one row takes at best: others' work on the machine is not the model's."""
    import numpy as np  # noqa: PLC0415

    from models.model import Model  # noqa: PLC0415

    assert isinstance(model, Model)
    x = np.zeros((1, len(model.features)), dtype=np.float32)
    model.warm_up()
    best, began = float("inf"), time.perf_counter()
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        model.calibrate(model.raw_scores(x))
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - began > _LONGEST_S:
            break
    return round(best * 1e6, 1)


if __name__ == "__main__":
    os.nice(19)
    with contextlib.suppress(OSError, AttributeError):  # only Linux has it: end with the worker that asked
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        main(_decode(sys.argv[1].encode()))
    except MitraError as error:
        sys.stdout.write(str(error))
        sys.exit(1)
