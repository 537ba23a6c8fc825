"""Child processes end with their owner, whatever ends it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mitra.errors import MitraError
from mitra.local.process import ChildProcess

SLEEPER = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]


def wait_for(condition, seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "did not happen in time"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_it_runs_until_it_is_stopped(tmp_path: Path) -> None:
    child = ChildProcess(SLEEPER, log=tmp_path / "log")
    wait_for(lambda: child.output() == "here")
    assert child.status() is None
    assert child.stop() == 128 + signal.SIGTERM
    assert gone(child.pid)
    assert child.stop() == 128 + signal.SIGTERM


def test_its_exit_status_and_last_lines_are_kept(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("an earlier run\n")
    child = ChildProcess(
        [sys.executable, "-c", "print('one'); print('two'); raise SystemExit(7)"], log=tmp_path / "log"
    )
    wait_for(lambda: child.status() is not None)
    assert child.stop() == 7
    assert child.output() == "one\ntwo"
    assert child.output(lines=1) == "two"


def test_one_that_ignores_being_asked_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
    )
    child = ChildProcess([sys.executable, "-c", stubborn], log=tmp_path / "log", grace_s=0.2)
    wait_for(lambda: child.output() == "here")
    assert child.stop() == 128 + signal.SIGKILL


def test_it_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    owner_code = (
        "import sys, time; from pathlib import Path; from mitra.local.process import ChildProcess\n"
        f"child = ChildProcess({SLEEPER!r}, log=Path({str(tmp_path / 'log')!r}))\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", owner_code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert not gone(pid)
        owner.kill()
        wait_for(lambda: gone(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_it_ends_when_its_guard_is_killed(tmp_path: Path) -> None:
    child = ChildProcess(SLEEPER, log=tmp_path / "log")
    os.kill(psutil.Process(child.pid).ppid(), signal.SIGKILL)
    wait_for(lambda: gone(child.pid))
    assert child.stop() == -signal.SIGKILL


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MitraError, match=r"command=.*nothing; is the program there"):
        ChildProcess([tmp_path / "nothing"], log=tmp_path / "log")
