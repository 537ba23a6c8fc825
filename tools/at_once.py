"""Runs several commands at once and shows them one after the other: `at_once.py "title: command" …`.

The first is shown as it goes; what the others have said meanwhile comes behind it. The first that fails ends the others and is
the status. Ctrl-C ends all of them as it would have ended each, and is 130.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

_PACE_S = 0.2
_END_S = 60.0


class Running:
    """One command, whose output goes to a file in `folder`."""

    def __init__(self, text: str, folder: Path) -> None:
        """Start it in a session of its own: Ctrl-C doesn't reach it but through `interrupt`, once."""
        self.title, _, command = text.partition(": ")
        self._path = folder / f"{self.title}.log"
        color = {"PY_COLORS": "1"} if sys.stdout.isatty() else {}
        with self._path.open("wb") as output:
            self._process = subprocess.Popen(
                shlex.split(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **color},
                start_new_session=True,
            )

    def show(self) -> int:
        """Print what it says until it ends; return its status."""
        print(f"== {self.title}", flush=True)
        with self._path.open("rb") as said:
            while (status := self._process.poll()) is None:
                _copy(said)
                time.sleep(_PACE_S)
            _copy(said)
        return status

    def interrupt(self) -> None:
        """Let it end as by Ctrl-C: what tests have started, their fixtures end."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)

    def wait(self, until: float) -> None:
        """Wait for its end, and make an end of it when that takes too long."""
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)


def _copy(said: IO[bytes]) -> None:
    sys.stdout.flush()
    shutil.copyfileobj(said, sys.stdout.buffer)
    sys.stdout.flush()


def _end(commands: list[Running]) -> None:
    for command in commands:
        command.interrupt()
    until = time.monotonic() + _END_S
    for command in commands:
        command.wait(until)


def main(texts: list[str]) -> int:
    """Run the commands; return the status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="mitra-at-once-") as folder:
        commands = [Running(text, Path(folder)) for text in texts]
        try:
            for command in commands:
                if status := command.show():
                    print(f"{command.title}: failed, status={status}; what ran beside it is ended", file=sys.stderr)
                    return 1
        except KeyboardInterrupt:
            print("\nending what was started", file=sys.stderr, flush=True)
            return 130
        finally:
            _end(commands)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
