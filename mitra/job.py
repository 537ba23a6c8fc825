"""The job's topology, in the order the data flows: source → intake → history → decide → sink.

One Python call handles what arrived within a few milliseconds, from the source to the sink: the JVM collects records into
arrays (a processing-time window in SQL), Python passes packed messages between its stages, and SQL takes the answers apart
into records again. Three keyed Python operators, in thread mode; nothing here decides anything.

Every operator has a uid (mitra.uids); tests/golden/uids.txt lists them, and a change of that list breaks savepoints.
"""

from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StreamTableEnvironment

from mitra.blueprint import Blueprint
from mitra.job_keys import MAX_PARALLELISM, spread_keys
from mitra.pipeline import Pipeline
from mitra.uids import Uids
from operators.decide import DEAD_LETTER, DECISION, OUTCOME, PROBE, DecideOperator
from operators.history import HistoryOperator
from operators.intake import IntakeOperator

_INT, _TEXT, _BYTES = Types.INT, Types.STRING, lambda: Types.PRIMITIVE_ARRAY(Types.BYTE())
_SEPARATOR = "U&'\\001F'"


def build(env: StreamExecutionEnvironment, blueprint: Blueprint, history_cache_bytes: int) -> Uids:
    """Build the live job into `env`; its parallelism must be set. Returns the uids of its operators."""
    env.set_max_parallelism(MAX_PARALLELISM)
    tables = StreamTableEnvironment.create(env)
    tables.get_config().set_local_timezone("UTC")
    uids = Uids()
    batch_ms = blueprint.pipeline.job.batch_ms
    # What is kept by bucket has the number of buckets in its uid: Flink then refuses to restore it into a job with another.
    buckets = blueprint.pipeline.job.buckets
    records = _source(tables, blueprint, uids)
    routed = keyed(records, Types.OBJECT_ARRAY(_TEXT())).process(IntakeOperator(blueprint), message_type())
    routed._j_data_stream.getTransformation().setBufferTimeout(0)
    _name(uids, "intake", routed)
    answered = keyed(routed, _BYTES()).process(HistoryOperator(blueprint, history_cache_bytes), message_type())
    _name(uids, f"history-of-{buckets}", answered)
    batched = _batch(tables, answered, batch_ms)
    decided = keyed(batched, Types.OBJECT_ARRAY(_BYTES())).process(
        DecideOperator(blueprint), Types.ROW([_TEXT(), Types.OBJECT_ARRAY(_BYTES()), Types.OBJECT_ARRAY(_BYTES())])
    )
    _name(uids, f"decide-of-{buckets}", decided, {"calc": "calc", "calc#2": "calc-out"})
    _sink(env, tables, decided, blueprint.pipeline, uids)
    return uids


def message_type() -> Any:
    """Return the type of what flows between stages: the key of a bucket, and a message."""
    return Types.ROW_NAMED(["bucket", "message"], [_INT(), _BYTES()])


def _send_at_once(stream: DataStream, first: str) -> DataStream:
    """Let the operators of `stream`, back to the one whose name begins with `first`, send what they emit at once.

    It is a batch already: waiting for more to fill a network buffer, up to a millisecond a hop, gains nothing.
    """
    step = stream._j_data_stream.getTransformation()
    step.setBufferTimeout(0)
    while not step.getName().startswith(first):
        (step,) = step.getInputs()
        step.setBufferTimeout(0)
    return stream


def _name(uids: Uids, stage: str, stream: DataStream, names: dict[str, str] | None = None) -> None:
    uids.name_stage(stage, stream._j_data_stream.getTransformation(), names)
    stream.name(stage.partition("-")[0])


def keyed(stream: DataStream, value_type: Any) -> KeyedStream:
    """Key a stream of (key, value) rows inside the JVM: `key_by` would call into Python for every row."""
    selector = get_gateway().jvm.org.apache.flink.streaming.api.functions.python.KeyByKeySelector()
    keyed = stream._j_data_stream.keyBy(selector, Types.ROW([_INT()]).get_java_type_info())
    return KeyedStream(keyed, value_type, stream)


def _interval(batch_ms: int) -> str:
    return f"INTERVAL '{batch_ms // 1000}.{batch_ms % 1000:03d}' SECOND"


