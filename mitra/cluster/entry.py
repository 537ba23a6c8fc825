"""The program that `flink run` starts on the submitting machine: builds the job and hands it to the cluster.

`entry.py SPEC`, where SPEC is a JSON object (`SubmitSpec`). The model's files travel inside the job as bytes.
"""

import sys
from pathlib import Path

import msgspec
from pyflink.datastream import StreamExecutionEnvironment

from mitra.blueprint import Blueprint
from mitra.cluster.spec import SubmitSpec
from mitra.control.beginning import begin
from mitra.job import build
from mitra.local.jars import jars
from mitra.pipeline import load_pipeline


def main(argument: str) -> None:
    """Submit the job. The settings have come through the command line of `flink run`."""
    spec = msgspec.json.decode(argument.encode(), type=SubmitSpec)
    pipeline = load_pipeline(spec.pipeline, spec.bootstrap)
    blueprint = Blueprint.of(pipeline, None if spec.model is None else Path(spec.model))
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(spec.parallelism)
    # Never pipeline.jars: set in code, it would replace the jar with Flink's own Python operators.
    env.add_jars(*(jar.as_uri() for jar in jars("flink")))
    build(env, begin(blueprint, fresh=spec.fresh))
    env.execute_async(pipeline.name)


if __name__ == "__main__":
    main(sys.argv[1])
