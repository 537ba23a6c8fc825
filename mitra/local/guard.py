"""Runs a command that ends with whoever started it: standard input closing is the sign, and SIGKILL closes it too.

Run as a program of its own (`python -I guard.py GRACE_S LOG COMMAND …`), so it has one thread and inherits nothing.
It prints the command's process id, then waits for the command's end or the end of its input.
On Linux the command is also killed when the guard itself is.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1


def _die_with_guard() -> None:
    with contextlib.suppress(OSError, AttributeError):  # only Linux has it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(grace_s: float, log: str, command: list[str]) -> None:
    """Run the command, its output appended to `log`; exit with its status."""
    with open(log, "ab", buffering=0) as output:  # noqa: PTH123 - this file imports little, to start fast
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=_die_with_guard,  # noqa: PLW1509 - no thread runs yet
        )

    def end_with_child() -> None:
        status = child.wait()
        os._exit(status if status >= 0 else 128 - status)

    def terminate(*_: object) -> None:
        child.terminate()
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            child.kill()

    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner, who closes the input when it is time
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.flush()
    # Only now: a command that ends at once would else take its guard away before that has told the process id.
    threading.Thread(target=end_with_child).start()
    while os.read(0, 4096):
        pass
    terminate()


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2], sys.argv[3:])
