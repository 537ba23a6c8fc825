"""A replay in this process, without Flink: the job's own stages one behind the other, over a prepared input.

Slower than the job on many rows, for nothing runs beside anything else, but there at once: no JVM starts.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mitra.blueprint import Blueprint
from mitra.decide import Decided, State
from mitra.errors import MitraError
from mitra.history import MemoryStore
from mitra.pipeline import Pipeline
from mitra.replay.intake import ReplayIntake, patient
from mitra.replay.prepared import PreparedInput
from mitra.stages.decide import DecideStage
from mitra.stages.history import HistoryStage

if TYPE_CHECKING:
    from control_stream import LiveSet


def inline_pipeline(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline cut into one bucket, without its model: what is asked for are features."""
    return replace(patient(pipeline), job=replace(pipeline.job, buckets=1, lanes=1), model=None, log=None)


def replay_inline(
    pipeline: Pipeline,
    folder: Path,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    live: "LiveSet | None" = None,
) -> Iterator[Decided]:
    """Yield what the payments of a prepared input come to, in the order of time; `progress` takes (rows done, of how many).

    `live` is what is live from the start.
    """
    blueprint = Blueprint(inline_pipeline(pipeline), live=live)
    intake = ReplayIntake(blueprint, folder)
    history, decide = HistoryStage(blueprint.untold(), blueprint.pipeline.job.cache_mb << 20), DecideStage(blueprint)
    store, state = MemoryStore(), State(MemoryStore(), MemoryStore(), MemoryStore(), MemoryStore())
    prepared = PreparedInput.open(folder)
    for number in range(prepared.batches):
        for bucket, message in intake.process(number):
            for _, part in history.process(bucket, store, (message,)):
                out = decide.process(bucket, state, (part,))
                if out.letters:
                    raise MitraError(
                        f"a prepared event became a dead letter; this is a defect of Mitra: {out.letters[0]!r}"
                    )
                yield from out.decided
        progress(min((number + 1) * (prepared.rows // max(prepared.batches, 1)), prepared.rows), prepared.rows)
