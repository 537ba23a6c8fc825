"""Runs queries of Flink CEP over a file of events: `python match_recognize.py EVENTS.jsonl QUERIES.json`, in a JVM of its own.

QUERIES are lists of SQL texts, a job each; every text selects (name, customer, match). Prints all rows as JSON, the jobs' one after the
other. Input ends, so that every watermark passes.
"""

import json
import sys
from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

COLUMNS = "customer STRING, `event type` STRING, `event id` STRING, `event ms` BIGINT, x BIGINT, flag BOOLEAN"


def main(events: str, queries: str) -> None:
    """Run the jobs."""
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.get_config().set("parallelism.default", "1")
    env.get_config().set_local_timezone("UTC")
    env.execute_sql(f"""
        CREATE TEMPORARY TABLE events (
            {COLUMNS}, `event at` AS TO_TIMESTAMP_LTZ(`event ms`, 3), WATERMARK FOR `event at` AS `event at` - INTERVAL '6' SECOND
        ) WITH ('connector' = 'filesystem', 'path' = '{Path(events).as_uri()}', 'format' = 'json')
    """)
    rows = []
    for texts in json.loads(Path(queries).read_text(encoding="utf-8")):
        with env.execute_sql(" UNION ALL ".join(texts)).collect() as found:
            rows += [list(row) for row in found]
    sys.stdout.write(f"\n{json.dumps(rows)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
