"""Who runs which revision, told by acks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from control_stream import Ack, read_ack
from mitra.control.replay import Entry
from mitra.control.topics import ControlTopics
from mitra.pipeline import Pipeline

STAGES = ("intake", "history", "decide")
"""The stages whose parts run revisions, in the order of the job."""

PARTS = {"intake": "lane", "history": "bucket", "decide": "bucket"}

Behind = Mapping[str, Mapping[int, int | None]]
"""By stage, the parts that lack a revision, with the one that they have; None was never told."""

_FEWEST = 20_000
_MOST = 20_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """The last that a lane or bucket said."""

    revision: int
    subtask: int
    at_ms: int


@dataclass
class Progress:
    """What acks have told so far. `sizes` is how many parts each stage has: what the pipeline says, until acks do."""

    sizes: dict[str, int]
    parts: dict[str, dict[int, Part]] = field(default_factory=lambda: {stage: {} for stage in STAGES})
    ready: dict[str, dict[int, int]] = field(default_factory=lambda: {stage: {} for stage in STAGES[1:]})
    """The last revision that each bucket has prepared."""
    answers: dict[str, Ack] = field(default_factory=dict)
    """What govern answered, by the change's id."""
    exact_from: dict[str, int] = field(default_factory=dict)
    """By aggregate, the event time from which it is exact in all buckets."""

    @classmethod
    def of(cls, pipeline: Pipeline) -> "Progress":
        """Return what is known without an ack."""
        buckets = pipeline.job.buckets
        return cls({"intake": pipeline.job.lanes, "history": buckets, "decide": buckets})

    def take_all(self, records: Iterable[bytes | None]) -> None:
        """Take acks as they stand on the topic; what is no ack says nothing."""
        for data in records:
            ack = read_ack(data)
            if ack is not None:
                self.take(ack)

    def take(self, ack: Ack) -> None:
        """Take one ack."""
        if ack.stage == "govern":
            if ack.id:
                self.answers[ack.id] = ack
            return
        for aggregate, exact_ms in ack.exact_from.items():
            self.exact_from[aggregate] = max(exact_ms, self.exact_from.get(aggregate, exact_ms))
        self.sizes[ack.stage] = ack.parts
        if ack.status == "ready" and ack.stage in self.ready:
            self.ready[ack.stage][ack.part] = ack.revision
        if ack.status not in {"active", "running"}:
            return
        before = self.parts[ack.stage].get(ack.part)
        if before is None or ack.at >= before.at_ms:
            self.parts[ack.stage][ack.part] = Part(ack.revision, ack.subtask, ack.at)

    @property
    def whole(self) -> bool:
        """Tell whether every part has spoken."""
        return all(part in self.parts[stage] for stage in STAGES for part in range(self.sizes[stage]))

    def contradicts(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return the changes that the log makes something else of than the job did: it ran with another pipeline file."""
        found = []
        for entry in entries:
            answer = self.answers.get(entry.id)
            if answer is not None and entry.became in {"accepted", "refused"} and answer.revision == entry.revision:
                found += [entry] * ((answer.status == "refused") != (entry.became == "refused"))
        return found

    def unready(self, revision: int) -> Behind:
        """Return the buckets that neither have prepared a revision nor run it."""
        late: dict[str, dict[int, int | None]] = {}
        for stage, parts in self.behind(revision).items():
            for number, runs in parts.items():
                if stage in self.ready and self.ready[stage].get(number, 0) < revision:
                    late.setdefault(stage, {})[number] = runs
        return late

    def behind(self, revision: int) -> Behind:
        """Return the parts that don't run a revision."""
        late: dict[str, dict[int, int | None]] = {}
        for stage in STAGES:
            for number in range(self.sizes[stage]):
                part = self.parts[stage].get(number)
                if part is None or part.revision < revision:
                    late.setdefault(stage, {})[number] = None if part is None else part.revision
        return late


def newest_progress(pipeline: Pipeline, topics: ControlTopics) -> Progress:
    """Return who runs what, from as few of the newest acks as tell of every part."""
    count, progress = _FEWEST, Progress.of(pipeline)
    while True:
        acks = topics.newest_acks(count)
        progress = Progress.of(pipeline)
        progress.take_all(acks)
        if progress.whole or len(acks) < count or count >= _MOST:
            return progress
        count *= 8


def behind_text(late: Behind, unready: Behind, sizes: Mapping[str, int]) -> str:
    """Return in words who doesn't run a revision; those that haven't prepared it are what the others wait for."""
    if unready:
        return _told(unready, sizes, "has not prepared it, and all others wait for that; ")
    return _told(late, sizes, "")


def _told(late: Behind, sizes: Mapping[str, int], why: str) -> str:
    told = []
    for stage, parts in late.items():
        by_revision: dict[int | None, list[int]] = {}
        for number, revision in parts.items():
            by_revision.setdefault(revision, []).append(number)
        for revision, numbers in sorted(by_revision.items(), key=lambda one: -1 if one[0] is None else one[0]):
            which = _parts(stage, numbers, sizes[stage])
            told.append(f"{stage}: {which}: {why}{'no word yet' if revision is None else f'runs revision {revision}'}")
    return "\n".join(told)


def _parts(stage: str, numbers: list[int], size: int) -> str:
    if len(numbers) == size > 1:
        return f"all {size} {PARTS[stage]}s"
    listed = f"{', '.join(map(str, numbers[:20]))}{', …' if len(numbers) > 20 else ''}"
    return f"{PARTS[stage]}{'s' * (len(numbers) != 1)} {listed}"
