"""The operators of a replay, around the same history and decide stages: they read prepared files and write frames.

The source sends the numbers of batches; `ReplayIntakeOperator` reads each batch itself, so nothing waits in a window that a
bounded input would drop. After the last batch it sends an end to every bucket; the replay counts as done only when all
buckets have handed theirs on, which proves that nothing is missing.
"""

from collections.abc import Iterator
from pathlib import Path

from pyflink.common import Row
from pyflink.datastream import FlatMapFunction, KeyedProcessFunction, RuntimeContext

from mitra.blueprint import Blueprint
from mitra.decide import Decided, State
from mitra.job_keys import spread_keys
from mitra.replay.frames import frame_of, write_frame
from mitra.replay.intake import ReplayIntake
from mitra.stages.decide import DecideStage
from operators.interpreter import settle
from operators.state import FlinkStore, MirroredStore


class ReplayIntakeOperator(FlatMapFunction):
    """Routes the batches of a prepared input."""

    def __init__(self, blueprint: Blueprint, folder: str) -> None:
        """Take what the stage is compiled from, in `open`."""
        self._blueprint = blueprint
        self._folder = folder

    def open(self, runtime_context: RuntimeContext) -> None:
        """Map the prepared input into memory."""
        self._intake = ReplayIntake(self._blueprint, Path(self._folder))
        self._keys = spread_keys(self._blueprint.pipeline.job.buckets)

    def flat_map(self, value: int | str) -> Iterator[Row]:
        """Route batch `value`, or the end behind the last one."""
        for bucket, blob in self._intake.process(int(value)):
            yield Row(self._keys[bucket], blob)


class ReplayDecideOperator(KeyedProcessFunction):
    """Decides, and hands decisions on as frames."""

    def __init__(self, blueprint: Blueprint) -> None:
        """Take what the stage is compiled from, in `open`."""
        self._blueprint = blueprint

    def open(self, runtime_context: RuntimeContext) -> None:
        """Compile the stage and load the model."""
        self._stage = DecideStage(self._blueprint)
        self._bucket_of = {key: bucket for bucket, key in enumerate(spread_keys(self._blueprint.pipeline.job.buckets))}
        self._pending = MirroredStore(runtime_context, "pending_parts")
        self._state = State(
            pending=self._pending,
            decisions=FlinkStore(runtime_context, "decisions", self._keep_ms()),
            waiting=FlinkStore(runtime_context, "waiting_labels"),
            revisions=FlinkStore(runtime_context, "revisions"),
        )
        settle()

    def _keep_ms(self) -> int | None:
        """A replay remembers all its decisions."""
        return None

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        """Take one message of a bucket."""
        bucket = self._bucket_of[ctx.get_current_key()]
        self._pending.use(bucket)
        out = self._stage.process(bucket, self._state, (bytes(value),))
        for decided in out.decided:
            yield frame_of(decided, [], 0)
        if out.letters or out.ends or out.observed:
            yield frame_of(Decided(), out.letters, len(out.ends), out.observed)


class BootstrapDecideOperator(ReplayDecideOperator):
    """Decides, so that the live job remembers it; hands on nothing but that it has come to the end."""

    def _keep_ms(self) -> int:
        """As long as the live job does: state that is forgotten in another way isn't restored."""
        return self._blueprint.pipeline.remembered_ms

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        """Take one message of a bucket."""
        bucket = self._bucket_of[ctx.get_current_key()]
        self._pending.use(bucket)
        out = self._stage.process(bucket, self._state, (bytes(value),))
        if out.ends:
            yield frame_of(Decided(), [], len(out.ends))


class ReplayWriteOperator(FlatMapFunction):
    """Appends frames to a file; one instance."""

    def __init__(self, path: str) -> None:
        """Write to the file at `path`."""
        self._path = path

    def open(self, runtime_context: RuntimeContext) -> None:
        """Start the file anew."""
        self._file = Path(self._path).open("wb", buffering=0)  # noqa: SIM115 - close() closes it

    def flat_map(self, value: bytes) -> Iterator[int]:
        """Append one frame."""
        write_frame(self._file, bytes(value))
        yield from ()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
