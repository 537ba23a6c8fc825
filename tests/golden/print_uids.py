"""Prints the uids of the jobs of pipelines, as JSON: `python print_uids.py PIPELINE…`. Nothing runs, and no Kafka is asked.

For each pipeline: `operators`, what Flink will run, as [uid, name], the uid null where there is none; `given`, the uids
that the stages gave.
"""

import json
import sys

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment

from mitra.blueprint import Blueprint
from mitra.job import build
from mitra.local.jars import jars
from mitra.pipeline import load_pipeline


def uids_of(path: str) -> dict[str, list[object]]:
    configuration = Configuration()
    configuration.set_string("python.execution-mode", "thread")
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(2)
    env.add_jars(*(jar.as_uri() for jar in jars("flink")))
    given = build(env, Blueprint(load_pipeline(path))).given
    nodes = env._j_stream_execution_environment.getStreamGraph(False).getStreamNodes().toArray()
    return {"given": given, "operators": [[node.getTransformationUID(), node.getOperatorName()] for node in nodes]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps([uids_of(path) for path in sys.argv[1:]]))
