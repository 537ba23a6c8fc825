"""The job's topology, in the order the data flows: source → intake → history → decide → sink, and govern beside it.

One Python call handles what arrived within a few milliseconds, from the source to the sink: the JVM collects records into
arrays (a processing-time window in SQL), Python passes packed messages between its stages, and SQL takes the answers apart
into records again. Keyed Python operators in thread mode; nothing here decides anything.

Govern reads the control topic and the acks, and its messages join what intake, history and decide take in, under the keys of
their lanes and buckets: so they come in order with all else, and lie in the state of whom they concern.

Every operator has a uid (mitra.uids); tests/golden/uids.txt lists them, and a change of that list breaks savepoints.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StreamTableEnvironment

from mitra.blueprint import Blueprint
from mitra.history import JOURNAL_EVENTS
from mitra.job_cep import let_go, write_matches
from mitra.job_graph import look_up, split
from mitra.job_kafka import AT_LEAST_ONCE, options_text, reading, writing
from mitra.job_keys import MAX_PARALLELISM, spread_keys
from mitra.job_log import decided_schema, write_log
from mitra.job_monitor import WATCHED, build_monitor
from mitra.job_types import message_type
from mitra.pipeline import Pipeline
from mitra.uids import Uids
from operators.decide import (
    ACK,
    ALERT,
    CHANGE,
    DEAD_LETTER,
    DECISION,
    EDGE,
    FEATURE,
    MONITOR,
    OUTCOME,
    PROBE,
    DecideOperator,
)  # fmt: skip
from operators.govern import DECIDE, HISTORY, INTAKE, GovernOperator
from operators.history import HistoryOperator
from operators.intake import IntakeOperator

_INT, _TEXT, _BYTES = Types.INT, Types.STRING, lambda: Types.PRIMITIVE_ARRAY(Types.BYTE())
_SEPARATOR = "U&'\\001F'"
GOVERN_KEY = 0
"""The one key of govern's state."""


def build(env: StreamExecutionEnvironment, blueprint: Blueprint) -> Uids:
    """Build the live job into `env`; its parallelism must be set. Returns the uids of its operators."""
    env.set_max_parallelism(MAX_PARALLELISM)
    tables = StreamTableEnvironment.create(env)
    tables.get_config().set_local_timezone("UTC")
    uids = Uids()
    batch_ms = blueprint.pipeline.job.batch_ms
    # What is kept by bucket has the number of buckets in its uid: Flink then refuses to restore it into a job with another.
    buckets = blueprint.pipeline.job.buckets
    _govern(tables, blueprint, uids)
    records = _source(tables, blueprint, uids)
    told = _told(
        tables, uids, "intake", INTAKE, f"ARRAY[{_SEPARATOR} || DECODE(message, 'ISO-8859-1')]", _records_type()
    )
    routed = keyed(_union(records, told), Types.OBJECT_ARRAY(_TEXT())).process(
        IntakeOperator(blueprint), message_type()
    )
    routed._j_data_stream.getTransformation().setBufferTimeout(0)
    _name(uids, "intake", routed)
    asked: DataStream | None = None
    if blueprint.pipeline.graph is not None:
        routed, asked = split(tables, uids, routed)
    told = _told(tables, uids, "history", HISTORY, "message", message_type())
    answered = keyed(_union(routed, told), _BYTES()).process(HistoryOperator(blueprint, JOURNAL_EVENTS), message_type())
    _name(uids, f"history-of-{buckets}", answered)
    if asked is not None:
        answered = _union(answered, look_up(env, asked, blueprint.pipeline, uids))
    batched = _batch(tables, answered, batch_ms)
    told = _told(tables, uids, "decide", DECIDE, "ARRAY[message]", _messages_type())
    decided_type = [_TEXT(), Types.OBJECT_ARRAY(_BYTES()), Types.OBJECT_ARRAY(_BYTES())]
    if blueprint.log_columns is not None:
        decided_type += [Types.OBJECT_ARRAY(Types.DOUBLE()), Types.OBJECT_ARRAY(_TEXT())]
    decided = keyed(_union(batched, told), Types.OBJECT_ARRAY(_BYTES())).process(
        DecideOperator(blueprint), Types.ROW(decided_type)
    )
    _name(uids, f"decide-of-{buckets}", decided, {"calc": "calc", "calc#2": "calc-out"})
    write_log(env, tables, records, decided, blueprint, uids)
    _sink(env, tables, decided, blueprint.pipeline, uids)
    if blueprint.pipeline.monitoring is not None:
        build_monitor(tables, decided, blueprint, uids, keyed)
        topics = {MONITOR: blueprint.pipeline.topics.monitor}
        _write(env, tables, blueprint.pipeline, uids, "monitor", topics, AT_LEAST_ONCE, source=WATCHED)
    write_matches(env, tables, blueprint, uids)
    let_go(env)
    return uids


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


