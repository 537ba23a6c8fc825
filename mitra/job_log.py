"""The job's log: Flink's own file sink writes what was read and what was decided as Parquet, and commits with checkpoints.

Two tables below the log's path, filed by day: `records` branches off behind the source, before any Python, and holds each
record as it was read; `decisions` takes the columns that decide sends along with its decisions. A file becomes visible with
the checkpoint that covers it, so after a failure no row is missing and none is there twice.
"""

from typing import Any

from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StreamTableEnvironment

from mitra.blueprint import Blueprint
from mitra.local.jars import jars
from mitra.log.columns import DAY, SEPARATOR, LogColumns
from mitra.uids import Uids
from operators.decide import DECISION

_SQL_TYPES = {
    "number": "DOUBLE",
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
    "string": "STRING",
    "texts": "ARRAY<STRING>",
}
_SEPARATOR = f"U&'\\{ord(SEPARATOR):04X}'"
_ROW_GROUP_BYTES = 16 << 20
"""A writer keeps a row group in memory, and there is one for each day under way."""


def write_log(
    env: StreamExecutionEnvironment,
    tables: StreamTableEnvironment,
    records: DataStream,
    decided: DataStream,
    blueprint: Blueprint,
    uids: Uids,
) -> None:
    """Write the log of a pipeline that has one; `records` are the source's batches, `decided` what decide sends."""
    columns = blueprint.log_columns
    log = blueprint.pipeline.log
    if columns is None or log is None:
        return
    env.add_jars(*(jar.as_uri() for jar in jars("parquet")))
    _records(env, tables, records, blueprint, log.uri, uids)
    _decisions(env, tables, decided, columns, log.uri, uids)


def _records(
    env: StreamExecutionEnvironment,
    tables: StreamTableEnvironment,
    records: DataStream,
    blueprint: Blueprint,
    uri: str,
    uids: Uids,
) -> None:
    """Write each record with where it was read and when it was published; `value` is null or its bytes."""
    columns = {
        "topic": "STRING",
        "partition": "INT",
        "offset": "BIGINT",
        "published": "TIMESTAMP(3)",
        "value": "BYTES",
    }
    _create_table(tables, "log_records", columns, f"{uri}/records")
    schema = Schema.new_builder().column("f0", "INT").column("f1", "ARRAY<STRING>").build()
    tables.create_temporary_view("read_batches", tables.from_data_stream(records, schema))
    # A value may hold the separator: it is what stands behind the fourth.
    before = " + ".join(f"CHAR_LENGTH(SPLIT_INDEX(r, {_SEPARATOR}, {place}))" for place in range(4))
    probes = blueprint.pipeline.topics.probes.replace("'", "''")
    _insert(
        env,
        tables,
        uids,
        "log-records",
        f"""
        INSERT INTO log_records
        SELECT topic, `partition`, `offset`, CAST(published AS TIMESTAMP(3)),
               CASE WHEN SUBSTRING(r FROM kind_at FOR 1) = 'V' THEN ENCODE(SUBSTRING(r FROM kind_at + 1), 'ISO-8859-1') END,
               SUBSTRING(published FROM 1 FOR 10)
        FROM (
            SELECT r, SPLIT_INDEX(r, {_SEPARATOR}, 0) AS topic, CAST(SPLIT_INDEX(r, {_SEPARATOR}, 1) AS INT) AS `partition`,
                   CAST(SPLIT_INDEX(r, {_SEPARATOR}, 2) AS BIGINT) AS `offset`,
                   SPLIT_INDEX(r, {_SEPARATOR}, 3) AS published, {before} + 5 AS kind_at
            FROM read_batches CROSS JOIN UNNEST(f1) AS u(r)
        )
        WHERE topic <> '{probes}'
        """,
    )


def _decisions(
    env: StreamExecutionEnvironment,
    tables: StreamTableEnvironment,
    decided: DataStream,
    columns: LogColumns,
    uri: str,
    uids: Uids,
) -> None:
    """Write each decision, a column for each feature."""
    stored = {"transaction_id": "STRING"}
    stored |= {column.name: _SQL_TYPES[column.kind] for column in columns.columns if column.name != DAY}
    _create_table(tables, "log_decisions", stored, f"{uri}/decisions")
    tables.create_temporary_view("decided_batches", tables.from_data_stream(decided, decided_schema(logged=True)))
    chosen = {column.name: _number(column.kind, place, columns) for place, column in enumerate(columns.numbers, 1)}
    chosen |= {column.name: _text(column.kind, place, columns) for place, column in enumerate(columns.texts, 1)}
    values = ", ".join(chosen[column.name] for column in columns.columns if column.name != DAY)
    _insert(
        env,
        tables,
        uids,
        "log-decisions",
        f"""
        INSERT INTO log_decisions
        SELECT DECODE(u.k, 'UTF-8'), {values}, {chosen[DAY]}
        FROM decided_batches AS d CROSS JOIN UNNEST(d.f1) WITH ORDINALITY AS u(k, place)
        WHERE d.f0 = '{DECISION}'
        """,
    )


def decided_schema(*, logged: bool) -> Any:
    """Return the columns of what decide sends: topic, keys, values; and of the log its numbers and texts."""
    columns = [("f0", "STRING"), ("f1", "ARRAY<BYTES>"), ("f2", "ARRAY<BYTES>")]
    if logged:
        columns += [("f3", "ARRAY<DOUBLE>"), ("f4", "ARRAY<STRING>")]
    schema = Schema.new_builder()
    for name, kind in columns:
        schema = schema.column(name, kind)
    return schema.build()


def _number(kind: str, place: int, columns: LogColumns) -> str:
    value = f"d.f3[(u.place - 1) * {len(columns.numbers)} + {place}]"
    if kind == "integer":
        return f"CAST({value} AS BIGINT)"
    return f"{value} <> 0" if kind == "boolean" else value


def _text(kind: str, place: int, columns: LogColumns) -> str:
    value = f"d.f4[(u.place - 1) * {len(columns.texts)} + {place}]"
    return f"SPLIT({value}, {_SEPARATOR})" if kind == "texts" else value


def _create_table(tables: StreamTableEnvironment, name: str, columns: dict[str, str], path: str) -> None:
    fields = ", ".join(f"`{column}` {kind}" for column, kind in columns.items())
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE {name} ({fields}, `{DAY}` STRING) PARTITIONED BY (`{DAY}`) WITH (
            'connector' = 'filesystem', 'path' = '{path}', 'format' = 'parquet', 'parquet.compression' = 'SNAPPY',
            'parquet.utc-timezone' = 'true', 'parquet.write.int64.timestamp' = 'true',
            'parquet.timestamp.time.unit' = 'millis', 'parquet.block.size' = '{_ROW_GROUP_BYTES}'
        )
    """)


def _insert(env: StreamExecutionEnvironment, tables: StreamTableEnvironment, uids: Uids, stage: str, sql: str) -> None:
    statements = tables.create_statement_set()
    statements.add_insert_sql(sql)
    statements.attach_as_datastream()
    for transformation in env._j_stream_execution_environment.getTransformations():
        uids.name_stage(stage, transformation, {"calc": "calc", "calc#2": "calc-out"})
        _set_apart(transformation, f"{stage}-to-table")


def _set_apart(step: Any, first: str) -> None:
    """Give what lies behind the operator `first` a thread of its own: closing files at a checkpoint then holds up no payment."""
    if step.getUid() == first:
        step.setChainingStrategy(get_gateway().jvm.org.apache.flink.streaming.api.operators.ChainingStrategy.HEAD)
        return
    for source in step.getInputs():
        _set_apart(source, first)
