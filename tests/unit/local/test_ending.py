"""Why a job's process ended, in words."""

import sys
import time
from pathlib import Path

from mitra.local.job import ending
from mitra.local.process import ChildProcess

CRASH = """
# A fatal error has been detected by the Java Runtime Environment:
#
#  SIGSEGV (0xb) at pc=0x00007f6144e08c8b, pid=4045, tid=4142
#
# Problematic frame:
# C  [_core.cpython-311-x86_64-linux-gnu.so+0x32c8b]  mpack_decode+0xb
#
# An error report file with more information is saved as:
# /somewhere/hs_err_pid4045.log
#
"""


def ended(folder: Path, said: str) -> str:
    process = ChildProcess([sys.executable, "-c", f"print({said!r})"], log=folder / "log")
    while process.status() is None:
        time.sleep(0.01)
    return ending(process)


def test_a_crash_of_java_is_named_with_its_frame_and_report_however_much_follows(tmp_path: Path) -> None:
    told = ended(tmp_path, CRASH + "ConnectionRefusedError: [Errno 111] Connection refused\n" * 500)
    assert told == (
        "Java crashed in native code, in C  [_core.cpython-311-x86_64-linux-gnu.so+0x32c8b]  mpack_decode+0xb; "
        "its report is /somewhere/hs_err_pid4045.log"
    )


def test_state_of_another_job_is_told_with_the_way_out(tmp_path: Path) -> None:
    assert "set job.buckets back" in ended(tmp_path, "IllegalStateException: Cannot map checkpoint/savepoint state for")


def test_anything_else_is_its_last_lines(tmp_path: Path) -> None:
    assert ended(tmp_path, "first\nlast") == "it said last:\nfirst\nlast"