class _Fetch(NamedTuple):
    """How a topic is read: the broker answers when it has so many bytes or after so long; then records wait for a batch."""

    wait_ms: int
    least_bytes: int
    batch_ms: int


def _union(stream: DataStream, told: DataStream) -> DataStream:
    """Join govern's messages to what a stage takes in."""
    joined = stream.union(told)
    assert isinstance(joined, DataStream)
    return joined


def _records_type() -> Any:
    return Types.ROW([_INT(), Types.OBJECT_ARRAY(_TEXT())])


def _messages_type() -> Any:
    return Types.ROW([_INT(), Types.OBJECT_ARRAY(_BYTES())])


def _govern(tables: StreamTableEnvironment, blueprint: Blueprint, uids: Uids) -> None:
    """The control topic and the acks to one instance of govern; what it sends lies in the view `governed`."""
    pipeline = blueprint.pipeline
    topics = (pipeline.topics.control, pipeline.topics.control_acks)
    # From the beginning, whatever `job.start` says of payments: what is live is the whole log.
    # The broker answers with the first change, and else asks nobody's time.
    fetch = _Fetch(wait_ms=500, least_bytes=1, batch_ms=2)
    records = _read(tables, pipeline, "control", topics, "earliest", f"CAST({GOVERN_KEY} AS INT)", fetch)
    uids.name_stage("control", records._j_data_stream.getTransformation(), {"calc": "calc", "calc#2": "calc-out"})
    governed = keyed(_send_at_once(records, "WindowAggregate"), Types.OBJECT_ARRAY(_TEXT())).process(
        GovernOperator(blueprint), Types.ROW_NAMED(["stage", "part", "message"], [_INT(), _INT(), _BYTES()])
    )
    _name(uids, "govern", governed)
    governed._j_data_stream.getTransformation().setBufferTimeout(0)
    schema = Schema.new_builder()
    for name, kind in (("stage", "INT"), ("part", "INT"), ("message", "BYTES")):
        schema = schema.column(name, kind)
    tables.create_temporary_view("governed", tables.from_data_stream(governed, schema.build()))


def _told(
    tables: StreamTableEnvironment, uids: Uids, stage: str, number: int, message: str, row_type: Any
) -> DataStream:
    """Govern's messages to one stage, in the form in which that stage takes its own."""
    sent = tables.sql_query(f"SELECT part, {message} FROM governed WHERE stage = {number}")
    stream = tables.to_append_stream(sent, row_type)
    uids.name_stage(f"told-{stage}", stream._j_data_stream.getTransformation(), {"calc": "calc", "calc#2": "calc-out"})
    return _send_at_once(stream, "DataStreamToTable")


