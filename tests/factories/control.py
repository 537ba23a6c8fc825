"""Changes as they stand on the control topic, and a job that answers govern."""

import json
from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec

from control_stream.acks import Ack
from control_stream.changes import Change, read_change
from control_stream.govern import Govern, Output
from control_stream.limits import ControlLimits
from control_stream.live_set import Context
from control_stream.trials import Load
from mitra.history import MemoryStore
from tests.factories.expressions import schema

FEATURES = {
    "amount": "amount",
    "customer_count_1h": 'count(by=customer, over="1h")',
    "big": "amount > 3 * mean(amount, by=customer, over='30d')",
}
CONTEXT = Context(schema(), FEATURES)
RULE = {"id": "big_at_night", "when": "big and hour(at) < 6", "outcome": "review", "reason": "{amount} at night"}
NOW_MS = 1_700_000_000_000
_ids = count()


def record(kind: str, /, **rest: Any) -> bytes:
    """Return a change's bytes; id and author are filled in."""
    return json.dumps({"change": kind, "id": f"c{next(_ids)}", "author": "ann", **rest}).encode()


def rule(**rest: Any) -> dict[str, Any]:
    return {**RULE, **rest}


def change(kind: str, /, **rest: Any) -> Change:
    found = read_change(record(kind, **rest), ControlLimits())
    assert isinstance(found, Change), found
    return found


class Job:
    """Govern over a store that outlives it, and parts that answer all they are asked, when `answer` is called."""

    def __init__(
        self, *, lanes: int = 2, buckets: int = 2, context: Context = CONTEXT, first: int = 0, begins_at: int = 0
    ) -> None:
        self.store = MemoryStore()
        self.sizes = {"intake": lanes, "history": buckets, "decide": buckets}
        self.context = context
        self.attempts = count(1)
        self.now_ms = NOW_MS
        self.first, self.begins_at = first, begins_at
        self.offset = 0
        self.loads: deque[Load] = deque()
        self.asked: deque[tuple[str, int, int]] = deque()
        self.acks: list[Ack] = []
        self.outputs: list[Output] = []
        self.published: list[bytes] = []
        self.log: list[bytes | None] = []
        self.restart()

    def restart(self) -> None:
        """Start govern anew from what it saved; what it asked for before is not answered to the new one."""
        self.attempt = next(self.attempts)
        self.govern = Govern(
            self.store, self.context, lanes=self.sizes["intake"], buckets=self.sizes["history"],
            attempt=self.attempt, first=self.first, begins_at=self.begins_at,
        )  # fmt: skip

    def take(self, output: Output) -> Output:
        self.outputs.append(output)
        self.acks += output.acks
        self.published += output.publish
        self.loads += output.load
        self.asked += [("ready", one.revision, one.attempt) for one in output.prepare]
        self.asked += [("active", one.revision, one.attempt) for one in output.activate]
        return output

    def send(self, data: bytes | None) -> Ack:
        """Put a record on the topic; give govern's answer."""
        self.log.append(data)
        output = self.take(self.govern.control(self.offset, data, self.now_ms))
        self.offset += 1
        return output.acks[0]

    def push(self, kind: str, /, **rest: Any) -> Ack:
        return self.send(record(kind, **rest))

    def tick(self, seconds: float = 0) -> Output:
        self.now_ms += int(seconds * 1_000)
        return self.take(self.govern.tick(self.now_ms))

    def replies(self) -> Iterator[Ack]:
        """Give the answers of all parts to what was asked, in order."""
        while self.asked:
            status, revision, attempt = self.asked.popleft()
            for stage in ("history", "decide") if status == "ready" else ("intake", "history", "decide"):
                for part in range(self.sizes[stage]):
                    yield reply(status, stage, part, revision, attempt)

    def load(self, fault: str = "") -> None:
        """Let all buckets load what was asked for, or all but the first; and put on the topic what comes of it."""
        self.try_out(fault)
        while self.published:
            self.send(self.published.pop(0))

    def try_out(self, fault: str = "") -> None:
        """Let all buckets load what was asked for, or all but the first."""
        while self.loads:
            one = self.loads.popleft()
            for part in range(self.sizes["decide"]):
                status = "failed" if fault and not part else "loaded"
                ack = reply(status, "decide", part, 0, one.attempt)
                self.take(self.govern.ack(msgspec.structs.replace(ack, id=one.id, reason=fault), self.now_ms))

    def answer(self) -> None:
        """Let all parts answer until nothing more is asked."""
        for ack in self.replies():
            self.take(self.govern.ack(ack, self.now_ms))


def reply(status: Any, stage: Any, part: int, revision: int, attempt: int) -> Ack:
    return Ack(
        id="", revision=revision, status=status, stage=stage, part=part, parts=2, subtask=0, attempt=attempt, at=NOW_MS
    )
