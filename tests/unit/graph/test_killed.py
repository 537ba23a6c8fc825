"""A service that is killed leaves no process behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="tells by procfs which processes there are"
)

_SERVICE = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from mitra.graph.service import give_way

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=give_way) as executor:
        print(executor.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_finds_communities_ends_with_a_service_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text(_SERVICE)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        finder = int(service.stdout.readline())
        assert _runs(finder)
        service.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while _runs(finder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(finder)
