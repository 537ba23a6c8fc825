"""What works in a task manager beside the payments, and lets them go first: the JVM's compilers, RocksDB's compaction.

A payment needs a core for a millisecond, a compaction for two seconds and the compilers for minutes after a start. Where there
are no cores to spare, the kernel would share them evenly among all; with a higher nice value these take what is left. Where
nothing is left for minutes, compaction falls behind until RocksDB holds the histories up for it: then it has the cores.
"""

import os
import threading
from pathlib import Path

NICE = {"C1 CompilerThre": 5, "C2 CompilerThre": 19, "Flink-RocksDBSt": 10, "G1 Conc#0": 5, "rocksdb:low": 19}
"""By the thread's name as the kernel keeps it: 15 characters."""

LOOK_S = 5.0
"""Some of them start when they are first needed, so they are looked for this often."""

_TASKS = Path("/proc/self/task")
_started = threading.Lock()


def yield_to_payments() -> None:
    """Have such threads of this process go behind, also those that are still to come; nothing happens where there is no procfs."""
    if _TASKS.exists() and _started.acquire(blocking=False):
        threading.Thread(target=_watch, name="mitra-background", daemon=True).start()


def _watch() -> None:
    seen: set[str] = set()
    pause = threading.Event()
    while True:
        seen = lower(seen)
        pause.wait(LOOK_S)


def lower(seen: set[str], tasks: Path = _TASKS) -> set[str]:
    """Lower the priority of the threads that aren't among those `seen` before; return all there are now."""
    there = {task.name for task in tasks.iterdir()}
    for thread in there - seen:
        try:
            nice = NICE.get((tasks / thread / "comm").read_text().rstrip("\n"))
            if nice is not None and os.getpriority(os.PRIO_PROCESS, int(thread)) < nice:
                os.setpriority(os.PRIO_PROCESS, int(thread), nice)
        except OSError:  # it has ended meanwhile, or the system forbids it: then it goes on as it was
            continue
    return there