def _source(tables: StreamTableEnvironment, blueprint: Blueprint, uids: Uids) -> DataStream:
    """All topics of the job as one stream of (lane key, records read within a few milliseconds)."""
    pipeline = blueprint.pipeline
    lane = _lane_key(pipeline.job.lanes)
    batch_ms = pipeline.job.batch_ms
    # The broker collects: an answer for each payment would cost it, and the job's reader, more than deciding does.
    fetch = _Fetch(wait_ms=batch_ms, least_bytes=100_000, batch_ms=max(1, batch_ms // 2))
    stream = _read(tables, pipeline, "source", blueprint.source_topics, pipeline.job.start, lane, fetch)
    uids.name_stage("source", stream._j_data_stream.getTransformation(), {"calc": "calc", "calc#2": "calc-out"})
    return _send_at_once(stream, "WindowAggregate")


def _read(
    tables: StreamTableEnvironment,
    pipeline: Pipeline,
    name: str,
    topics: Sequence[str],
    start: str,
    key: str,
    fetch: "_Fetch",
) -> DataStream:
    """Topics as a stream of (key, records read within a few milliseconds), each record with its metadata as one text."""
    options = reading(pipeline, topics, start=start, group=pipeline.name) | {
        "properties.fetch.max.wait.ms": str(fetch.wait_ms),
        "properties.fetch.min.bytes": str(fetch.least_bytes),
        # Bytes survive the way through a text only in this encoding; Python turns them back.
        "format": "raw",
        "raw.charset": "ISO-8859-1",
    }
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE {name}_topics (
            v STRING,
            `topic` STRING METADATA VIRTUAL,
            `partition` INT METADATA VIRTUAL,
            `offset` BIGINT METADATA VIRTUAL,
            `timestamp` TIMESTAMP_LTZ(3) METADATA VIRTUAL,
            arrived AS PROCTIME()
        ) WITH ({options_text(options)})
    """)
    tables.execute_sql(f"""
        CREATE TEMPORARY VIEW {name}_records AS
        SELECT {key} AS lane,
               CONCAT_WS({_SEPARATOR}, `topic`, CAST(`partition` AS STRING), CAST(`offset` AS STRING),
                         CAST(`timestamp` AS STRING), CASE WHEN v IS NULL THEN 'N' ELSE 'V' || v END) AS r,
               arrived
        FROM {name}_topics
    """)
    batches = tables.sql_query(f"""
        SELECT lane, ARRAY_AGG(r) AS records
        FROM TABLE(TUMBLE(TABLE {name}_records, DESCRIPTOR(arrived), {_interval(fetch.batch_ms)}))
        GROUP BY lane, window_start, window_end
    """)
    return tables.to_append_stream(batches, _records_type())


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
    stream = tables.to_append_stream(batches, _messages_type())
    return _send_at_once(stream, "DataStreamToTable")


def _sink(
    env: StreamExecutionEnvironment, tables: StreamTableEnvironment, decided: DataStream, pipeline: Pipeline, uids: Uids
) -> None:
    """Take the arrays apart into records and write each to its topic, under its key.

    What only tells has a sink of its own that waits for no checkpoint, whatever is promised of decisions: acks and
    changes are taken once however often they come, and figures are of the moment.
    """
    schema = decided_schema(logged=pipeline.log is not None)
    tables.create_temporary_view("decided", tables.from_data_stream(decided, schema))
    topics = pipeline.topics
    counted = {
        DECISION: topics.decisions,
        DEAD_LETTER: topics.dead_letters,
        OUTCOME: topics.outcomes,
        ALERT: topics.alerts,
        # A probe proves the way that decisions take.
        PROBE: topics.probe_results,
    }
    if pipeline.graph is not None:
        counted[EDGE] = topics.edges
    telling = {ACK: topics.control_acks, CHANGE: topics.control, MONITOR: topics.monitor}
    if pipeline.told_features:
        telling[FEATURE] = topics.features
    promise: dict[str, str] = {"sink.delivery-guarantee": pipeline.delivery}
    if pipeline.delivery == "exactly-once":
        promise["sink.transactional-id-prefix"] = pipeline.name
        # Below the broker's transaction.max.timeout.ms (15 min), above checkpoint and restart; the pipeline may say more.
        promise["properties.transaction.timeout.ms"] = pipeline.kafka_properties.get("transaction.timeout.ms", "600000")
    _write(env, tables, pipeline, uids, "sink", counted, promise)
    _write(env, tables, pipeline, uids, "tell", telling, AT_LEAST_ONCE)


def _write(
    env: StreamExecutionEnvironment,
    tables: StreamTableEnvironment,
    pipeline: Pipeline,
    uids: Uids,
    name: str,
    topics: dict[str, str],
    promise: dict[str, str],
    source: str = "decided",
) -> None:
    """Write the rows of some topics out of the view `source`; `name` is the stage's."""
    options = writing(pipeline, topics.values(), promise)
    # The connector refuses to be told the topic where there is but one.
    several = len(topics) > 1
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE {name}_topics (k BYTES, v BYTES{", `topic` STRING METADATA" * several}) WITH ({options_text(options)})
    """)
    cases = " ".join(f"WHEN '{code}' THEN '{topic}'" for code, topic in topics.items())
    chosen = f", CASE d.f0 {cases} END" * several
    codes = ", ".join(f"'{code}'" for code in topics)
    statements = tables.create_statement_set()
    statements.add_insert_sql(f"""
        INSERT INTO {name}_topics
        SELECT d.f1[u.place], u.v{chosen}
        FROM {source} AS d CROSS JOIN UNNEST(d.f2) WITH ORDINALITY AS u(v, place)
        WHERE d.f0 IN ({codes})
    """)
    statements.attach_as_datastream()
    for transformation in env._j_stream_execution_environment.getTransformations():
        uids.name_stage(name, transformation, {"calc": "pick", "calc#2": "calc"})
