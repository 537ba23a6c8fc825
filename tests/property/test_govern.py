"""Govern in a job that is checkpointed and crashes anywhere, against the log replayed naively.

The job here is as Flink keeps it: stages and what is on its way between them go back to the checkpoint together; the topics
don't, so answers given before a crash are still read after it.
"""

import json
from collections import deque
from copy import deepcopy
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from control_stream.acks import Ack, Stage, Status
from control_stream.govern import Activate, Govern, Output, Prepare
from control_stream.live_set import Delta, LiveSet
from control_stream.marks import Mark
from mitra.history import MemoryStore
from tests.factories.control import CONTEXT, NOW_MS
from tests.oracles.control import Log, World

LANES, BUCKETS = 2, 1
CONDITIONS = {
    "amount > 1": (),
    "big": (),
    "double > amount": ("double",),
    "more > 1 and double > 1": ("more", "double"),
}
COMPUTED = {"amount * 2": (), "double + 1": ("double",)}
RULES = ("amount > 1", *CONDITIONS, "amount >", "__import__('os')")
FEATURES = {"double": ("amount * 2", "amuont"), "more": ("amount * 2", "double + 1")}


def one_of(**keys: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {key: value if isinstance(value, st.SearchStrategy) else st.sampled_from(value) for key, value in keys.items()}
    )


ids, lists, keys = ("a", "a", "b"), ("m", "m", "n"), ("k1", "k2")
entries = st.lists(
    st.fixed_dictionaries({"key": st.sampled_from(keys)}, optional={"until": st.integers(1, 9)}), min_size=1, max_size=3
)
rules = one_of(id=ids, when=RULES, outcome=("review", "block"))
bodies = st.one_of(
    one_of(change=["rule.put"], rule=rules),
    one_of(change=["rule.mode"], rule=ids, mode=("live", "shadow", "paused")),
    one_of(change=["rule.retire"], rule=ids),
    one_of(change=["list.put"], name=lists, kind=("block", "watch"), by=("customer", "customer", "depot", "terminal")),
    one_of(change=["list.add"], name=lists, entries=entries),
    one_of(change=["list.remove"], name=lists, keys=st.lists(st.sampled_from(keys), min_size=1, max_size=2)),
    one_of(change=["snooze"], rule=ids, by=("customer", "depot"), key=keys, until=st.integers(1, 9)),
    st.sampled_from(sorted(FEATURES)).flatmap(
        lambda name: one_of(change=["feature.put"], name=[name], text=FEATURES[name])
    ),
    one_of(change=["feature.retire"], name=sorted(FEATURES)),
    one_of(change=["rollback"], to=st.integers(0, 12)),
    one_of(change=["rule.putt"]),
)
numbers = st.integers(0, 999)  # seldom the same twice: those are drawn apart
timed = st.sampled_from([{}, {}, {}, {"effective_at": NOW_MS - 1}])


def written(body: dict[str, Any], time: dict[str, Any], number: int) -> bytes:
    return json.dumps({**body, **time, "id": f"c{number}", "author": "ann"}).encode()


records = st.builds(written, bodies, timed, numbers)
again = st.builds(written, bodies, timed, st.integers(0, 2))
garbage = st.sampled_from([b"", b"[]", b"\xff", b"{", b'{"change": 3}'])
SETUP = [
    written({"change": "list.put", "name": "m", "kind": "block", "by": "customer"}, {}, 1_000),
    written({"change": "feature.put", "name": "double", "text": "amount * 2"}, {}, 1_001),
    written({"change": "rule.put", "rule": {"id": "a", "when": "double > amount", "outcome": "block"}}, {}, 1_002),
    written({"change": "list.add", "name": "m", "entries": [{"key": "k1"}, {"key": "k2", "until": 5}]}, {}, 1_003),
]
MOVES = ["control", "ack", "ack", "bucket", "lane", "tick", "checkpoint", "crash", "run", "run", "run"]
steps = st.lists(
    st.one_of(records, records, records, again | garbage, st.sampled_from(MOVES)), min_size=15, max_size=80
)


class Bucket:
    """A bucket of history or decide: the revisions that it has, and the marks."""

    def __init__(self) -> None:
        self.revisions: dict[int, LiveSet] = {0: LiveSet()}
        self.marks: dict[tuple[Any, ...], Mark] = {}
        self.inbox: deque[Prepare] = deque()


class Stages(NamedTuple):
    """What a checkpoint holds."""

    store: dict[str, bytes]
    positions: dict[str, int]
    buckets: dict[tuple[Stage, int], Bucket]
    lanes: list[int]
    inboxes: list[deque[Activate]]


