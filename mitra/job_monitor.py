"""The monitor in the job: what decide observes comes together in one place, a second at a time.

It branches off behind decide, so no payment waits for it.
"""

from collections.abc import Callable

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream
from pyflink.table import Schema, StreamTableEnvironment

from mitra.blueprint import Blueprint
from mitra.job_log import decided_schema
from mitra.uids import Uids
from operators.decide import OBSERVED
from operators.monitor import MonitorOperator

MONITOR_KEY = 0
"""The one key of the monitor's state."""
WATCHED = "watched"
"""The view of what the monitor tells, in the form of what decide sends."""

_Keyed = Callable[[DataStream, object], KeyedStream]


def build_monitor(
    tables: StreamTableEnvironment, decided: DataStream, blueprint: Blueprint, uids: Uids, keyed: _Keyed
) -> None:
    """Build the monitor behind `decided`; what it tells is in the view WATCHED."""
    bytes_array = Types.OBJECT_ARRAY(Types.PRIMITIVE_ARRAY(Types.BYTE()))
    sent = decided_schema(logged=blueprint.pipeline.log is not None)
    schema = Schema.new_builder().from_schema(sent).column_by_expression("arrived", "PROCTIME()").build()
    tables.create_temporary_view("decided_in_time", tables.from_data_stream(decided, schema))
    tables.execute_sql(f"""
        CREATE TEMPORARY VIEW observed AS
        SELECT CAST({MONITOR_KEY} AS INT) AS part, f2[1] AS observation, arrived
        FROM decided_in_time WHERE f0 = '{OBSERVED}'
    """)
    batches = tables.sql_query("""
        SELECT part, ARRAY_AGG(observation) AS observations
        FROM TABLE(TUMBLE(TABLE observed, DESCRIPTOR(arrived), INTERVAL '1' SECOND))
        GROUP BY part, window_start, window_end
    """)
    stream = tables.to_append_stream(batches, Types.ROW([Types.INT(), bytes_array]))
    uids.name_stage("observed", stream._j_data_stream.getTransformation(), {"calc": "calc", "calc#2": "calc-out"})
    told = keyed(stream, bytes_array).process(
        MonitorOperator(blueprint), Types.ROW([Types.STRING(), bytes_array, bytes_array])
    )
    uids.name_stage("monitor", told._j_data_stream.getTransformation())
    told.name("monitor")
    tables.create_temporary_view(WATCHED, tables.from_data_stream(told, decided_schema(logged=False)))
