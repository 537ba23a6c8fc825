"""Child processes that never outlive this one, however it ends, and whose output is kept in a file."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mitra.errors import MitraError

_GUARD = Path(__file__).with_name("guard.py")


class ChildProcess:
    """A running command under a guard (mitra/local/guard.py), in a session of its own so that Ctrl-C passes it by.

    `log` takes everything it prints. `pid` is the command's own process id, not the guard's.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace_s: float = 15.0,
    ) -> None:
        """Start the command. `grace_s` is the time between asking it to end and killing it."""
        self.log = log
        self.grace_s = grace_s
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = log.stat().st_size if log.exists() else 0
        arguments = [sys.executable, "-I", str(_GUARD), str(grace_s), str(log.absolute()), *map(str, command)]
        self._guard = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd=cwd, start_new_session=True
        )
        assert self._guard.stdout is not None
        told = self._guard.stdout.readline()
        if not told:
            raise MitraError(
                f"a process could not be started; command={command[0]}; is the program there and executable?"
            )
        self.pid = int(told)

    def status(self) -> int | None:
        """Return the exit status, or None while it runs; 128 + n stands for signal n."""
        return self._guard.poll()

    def stop(self) -> int:
        """Ask it to end, kill it when `grace_s` is over, and return its exit status. Twice is once."""
        if self._guard.stdin is not None and not self._guard.stdin.closed:
            self._guard.stdin.close()
        status = self._guard.wait(self.grace_s + 10)
        if self._guard.stdout is not None:
            self._guard.stdout.close()
        return status

    def output(self, lines: int = 20) -> str:
        """Return the last lines of what this run printed."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            text = file.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])