def _source(tables: StreamTableEnvironment, blueprint: Blueprint, uids: Uids) -> DataStream:
    """All topics of the job as one stream of (lane key, records read within a few milliseconds)."""
    pipeline = blueprint.pipeline
    options = {
        **{f"properties.{name}": value for name, value in pipeline.kafka_properties.items()},
        "connector": "kafka",
        "topic": ";".join(blueprint.source_topics),
        "properties.bootstrap.servers": pipeline.bootstrap,
        "properties.group.id": pipeline.name,
        "properties.isolation.level": "read_committed",
        "properties.fetch.max.wait.ms": "2",
        # Without state a job begins where the pipeline says, whatever its group has committed before: histories and
        # offsets belong together, and a checkpoint holds both.
        "scan.startup.mode": f"{pipeline.job.start}-offset",
        # Bytes survive the way through a text only in this encoding; Python turns them back.
        "format": "raw",
        "raw.charset": "ISO-8859-1",
    }
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE source_topics (
            v STRING,
            `topic` STRING METADATA VIRTUAL,
            `partition` INT METADATA VIRTUAL,
            `offset` BIGINT METADATA VIRTUAL,
            `timestamp` TIMESTAMP_LTZ(3) METADATA VIRTUAL,
            arrived AS PROCTIME()
        ) WITH ({_options(options)})
    """)
    tables.execute_sql(f"""
        CREATE TEMPORARY VIEW source_records AS
        SELECT {_lane_key(pipeline.job.lanes)} AS lane,
               CONCAT_WS({_SEPARATOR}, `topic`, CAST(`partition` AS STRING), CAST(`offset` AS STRING),
                         CAST(`timestamp` AS STRING), CASE WHEN v IS NULL THEN 'N' ELSE 'V' || v END) AS r,
               arrived
        FROM source_topics
    """)
    batches = tables.sql_query(f"""
        SELECT lane, ARRAY_AGG(r) AS records
        FROM TABLE(TUMBLE(TABLE source_records, DESCRIPTOR(arrived), {_interval(pipeline.job.batch_ms)}))
        GROUP BY lane, window_start, window_end
    """)
    stream = tables.to_append_stream(batches, Types.ROW([_INT(), Types.OBJECT_ARRAY(_TEXT())]))
    uids.name_stage("source", stream._j_data_stream.getTransformation(), {"calc": "calc", "calc#2": "calc-out"})
    return _send_at_once(stream, "WindowAggregate")


def _lane_key(lanes: int) -> str:
    """Return the SQL that gives a record the key of its lane: a function of its partition, so a partition's order is kept."""
    keys = spread_keys(lanes)
    if lanes == 1:
        return f"CAST({keys[0]} AS INT)"
    cases = " ".join(f"WHEN {lane} THEN {key}" for lane, key in enumerate(keys))
    return f"CASE MOD(`partition`, {lanes}) {cases} ELSE {keys[0]} END"


def _batch(tables: StreamTableEnvironment, stream: DataStream, batch_ms: int) -> DataStream:
    """Collect the messages of each bucket within a few milliseconds: the parts of one transaction mostly meet there."""
    schema = (
        Schema.new_builder()
        .column("bucket", "INT")
        .column("message", "BYTES")
        .column_by_expression("arrived", "PROCTIME()")
        .build()
    )
    tables.create_temporary_view("parts", tables.from_data_stream(stream, schema))
    batches = tables.sql_query(f"""
        SELECT bucket, ARRAY_AGG(message) AS messages
        FROM TABLE(TUMBLE(TABLE parts, DESCRIPTOR(arrived), {_interval(batch_ms)}))
        GROUP BY bucket, window_start, window_end
    """)
    stream = tables.to_append_stream(batches, Types.ROW([_INT(), Types.OBJECT_ARRAY(_BYTES())]))
    return _send_at_once(stream, "DataStreamToTable")


def _sink(
    env: StreamExecutionEnvironment, tables: StreamTableEnvironment, decided: DataStream, pipeline: Pipeline, uids: Uids
) -> None:
    """Take the arrays apart into records and write each to its topic, under its key."""
    topics = {
        DECISION: pipeline.topics.decisions,
        DEAD_LETTER: pipeline.topics.dead_letters,
        OUTCOME: pipeline.topics.outcomes,
        PROBE: pipeline.topics.probe_results,
    }
    options = {
        **{f"properties.{name}": value for name, value in pipeline.kafka_properties.items()},
        "connector": "kafka",
        "topic": ";".join(topics.values()),
        "properties.bootstrap.servers": pipeline.bootstrap,
        "properties.linger.ms": "0",
        "key.format": "raw",
        "key.fields": "k",
        "value.format": "raw",
        "value.fields-include": "EXCEPT_KEY",
        "sink.delivery-guarantee": pipeline.delivery,
    }
    if pipeline.delivery == "exactly-once":
        options["sink.transactional-id-prefix"] = pipeline.name
        # Below the broker's transaction.max.timeout.ms (15 min), above checkpoint and restart; the pipeline may say more.
        options.setdefault("properties.transaction.timeout.ms", "600000")
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE sink_topics (k BYTES, v BYTES, `topic` STRING METADATA) WITH ({_options(options)})
    """)
    columns = (("f0", "STRING"), ("f1", "ARRAY<BYTES>"), ("f2", "ARRAY<BYTES>"))  # topic, keys, values
    schema = Schema.new_builder()
    for name, kind in columns:
        schema = schema.column(name, kind)
    tables.create_temporary_view("decided", tables.from_data_stream(decided, schema.build()))
    cases = " ".join(f"WHEN '{code}' THEN '{topic}'" for code, topic in topics.items())
    statements = tables.create_statement_set()
    statements.add_insert_sql(f"""
        INSERT INTO sink_topics
        SELECT d.f1[u.place], u.v, CASE d.f0 {cases} END
        FROM decided AS d CROSS JOIN UNNEST(d.f2) WITH ORDINALITY AS u(v, place)
    """)
    statements.attach_as_datastream()
    for transformation in env._j_stream_execution_environment.getTransformations():
        uids.name_stage("sink", transformation)


def _options(options: dict[str, str]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    return ", ".join(f"{quoted(name)} = {quoted(value)}" for name, value in options.items())
