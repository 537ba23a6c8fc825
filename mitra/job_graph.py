"""The graph's branch of the job: intake's questions, told apart inside the JVM, and the lookup beside history.

PyFlink has async operators only in process mode: this one, and it alone, runs in a worker process. The mode is read when an
operator is built, so it is switched around that.
"""

from typing import Any

from pyflink.common import Time
from pyflink.datastream import AsyncDataStream, DataStream, StreamExecutionEnvironment
from pyflink.table import Schema, StreamTableEnvironment
from pyflink.util.java_utils import get_j_env_configuration

from mitra.job_keys import LOOKUP_KEY
from mitra.job_types import message_type
from mitra.pipeline import Pipeline
from mitra.uids import Uids
from operators.graph_lookup import GraphLookup

BUNDLE_SIZE = 64
"""Batches in flight at once: results leave the worker when all of a bundle are there, so one that waits holds up its fellows."""

_BUNDLE = {
    # One millisecond is the least; a bundle waits for up to two.
    "python.fn-execution.bundle.time": "1",
    "python.fn-execution.bundle.size": str(BUNDLE_SIZE),
    # The worker's memory is its own: RocksDB keeps all of the managed memory.
    "python.fn-execution.memory.managed": "false",
}


def split(tables: StreamTableEnvironment, uids: Uids, routed: DataStream) -> tuple[DataStream, DataStream]:
    """Return intake's messages to histories, and those to the lookup."""
    schema = Schema.new_builder().column("bucket", "INT").column("message", "BYTES").build()
    tables.create_temporary_view("routed", tables.from_data_stream(routed, schema))
    found = []
    for stage, test in (("history-in", "<>"), ("graph-in", "=")):
        picked = tables.sql_query(f"SELECT bucket, message FROM routed WHERE bucket {test} {LOOKUP_KEY}")
        stream = tables.to_append_stream(picked, message_type())
        step = stream._j_data_stream.getTransformation()
        uids.name_stage(stage, step, {"calc": "calc", "calc#2": "calc-out"})
        step.setBufferTimeout(0)
        found.append(stream)
    return found[0], found[1]


def look_up(env: StreamExecutionEnvironment, asked: DataStream, pipeline: Pipeline, uids: Uids) -> DataStream:
    """Return the graph's answers, under the keys of their decide buckets."""
    assert pipeline.graph is not None
    configuration: Any = get_j_env_configuration(env._j_stream_execution_environment)
    for key, value in _BUNDLE.items():
        configuration.setString(key, value)
    configuration.setString("python.execution-mode", "process")
    try:
        # No timeout of Flink's: it would start a thread for each batch, and the client has its own.
        answers = AsyncDataStream.unordered_wait(
            asked, GraphLookup(pipeline), Time.milliseconds(0), BUNDLE_SIZE, message_type()
        )
    finally:
        configuration.setString("python.execution-mode", "thread")
    # In intake's task it would hold up the histories: while its worker starts, and as long as each call takes.
    answers.start_new_chain()
    uids.name_stage("graph", answers._j_data_stream.getTransformation())
    answers.name("graph")
    answers._j_data_stream.getTransformation().setBufferTimeout(0)
    return answers
