"""What a subtask of decide is asked to load, and what it answers when that is done: nothing here waits.

A trial (`Load`) ends with `loaded` or `failed`. A revision is `ready` when something came of each of its models: one that
can't be had now was good when it was put, and is tried again while its decisions are degraded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control_stream import Artefact, Load
from control_stream.acks import Status
from mitra.errors import MitraError
from mitra.lineup import RETRY_S
from mitra.model_registry import Failed, Registry
from mitra.schema import Limits
from rules.plan import ValueType

AGAIN_S = 2.0
"""A change that was turned down may come again, mended; the buckets of one subtask ask within this."""
_MOST_TRIED = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be acked: about a change's models (`id`), or about a revision."""

    status: Status
    revision: int
    attempt: int
    id: str = ""
    reason: str = ""


@dataclass(slots=True)
class _Asked:
    artefacts: Sequence[Artefact]
    answer: Answer
    types: Mapping[str, ValueType] | None = None


class ModelLoads:
    """The open requests of a subtask's buckets."""

    def __init__(self, registry: Registry, limits: Limits) -> None:
        """Load through `registry`; a model that takes longer than `limits.model_us` for a row is no good."""
        self._registry = registry
        self._limits = limits
        self._open: dict[int, list[_Asked]] = {}
        self._tried: dict[str, None] = {}
        self._live: set[str] = set()

    def try_out(self, bucket: int, load: Load, types: Mapping[str, ValueType]) -> None:
        """Begin a trial; `types` are those of the features that there are."""
        for one in load.artefacts:
            self._tried[one.sha256] = None
        while len(self._tried) > _MOST_TRIED:
            del self._tried[next(iter(self._tried))]
        self._keep()
        for one in load.artefacts:
            self._registry.want(one, AGAIN_S)
        self._ask(bucket, _Asked(load.artefacts, Answer("loaded", 0, load.attempt, load.id), types))

    def prepare(self, bucket: int, artefacts: Sequence[Artefact], revision: int, attempt: int) -> None:
        """Load a revision's models."""
        for one in artefacts:
            self._registry.want(one, RETRY_S)
        self._ask(bucket, _Asked(artefacts, Answer("ready", revision, attempt)))

    def restore(self, artefacts: Sequence[Artefact], longest_s: float) -> None:
        """Load what a restored bucket runs, and wait for it: it decides with its models from the first payment on, if it can."""
        for one in artefacts:
            self._registry.want(one, RETRY_S)
        self._registry.wait(artefacts, longest_s)

    def live(self, sha256s: set[str]) -> None:
        """Say which models live revisions have."""
        self._live = sha256s
        self._keep()

    def close(self) -> None:
        """Need no model any more."""
        self._registry.keep(id(self), ())

    def answers(self, bucket: int) -> list[Answer]:
        """Return what can be answered by now; it is then closed."""
        asked = self._open.pop(bucket, [])
        answers, still = [], []
        for one in asked:
            answer = self._answer(one)
            if answer is None:
                still.append(one)
            else:
                answers.append(answer)
        if still:
            self._open[bucket] = still
        return answers

    def is_open(self, bucket: int) -> bool:
        """Tell whether a bucket has yet to answer something."""
        return bucket in self._open

    def _ask(self, bucket: int, asked: _Asked) -> None:
        before = [one for one in self._open.get(bucket, []) if not _same(one.answer, asked.answer)]
        self._open[bucket] = [*before, asked]

    def _answer(self, asked: _Asked) -> Answer | None:
        wanted = asked.answer
        found = [self._registry.found(one) for one in asked.artefacts]
        if wanted.status == "loaded":
            for one, its in zip(asked.artefacts, found, strict=True):
                fault = its.reason if isinstance(its, Failed) else self._fault(one, asked)
                if fault:
                    return Answer("failed", 0, wanted.attempt, wanted.id, f"model {one.reference}: {fault}")
        return None if any(one is None for one in found) else wanted

    def _fault(self, artefact: Artefact, asked: _Asked) -> str:
        """Return why a model that is loaded is no good; empty if it is, or isn't loaded yet."""
        found = self._registry.found(artefact)
        if found is None or isinstance(found, Failed):
            return ""
        if found.row_us > self._limits.model_us:
            return f"it takes {found.row_us:g} µs a payment; allowed: at most {self._limits.model_us} (limits.model_us)"
        try:
            found.model.check_features(asked.types or {})
        except MitraError as error:
            return str(error)
        return ""

    def _keep(self) -> None:
        self._registry.keep(id(self), self._live | self._tried.keys())


def _same(one: Answer, other: Answer) -> bool:
    """Tell whether two requests are the same but for their attempt: the newer one is answered."""
    return (one.status, one.revision, one.id) == (other.status, other.revision, other.id)
