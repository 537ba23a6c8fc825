"""Flink CEP in the job: the pipeline's patterns over a table of its topics with a watermark of its own, off the way of decisions.

Matches go to the alerts topic, and to one that the job reads back: as events of the type `sequence_match` they enter the histories of
their entities. Everything is SQL; no Python is called.

What Flink keeps of half-matched patterns can't be taken over into other patterns, so the uid of each names its text: one that is
changed begins anew, and the state of one that is gone is let go of, and no other state.
"""

from collections.abc import Iterable

import xxhash
from py4j.protocol import Py4JError
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment
from pyflink.util.exceptions import JavaException

from mitra.blueprint import Blueprint
from mitra.errors import ProblemsError
from mitra.job_cep_sql import match_sql, sink_sql, source_sql
from mitra.pipeline_cep import queries
from mitra.uids import Uids


def write_matches(
    env: StreamExecutionEnvironment, tables: StreamTableEnvironment, blueprint: Blueprint, uids: Uids
) -> None:
    """Look for the patterns of a pipeline that has some. Raises ProblemsError for one that SQL can't say."""
    pipeline = blueprint.pipeline
    cep = pipeline.cep
    if cep is None or not cep.patterns:
        return
    made, problems = queries(pipeline)
    if problems:
        raise ProblemsError(pipeline.name, problems)
    tables.execute_sql(source_sql(pipeline, cep))
    tables.execute_sql(sink_sql(pipeline, cep))
    entities = {entity.name: entity for entity in pipeline.entities}
    by = dict(cep.entities)
    selects = [match_sql(query, rule, entities[by[rule.id]], pipeline, cep) for rule, query in made]
    statements = tables.create_statement_set()
    statements.add_insert_sql("INSERT INTO cep_sink " + " UNION ALL ".join(selects))
    statements.attach_as_datastream()
    names = {}
    for place, (rule, query) in enumerate(made, 1):
        digest = xxhash.xxh3_64_hexdigest(query.sql("events", ("key",)).encode())[:8]
        names["match" if place == 1 else f"match#{place}"] = f"match-{rule.id}-{digest}"
    for transformation in env._j_stream_execution_environment.getTransformations():
        uids.name_stage("cep", transformation, names, numbered=True)


def let_go(env: StreamExecutionEnvironment) -> None:
    """Let a restored job leave behind what patterns kept that it no longer has; Flink refuses any other state that nobody takes."""
    configuration = env._j_stream_execution_environment.getConfiguration()
    path = configuration.toMap().get("execution.state-recovery.path")
    if path is None:
        return
    try:
        kept = _uids_in(path)
    except (Py4JError, JavaException):
        return  # what can't be read here is for Flink to tell
    nodes = env._j_stream_execution_environment.getStreamGraph(False).getStreamNodes().toArray()
    left = set(kept) - {node.getTransformationUID() for node in nodes}
    if left and only_of_patterns(left):
        changed = get_gateway().jvm.org.apache.flink.configuration.Configuration()
        changed.setString("execution.state-recovery.ignore-unclaimed-state", "true")
        env._j_stream_execution_environment.configure(changed)


def only_of_patterns(uids: Iterable[str]) -> bool:
    """Tell whether all these operators are of patterns."""
    return all(uid.startswith(("cep-", "Sink Committer: cep-")) for uid in uids)


def _uids_in(path: str) -> list[str]:
    """Return the uids of the operators that have state in a savepoint or checkpoint; an empty one where it says none."""
    jvm = get_gateway().jvm
    runtime = jvm.org.apache.flink.runtime
    place = runtime.state.filesystem.AbstractFsCheckpointStorageAccess.resolveCheckpointPointer(path)
    stream = jvm.java.io.DataInputStream(place.getMetadataHandle().openInputStream())
    try:
        loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
        found = runtime.checkpoint.Checkpoints.loadCheckpointMetadata(stream, loader, place.getExternalPointer())
    finally:
        stream.close()
    return [state.getOperatorUid().orElse("") for state in found.getOperatorStates()]
