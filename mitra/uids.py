"""Names for every operator of the job, given by the stage that built it.

A savepoint finds the state of an operator by its uid. Flink derives a uid from the shape of the whole plan where none is set,
so any edit would orphan Kafka offsets and batches in flight. `name_stage` walks from a transformation to its inputs and names
whatever has no uid yet `<stage>-<what it is>`; two operators that would get one name are an error, not a number.
"""

import re
from typing import Any

from mitra.errors import MitraError

_KINDS = (
    # What Flink calls an operator -> the word in its uid. Numbers in Flink's names change with the plan and are dropped.
    ("async wait operator", ""),
    ("KEYED PROCESS", ""),  # the stage itself
    ("KafkaSource", "records"),
    ("sink_topics", "records"),
    ("tell_topics", "records"),
    ("monitor_topics", "records"),
    ("cep_events", "records"),
    ("cep_sink", "matches"),
    ("WindowAggregate", "batch"),
    ("SinkConversion", "to-stream"),
    ("DataStreamToTable", "to-table"),
    ("Correlate", "unnest"),
    ("ConstraintEnforcer", "constraints"),
    ("Calc", "calc"),
    ("StreamingFileWriter", "files"),
    ("Match", "match"),
    ("StreamRecordTimestampInserter", "times"),
)


class UidError(MitraError):
    """Two operators of the job would have one uid, or one has none."""


def _word(name: str) -> str:
    for start, word in _KINDS:
        if name.startswith(start):
            return word
    return re.sub(r"[^A-Za-z]+", "-", name).strip("-").lower()


class Uids:
    """The uids given so far in one job."""

    def __init__(self) -> None:
        """Start with none."""
        self.given: list[str] = []
        self._seen: set[int] = set()

    def name_stage(
        self, stage: str, transformation: Any, names: dict[str, str] | None = None, *, numbered: bool = False
    ) -> None:
        """Name what a stage added behind the stages named before: `transformation` and all unnamed inputs.

        `names` tells apart operators of one kind within a stage: for each kind, in the order of the flow, `kind` then
        `kind#2`, `kind#3` … map to a word of their own. Where the stage's name says how many there are, they may be `numbered`.
        """
        counts: dict[str, int] = {}
        for step in self._unnamed(transformation):
            kind = step.getClass().getSimpleName()
            if kind in {"PartitionTransformation", "UnionTransformation"}:
                continue
            word = _word(step.getName())
            counts[word] = counts.get(word, 0) + 1
            place = word if counts[word] == 1 else f"{word}#{counts[word]}"
            word = (names or {}).get(place, place.replace("#", "-") if numbered else place)
            uid = step.getUid() or (f"{stage}-{word}" if word else stage)
            if "#" in uid:
                msg = f"stage {stage!r} has {counts[_word(step.getName())]} operators called {word!r}; name them apart in job.py"
                raise UidError(msg)
            if uid in self.given:
                msg = f"uid {uid!r} is given twice; name the operators of stage {stage!r} apart in job.py"
                raise UidError(msg)
            if step.getUid() is None:
                step.setUid(uid)
            self.given.append(uid)

    def _unnamed(self, transformation: Any) -> list[Any]:
        """Return the transformations not met before, inputs first."""
        number = transformation.getId()
        if number in self._seen:
            return []
        self._seen.add(number)
        steps: list[Any] = []
        for source in transformation.getInputs():
            steps += self._unnamed(source)
        return [*steps, transformation]