class Job:
    """A job of govern, lanes and buckets, step by step."""

    def __init__(self) -> None:
        self.control: list[bytes] = []
        self.acks: list[Ack] = []
        self.now_ms = NOW_MS
        self.attempt = 0
        stages: tuple[Stage, ...] = ("history", "decide")
        buckets = {(stage, part): Bucket() for stage in stages for part in range(BUCKETS)}
        self.stages = Stages({}, {"control": 0, "acks": 0}, buckets, [0] * LANES, [deque() for _ in range(LANES)])
        self.checkpoint()
        self.crash()

    def checkpoint(self) -> None:
        self.saved = deepcopy(self.stages)

    def crash(self) -> None:
        self.stages = deepcopy(self.saved)
        self.attempt += 1
        store = MemoryStore(self.stages.store)
        self.govern = Govern(store, CONTEXT, lanes=LANES, buckets=BUCKETS, attempt=self.attempt)

    def send(self, output: Output) -> None:
        self.acks += output.acks
        self.control += output.publish
        for bucket in self.stages.buckets.values():
            bucket.inbox.extend(output.prepare)
        for inbox in self.stages.inboxes:
            inbox.extend(output.activate)

    def say(self, status: Status, stage: Stage, part: int, revision: int, attempt: int) -> None:
        self.acks.append(
            Ack(
                id="", revision=revision, status=status, stage=stage, part=part, parts=1, subtask=0,
                attempt=attempt, at=self.now_ms,
            )
        )  # fmt: skip

    def step(self, kind: str) -> bool:
        """Do one step; tell whether there was anything to do."""
        positions = self.stages.positions
        if kind == "control" and positions["control"] < len(self.control):
            offset = positions["control"]
            positions["control"] += 1
            self.send(self.govern.control(offset, self.control[offset], self.now_ms))
        elif kind == "ack" and positions["acks"] < len(self.acks):
            ack = self.acks[positions["acks"]]
            positions["acks"] += 1
            self.send(self.govern.ack(ack, self.now_ms))
        elif kind == "bucket":
            for (stage, part), bucket in self.stages.buckets.items():
                if bucket.inbox:
                    self.prepare(stage, part, bucket, bucket.inbox.popleft())
                    return True
            return False
        elif kind == "run":
            return any([self.step(one) for one in ("control", "bucket", "lane", "ack", "ack")])  # noqa: C419 - all of them
        elif kind == "lane":
            for lane, inbox in enumerate(self.stages.inboxes):
                if inbox:
                    self.activate(lane, inbox.popleft())
                    return True
            return False
        else:
            return False
        return True

    def prepare(self, stage: Stage, part: int, bucket: Bucket, message: Prepare) -> None:
        live = bucket.revisions[message.base]
        for delta in message.changes:
            live = live.patched(Delta.decode(delta))
        assert bucket.revisions.setdefault(message.revision, live) == live
        for mark in message.marks:
            bucket.marks[*mark.place, mark.from_revision] = mark
        self.say("ready", stage, part, message.revision, message.attempt)

    def activate(self, lane: int, message: Activate) -> None:
        lanes = self.stages.lanes
        assert message.revision >= lanes[lane], "a lane goes back"
        for bucket in self.stages.buckets.values():
            assert message.revision in bucket.revisions, "a lane stamps what a bucket lacks"
        lanes[lane] = message.revision
        self.say("active", "intake", lane, message.revision, message.attempt)
        for stage, part in self.stages.buckets if min(lanes) >= message.revision else ():
            self.say("active", stage, part, message.revision, message.attempt)

    def finish(self) -> None:
        """Let it run until nothing is left to do."""
        for _ in range(50):
            self.now_ms += 5_000
            self.send(self.govern.tick(self.now_ms))
            while any(self.step(kind) for kind in ("control", "ack", "bucket", "lane")):
                pass
            if self.govern.settled and self.govern.read == len(self.control):
                return
        raise AssertionError("it never settles")


def shown(live: LiveSet) -> tuple[Any, ...]:
    rules = {name: (one.version, one.when, one.outcome, one.mode) for name, one in live.rules.items()}
    return rules, live.features, {name: (one.kind, one.by) for name, one in live.lists.items()}


def wanted(world: World) -> tuple[Any, ...]:
    rules = {name: (one["version"], one["when"], one["outcome"], one["mode"]) for name, one in world.rules.items()}
    return rules, world.features, {name: (one["kind"], one["by"]) for name, one in world.lists.items()}


@settings(max_examples=300, deadline=None)
@given(steps)
def test_the_live_set_is_the_log_replayed_wherever_it_crashes(todo: list[bytes | str]) -> None:
    job = Job()
    job.control += SETUP
    for step in todo:
        if isinstance(step, bytes):
            job.control.append(step)
        elif step in {"checkpoint", "crash"}:
            getattr(job, step)()
        elif step == "tick":
            job.now_ms += 3_000
            job.send(job.govern.tick(job.now_ms))
        else:
            job.step(step)
    job.finish()
    log = Log(World(), CONDITIONS, COMPUTED, ("customer", "terminal"))
    for record in job.control:
        log.read(record)
    assert shown(job.govern.live) == wanted(log.lives[-1])
    assert job.govern.head == log.last(len(job.control))
    assert job.govern.activated == job.govern.head
    for bucket in job.stages.buckets.values():
        for revision, live in bucket.revisions.items():
            assert shown(live) == wanted(log.lives[revision])
            held = {mark.place: mark.until_ms for mark in bucket.marks.values() if mark.holds(revision, 0)}
            assert held == log.lives[revision].entries
    assert shown(Govern(MemoryStore(job.stages.store), CONTEXT, lanes=1, buckets=1, attempt=0).live) == shown(
        job.govern.live
    )
