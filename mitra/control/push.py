"""Sends planned changes and waits until every lane and bucket of the job runs them, or says which don't."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from control_stream import Ack
from mitra.control.changes import Plan, Planned
from mitra.control.progress import Behind, Progress, behind_text, newest_progress
from mitra.control.replay import Entry, Replay
from mitra.control.topics import ControlTopics
from mitra.pipeline import Pipeline

_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Sent:
    """A change on the log. `answer` is the job's, None while it hasn't said anything; `entry` is what the log makes of it."""

    planned: Planned
    revision: int
    entry: Entry | None
    answer: Ack | None = None

    @property
    def state(self) -> str:
        """What became of it: the job's word, else `sent`."""
        return "sent" if self.answer is None else self.answer.status


@dataclass(frozen=True)
class Pushed:
    """What became of a plan. `revision` is what every part must run; `behind` are those that don't, by stage."""

    sent: tuple[Sent, ...]
    revision: int
    waited: bool
    ms: float
    sizes: Mapping[str, int]
    behind: Behind = field(default_factory=dict)
    unready: Behind = field(default_factory=dict)
    """Those of them that haven't prepared it: as long as there is one, no other runs it."""
    exact_from: Mapping[str, int] = field(default_factory=dict)

    @property
    def refused(self) -> tuple[Sent, ...]:
        """What the job refused, though it looked well from here."""
        return tuple(one for one in self.sent if one.state == "refused")

    @property
    def unanswered(self) -> tuple[Sent, ...]:
        """What the job said nothing of."""
        return tuple(one for one in self.sent if one.answer is None)

    @property
    def loading(self) -> tuple[Sent, ...]:
        """What waits until the job's workers have loaded its models."""
        return tuple(one for one in self.sent if one.state == "loading")

    @property
    def done(self) -> bool:
        """Tell whether all is as was asked for."""
        return not self.refused and not (self.waited and (self.unanswered or self.loading or self.behind))


def push(
    pipeline: Pipeline,
    topics: ControlTopics,
    replay: Replay,
    plan: Plan,
    timeout_s: float | None,
    clock: Callable[[], float] = time.monotonic,
) -> Pushed:
    """Send a plan's changes, and wait until they are active everywhere for so long at most; None waits for nothing.

    A plan that changes nothing waits for what is live, so that calling again after a failure tells how things are.
    """
    progress = Progress.of(pipeline) if timeout_s is None else newest_progress(pipeline, topics)
    progress.exact_from.clear()  # of earlier changes
    began = clock()
    offsets = topics.append([one.data for one in plan.send]) if plan.send else []
    if timeout_s is not None:
        _wait(topics, progress, plan.send, replay.head, clock() + timeout_s, clock)
    ms = (clock() - began) * 1000
    entries = {entry.revision: entry for entry in replay.take_all(topics.log(replay.read))} if offsets else {}
    sent = tuple(
        Sent(planned, offset + 1, entries.get(offset + 1), progress.answers.get(planned.id))
        for planned, offset in zip(plan.send, offsets, strict=True)
    )
    revision = _target(progress, plan.send, replay.head if not plan.send else 0)
    late = {} if timeout_s is None else progress.behind(revision)
    unready = progress.unready(revision) if late else {}
    return Pushed(sent, revision, timeout_s is not None, ms, progress.sizes, late, unready, progress.exact_from)


def _wait(
    topics: ControlTopics,
    progress: Progress,
    planned: tuple[Planned, ...],
    head: int,
    deadline: float,
    clock: Callable[[], float],
) -> None:
    """Take acks until all changes are answered and active, or the time is over."""
    while True:
        answered = all(_settled(progress.answers.get(one.id)) for one in planned)
        if answered and not progress.behind(_target(progress, planned, 0 if planned else head)):
            return
        left = deadline - clock()
        if left <= 0:
            return
        progress.take_all(topics.next_acks(min(left, _POLL_S)))


def _settled(answer: Ack | None) -> bool:
    return answer is not None and answer.status != "loading"


def _target(progress: Progress, planned: tuple[Planned, ...], least: int) -> int:
    """Return the revision of the last change that the job has accepted, of those planned."""
    answers = [progress.answers[one.id] for one in planned if one.id in progress.answers]
    return max([least, *(answer.revision for answer in answers if answer.status == "prepared")])


def why_not(pushed: Pushed, timeout_text: str) -> str:
    """Return in words what keeps changes from being active everywhere."""
    if pushed.unanswered:
        count = len(pushed.unanswered)
        return (
            f"{count} of {len(pushed.sent)} change{'s' * (len(pushed.sent) != 1)} got no answer within {timeout_text}: "
            "is the job running? They stand in the control topic, and are made when it comes back"
        )
    if pushed.loading:
        models = ", ".join(one.planned.wanted.about for one in pushed.loading)
        return f"{models}: the job's workers have not loaded it within {timeout_text}; it is made or refused when they are done"
    return (
        f"revision {pushed.revision} is not active everywhere after {timeout_text}:\n"
        f"{behind_text(pushed.behind, pushed.unready, pushed.sizes)}\n"
        "`mitra control status PIPELINE` shows who runs what"
    )
