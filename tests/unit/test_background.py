"""Threads beside the payments go behind them: by their names as the kernel has them, and only they."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from operators.background import NICE, lower

TASKS = Path("/proc/self/task")


@contextmanager
def thread(name: str) -> Iterator[int]:
    """Run a thread that the kernel knows by `name`; give its number."""
    ready, end, ids = threading.Event(), threading.Event(), []

    def run() -> None:
        (TASKS / str(threading.get_native_id()) / "comm").write_text(name)
        ids.append(threading.get_native_id())
        ready.set()
        end.wait(60)

    one = threading.Thread(target=run)
    one.start()
    try:
        assert ready.wait(60)
        yield ids[0]
    finally:
        end.set()
        one.join()


@pytest.mark.parametrize("name", sorted(NICE))
def test_a_thread_of_such_a_name_goes_behind(name: str) -> None:
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    with thread(name) as number:
        seen = lower(set())
        assert str(number) in seen
        # The tests may run behind other work themselves: nothing is pushed ahead of that.
        assert os.getpriority(os.PRIO_PROCESS, number) == max(NICE[name], own)


def test_no_other_thread_does() -> None:
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    with thread("rocksdb:high") as number:
        lower(set())
        assert os.getpriority(os.PRIO_PROCESS, number) == own
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


def test_one_that_was_seen_is_left_as_it_is() -> None:
    with thread("rocksdb:low") as number:
        before = os.getpriority(os.PRIO_PROCESS, number)
        lower({str(number)})
        assert os.getpriority(os.PRIO_PROCESS, number) == before


def test_one_that_waits_already_is_not_pushed_ahead() -> None:
    with thread("Flink-RocksDBSt") as number:
        os.setpriority(os.PRIO_PROCESS, number, 15)
        lower(set())
        assert os.getpriority(os.PRIO_PROCESS, number) == 15


def test_one_that_has_ended_meanwhile_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "4194305").mkdir()
    assert lower(set(), tmp_path) == {"4194305"}
