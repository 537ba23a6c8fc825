"""How much of a process's payments lies in the graph's branch since that was last heard: what a cold branch is asked is bounded.

Intake sends to the lookup and to histories alike, and Flink stops who sends into a full exchange until there is room. The lookup's
worker takes seconds to start; in a backlog these are many thousands of payments. So where nothing comes back, no more is put in
than the exchange holds: the other payments are told at once that they go without.

Intake and decide of a task manager share one interpreter, so they may share this. What decide hears may have been asked by
another task manager: where one branch alone is cold, it holds its histories up until its worker has started.
"""

import threading

BRANCH_BYTES = 150_000
"""Half of what an exchange inside a task manager holds: ten buffers of 32 KB."""


class Pace:
    """The bytes asked since the branch was last heard. Two threads may use it: a count that is a little off does no harm."""

    def __init__(self) -> None:
        """Begin with an empty branch."""
        self._ahead = 0

    def may_ask(self, size: int) -> bool:
        """Tell whether a message of `size` bytes may go into the branch, and count it; one alone always may."""
        if self._ahead and self._ahead + size > BRANCH_BYTES:
            return False
        self._ahead += size
        return True

    def heard(self) -> None:
        """Note that the branch has given something back, or that it starts anew."""
        self._ahead = 0


_paces: dict[str, Pace] = {}
_paces_lock = threading.Lock()


def shared_pace(job: str) -> Pace:
    """Return this process's pace of a job, named by Flink's id of it."""
    with _paces_lock:
        return _paces.setdefault(job, Pace())
