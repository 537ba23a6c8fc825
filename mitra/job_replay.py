"""The process that replays prepared files through the job's own stages: `python -m mitra.job_replay SPEC`.

batch numbers → intake (one instance, reads the files) → history → decide → writer (one instance). Nothing waits in a window
and nothing is restored: a replay that breaks is started again.
"""

import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from pyflink.common import Types
from pyflink.datastream import StreamExecutionEnvironment

from control_stream import LiveSet
from mitra.blueprint import Blueprint
from mitra.errors import MitraError
from mitra.job import keyed
from mitra.job_keys import MAX_PARALLELISM
from mitra.job_local import LocalSpec, configure
from mitra.job_types import message_type
from mitra.replay.intake import replay_pipeline
from mitra.replay.prepared import PreparedInput
from operators.history import HistoryOperator
from operators.replay import ReplayDecideOperator, ReplayIntakeOperator, ReplayWriteOperator


class ReplaySpec(msgspec.Struct):
    """What one replay is: the folder with the prepared input, the file for the frames, and how the job runs.

    `live` is a file with the bytes of what is live from the start.
    """

    local: LocalSpec
    prepared: str
    frames: str
    live: str | None = None


def build(env: StreamExecutionEnvironment, blueprint: Blueprint, spec: ReplaySpec) -> None:
    """Build the replay into `env`."""
    env.set_max_parallelism(MAX_PARALLELISM)
    batches = PreparedInput.open(Path(spec.prepared)).batches
    bytes_type = Types.PRIMITIVE_ARRAY(Types.BYTE())
    numbers = env.from_collection(list(range(batches + 1)), Types.INT()).set_parallelism(1)
    routed = numbers.flat_map(ReplayIntakeOperator(blueprint, spec.prepared), message_type()).set_parallelism(1)
    histories = HistoryOperator(blueprint.untold(), 0)
    answered = keyed(routed, bytes_type).process(histories, message_type())
    decided = keyed(answered, bytes_type).process(ReplayDecideOperator(blueprint), bytes_type)
    discard(decided.flat_map(ReplayWriteOperator(spec.frames), Types.INT()).set_parallelism(1))


def discard(stream: Any) -> None:
    """End a stream that nobody reads."""
    from pyflink.java_gateway import get_gateway  # noqa: PLC0415

    sink = get_gateway().jvm.org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink()
    stream._j_data_stream.sinkTo(sink)


def main(argument: str) -> int:
    """Run the replay to its end; return the exit status."""
    spec = msgspec.json.decode(argument.encode(), type=ReplaySpec)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    pipeline = replay_pipeline(spec.local.pipeline, spec.local.parallelism)
    blueprint = Blueprint.of(pipeline, None if spec.local.model is None else Path(spec.local.model))
    if spec.live is not None:
        blueprint = replace(blueprint, live=LiveSet.decode(Path(spec.live).read_bytes()))
    env = configure(spec.local)
    build(env, blueprint, spec)
    env.execute(f"replay of {pipeline.name}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except MitraError as wrong:
        sys.exit(str(wrong))
