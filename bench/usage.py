"""CPU time and memory of process trees: what the job, the broker and the load each take."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import psutil

INTERVAL_S = 0.5


@dataclass
class Usage:
    """What one process tree has taken: CPU time in seconds, resident memory at its highest in MB."""

    cpu_s: float = 0.0
    peak_mb: float = 0.0
    first: dict[int, float] = field(default_factory=dict)
    last: dict[int, float] = field(default_factory=dict)


class Watch:
    """Watches process trees, named, while a `with` block runs. A thread looks twice a second."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        """Take the process id of each tree's root."""
        self._roots = dict(roots)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._found = {name: Usage() for name in roots}
        self._began = self._ended = 0.0

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._look()
        self._ended = time.monotonic()

    def add(self, name: str, pid: int) -> None:
        """Watch one more tree from now on."""
        self._found[name] = Usage()
        self._roots[name] = pid

    def result(self) -> dict[str, dict[str, float]]:
        """Return for each tree its CPU seconds, its share of one core in that time, and its peak memory in MB."""
        seconds = self._ended - self._began
        found = {}
        for name, usage in self._found.items():
            cpu_s = sum(last - usage.first.get(pid, 0.0) for pid, last in usage.last.items())
            found[name] = {
                "cpu_s": round(cpu_s, 2),
                "cores": round(cpu_s / seconds, 3),
                "peak_mb": round(usage.peak_mb),
            }
        return found

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self._look()

    def _look(self) -> None:
        for name, pid in list(self._roots.items()):
            usage = self._found[name]
            started = bool(usage.last)
            memory = 0.0
            try:
                root = psutil.Process(pid)
                for process in [root, *root.children(recursive=True)]:
                    times, memory_info = process.cpu_times(), process.memory_info()
                    spent = times.user + times.system
                    # What a process spent before the watch began doesn't count; one that began later counts whole.
                    usage.first.setdefault(process.pid, 0.0 if started else spent)
                    usage.last[process.pid] = spent
                    memory += memory_info.rss / (1 << 20)
            except psutil.NoSuchProcess:
                continue
            usage.peak_mb = max(usage.peak_mb, memory)
