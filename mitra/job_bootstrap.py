"""The process that fills a new job's histories from prepared records: `python -m mitra.job_bootstrap SPEC`.

batch numbers → intake (one instance, reads the files) → history → decide: the live job's own operators under the live job's uids,
so that what a savepoint of this holds is what the live job restores. Nothing else here has state. The numbers come over a
socket that stays open behind the last one, for a job whose input has ended writes no savepoint.
"""

import signal
import sys
import threading
from pathlib import Path

import msgspec
from pyflink.common import Types
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway

from mitra.blueprint import Blueprint
from mitra.errors import MitraError
from mitra.history import JOURNAL_EVENTS
from mitra.job import keyed
from mitra.job_keys import MAX_PARALLELISM
from mitra.job_local import LocalSpec, configure
from mitra.job_replay import discard
from mitra.job_types import message_type
from mitra.pipeline import load_pipeline
from mitra.replay.intake import patient
from operators.history import HistoryOperator
from operators.replay import BootstrapDecideOperator, ReplayIntakeOperator, ReplayWriteOperator


class BootstrapSpec(msgspec.Struct):
    """What one bootstrap is, and how the job runs.

    `prepared` is the folder with the prepared input, `frames` the file for the ends, `port` where the numbers come from,
    `savepoints` the folder for the savepoint.
    """

    local: LocalSpec
    prepared: str
    frames: str
    port: int
    savepoints: str


def build(env: StreamExecutionEnvironment, blueprint: Blueprint, spec: BootstrapSpec) -> None:
    """Build the job into `env`."""
    env.set_max_parallelism(MAX_PARALLELISM)
    buckets = blueprint.pipeline.job.buckets
    bytes_type = Types.PRIMITIVE_ARRAY(Types.BYTE())
    numbers = DataStream(env._j_stream_execution_environment.socketTextStream("127.0.0.1", spec.port))
    routed = numbers.flat_map(ReplayIntakeOperator(blueprint, spec.prepared), message_type()).set_parallelism(1)
    answered = keyed(routed, bytes_type).process(HistoryOperator(blueprint, JOURNAL_EVENTS), message_type())
    answered.uid(f"history-of-{buckets}")
    decided = keyed(answered, bytes_type).process(BootstrapDecideOperator(blueprint), bytes_type)
    decided.uid(f"decide-of-{buckets}")
    discard(decided.flat_map(ReplayWriteOperator(spec.frames), Types.INT()).set_parallelism(1))


def main(argument: str) -> int:
    """Run until SIGTERM comes, then write a savepoint and end; return the exit status."""
    spec = msgspec.json.decode(argument.encode(), type=BootstrapSpec)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    pipeline = patient(load_pipeline(spec.local.pipeline))
    env = configure(spec.local)
    build(env, Blueprint.of(pipeline, None if spec.local.model is None else Path(spec.local.model)), spec)
    client = env.execute_async(f"bootstrap of {pipeline.name}")
    finished = client.get_job_execution_result()
    while not stopped.wait(0.2):
        if finished.done():
            finished.result()
            return 1
    # Not stopped with it: the socket's source fails when it is stopped. PyFlink's own call lacks the format that Flink asks for.
    kind = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType.CANONICAL
    path = client._j_job_client.triggerSavepoint(Path(spec.savepoints).as_uri(), kind).get()
    client.cancel().result()
    print(f"savepoint {path}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except MitraError as wrong:
        sys.exit(str(wrong))
