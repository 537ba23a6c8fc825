"""Swaps of the champion while payments flow: between the pipeline's own model and one of 2,000 trees."""

import threading
import time
from typing import Any

import numpy as np

from bench.changes import Pusher, spread
from bench.rig import Rig
from bench.scorer import scorer
from mitra.model_fetch import put_of

RATE, WORKERS, EVERY_S = 500, 2, 5.0
TREES = 2_000


def swaps_on_two(rig: Rig, *, swaps: int, trees: int, warm_s: float) -> dict[str, Any]:
    """Put the large model, then make it champion and shadow in turn under 500 payments a second, on two TaskManagers.

    `swap_p99_ms` is the worst of the p99 in the second behind each swap's push; `without_model` counts decisions that no
    model was asked for, or that were degraded for lack of one.
    """
    folder = scorer(trees)
    with rig.on_cluster(WORKERS):
        pusher = Pusher(rig.pipeline)
        reference, put = put_of(str(folder))
        put_ms = pusher.push([{"change": "model.put", **put}], timeout_s=300.0)
        moments: list[tuple[float, float]] = []
        thread = threading.Thread(target=_swap, args=(pusher, reference, swaps, warm_s, moments))
        thread.start()
        seconds = warm_s + swaps * EVERY_S + 10
        figures = rig.load(int(RATE * seconds), RATE, warm_s=warm_s, whole=True)
        thread.join()
        pusher.push([{"change": "model.retire", "model": reference}])
    due, latency = (np.array(column) for column in zip(*figures.pop("moments"), strict=True))
    behind = [latency[(due >= at) & (due < at + 1)] for at, _ in moments]
    worst = [round(float(np.percentile(one, 99)), 1) for one in behind if len(one)]
    about = {"rate": RATE, "seconds": seconds - warm_s, "task_managers": WORKERS, "trees": trees, "swaps": len(moments)}
    return {
        **about,
        **figures,
        "put_ms": round(put_ms),
        "pushes": len(moments),
        "push_ms": spread([taken for _, taken in moments]),
        "swap_p99s_ms": worst,
        "swap_p99_ms": max(worst) if len(worst) == swaps else None,
        "lost": figures["sent"] - figures["decided"],
    }


def _swap(pusher: Pusher, reference: str, swaps: int, warm_s: float, moments: list[tuple[float, float]]) -> None:
    """Swap every so often, the first time when the load is warm; note when, in epoch seconds, and the milliseconds it took."""
    start = time.monotonic() + warm_s
    for number in range(swaps):
        time.sleep(max(0.0, start + (number + 0.5) * EVERY_S - time.monotonic()))
        mode = "shadow" if number % 2 else "champion"
        at = time.time()
        moments.append((at, pusher.push([{"change": "model.mode", "model": reference, "mode": mode}])))
