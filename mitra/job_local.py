"""The process that runs the live job on a local mini cluster: `python -m mitra.job_local SPEC`.

SPEC is a JSON object (`LocalSpec`). The process ends with the job; SIGTERM cancels the job, whose last checkpoint stays. It needs
the environment of `mitra.local.environment`.
"""

import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import msgspec
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment

from mitra import flink_conf
from mitra.blueprint import Blueprint
from mitra.control.beginning import begin
from mitra.errors import MitraError
from mitra.job import build
from mitra.local.jars import jars
from mitra.pipeline import load_pipeline


class LocalSpec(msgspec.Struct):
    """What one local run is: paths are absolute texts. `settings` win over flink-conf.yaml; null unsets."""

    pipeline: str
    bootstrap: str | None = None
    model: str | None = None
    parallelism: int = 1
    checkpoints: str | None = None
    restore: str | None = None
    settings: dict[str, str | None] = {}


def configure(spec: LocalSpec) -> StreamExecutionEnvironment:
    """Return an environment with the settings of flink-conf.yaml and of the spec."""
    overrides = {
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "parallelism.default": str(spec.parallelism),
        "taskmanager.numberOfTaskSlots": str(spec.parallelism),
    }
    if spec.checkpoints is not None:
        overrides["execution.checkpointing.dir"] = Path(spec.checkpoints).as_uri()
    if spec.restore is not None:
        overrides["execution.state-recovery.path"] = spec.restore
    configuration = Configuration()
    for key, value in {**flink_conf.for_local_run(flink_conf.read(), overrides), **spec.settings}.items():
        if value is not None:
            configuration.set_string(key, value)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(spec.parallelism)
    env.add_jars(*(jar.as_uri() for jar in jars("flink")))
    return env


def main(argument: str) -> int:
    """Run the job until it ends or SIGTERM comes; return the exit status."""
    spec = msgspec.json.decode(argument.encode(), type=LocalSpec)
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    pipeline = load_pipeline(spec.pipeline, spec.bootstrap)
    blueprint = Blueprint.of(pipeline, None if spec.model is None else Path(spec.model))
    env = configure(spec)
    build(env, begin(blueprint, fresh=spec.restore is None))
    client = env.execute_async(pipeline.name)
    print(f"job {client.get_job_id()} submitted", flush=True)
    finished = client.get_job_execution_result()
    while not stopped.wait(0.2):
        if finished.done():
            finished.result()
            return 0
    client.cancel().result()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except MitraError as wrong:
        sys.exit(str(wrong))
