"""The SQL of Flink CEP in the job: the table of events, a query for each pattern, and the table that matches are written to."""

from collections.abc import Mapping, Sequence

from mitra.job_kafka import AT_LEAST_ONCE, options_text, reading, writing
from mitra.pipeline import Cep, Pipeline
from mitra.pipeline_cep import readable
from mitra.schema import Entity, EventType
from operators.cep import AT, EVENT_ID, EVENT_MS, EVENT_TYPE, Query, interval
from rules.rule import Rule
from rules.sql import quoted

_TYPES = {"string": "STRING", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}
_SEPARATOR = "U&'\\001F'"
_IDLE = "5 s"
"""A partition that has brought nothing for so long holds no watermark back."""


def _of_type(events: Sequence[EventType], value: Mapping[str, str]) -> str:
    """Return what depends on an event's type. Of one CASE over all topics the planner makes a SEARCH, which a watermark's code can't say."""
    cases = [f"CASE WHEN `topic` = {quoted(event.topic)} THEN {value[event.name]} END" for event in events]
    return cases[0] if len(cases) == 1 else f"COALESCE({', '.join(cases)})"


def source_sql(pipeline: Pipeline, cep: Cep) -> str:
    """Return the table of all events, of whatever type: their fields, type, id and time, and the watermark.

    What isn't there as a field that is required has no type, and patterns don't see it: the job makes a dead letter of it. An event
    without a time, or from too far ahead, stands at the beginning of time, where it moves no clock.
    """
    events = [event for event in pipeline.events if not event.derived and readable(event)]
    seconds = {event.time for event in events if event.time_format == "epoch_s"}
    columns = {field.name: _TYPES[field.type] for event in events for field in event.own}
    columns |= dict.fromkeys(seconds, "DOUBLE")
    ids = _of_type(events, {event.name: f"CAST(`{event.id}` AS STRING)" for event in events})
    times = _of_type(events, {event.name: _time_sql(event, columns[event.time]) for event in events})
    whole = " ".join(
        f"WHEN `topic` = {quoted(event.topic)} AND {_required(event)} THEN {quoted(event.name)}" for event in events
    )
    ahead = f"UNIX_TIMESTAMP() * 1000 + {pipeline.limits.max_future_ms}"
    topics = (event.topic for event in events)
    options = reading(pipeline, topics, start=pipeline.job.start, group=f"{pipeline.name}.cep") | {
        "scan.watermark.idle-timeout": _IDLE,
        "format": "json",
        "json.ignore-parse-errors": "true",
    }
    fields = ",\n    ".join(f"`{name}` {kind}" for name, kind in columns.items())
    return f"""CREATE TEMPORARY TABLE cep_events (
    {fields},
    `topic` STRING METADATA VIRTUAL,
    `{EVENT_TYPE}` AS CASE {whole} END,
    `{EVENT_ID}` AS {ids},
    `{EVENT_MS}` AS {times},
    `{AT}` AS TO_TIMESTAMP_LTZ(COALESCE(CASE WHEN {times} >= 0 AND {times} <= {ahead} THEN {times} END, 0), 3),
    WATERMARK FOR `{AT}` AS `{AT}` - {interval(cep.slack_ms)}
) WITH ({options_text(options)})"""


def _time_sql(event: EventType, kind: str) -> str:
    """Return an event's time in milliseconds; its column holds seconds of another type's too where it is a DOUBLE."""
    if event.time_format == "epoch_s":
        return f"CAST(ROUND(`{event.time}` * 1000) AS BIGINT)"
    return f"`{event.time}`" if kind == "BIGINT" else f"CAST(`{event.time}` AS BIGINT)"


def _required(event: EventType) -> str:
    return " AND ".join(f"`{field.name}` IS NOT NULL" for field in event.own if field.required)


def match_sql(query: Query, rule: Rule, entity: Entity, pipeline: Pipeline, cep: Cep) -> str:
    """Return the rows that a pattern's matches are told by: key, value and topic, of the alert and of the event."""
    keys = entity.fields
    there = " AND ".join(f"`{key}` IS NOT NULL" for key in (*keys, EVENT_TYPE))
    seen = f"(SELECT * FROM cep_events WHERE {there} AND `{AT}` > TO_TIMESTAMP_LTZ(0, 3))"
    key = f"CONCAT_WS({_SEPARATOR}, {', '.join(f'CAST(`{key}` AS STRING)' for key in keys)})"
    last = len(query.taken) - 1
    parts = (quoted(query.name), key, "`first_id_0`", "CAST(`first_ms_0` AS STRING)", f"`last_id_{last}`")
    alert = _object({
        "id": "`match id`", "kind": "'cep'", "rule": quoted(query.name), "version": "0", "mode": quoted(rule.mode),
        "outcome": quoted(rule.outcome), "entity": quoted(entity.name), "key": "`entity key`", "time": f"`last_ms_{last}`", "late": "FALSE",
        "revision": "0", "reason": quoted(rule.reason), "unasked": "CAST(NULL AS STRING)",
    })  # fmt: skip
    taken = ", ".join(_event_sql(number, take.name) for number, (_, take) in enumerate(query.taken))
    match = _object({
        "match_id": "`match id`", "match_time": f"`last_ms_{last}`", "pattern": quoted(query.name), **{key: f"`{key}`" for key in keys}
    })  # fmt: skip
    return f"""SELECT ENCODE(id, 'UTF-8'), ENCODE(u.v, 'UTF-8'), u.t FROM (
SELECT `match id` AS id, SUBSTRING({alert} FROM 2) AS alert, CONCAT_WS(',', {taken}) AS events, {match} AS event FROM (
SELECT *, {key} AS `entity key`, MD5(CONCAT_WS({_SEPARATOR}, {", ".join(parts)})) AS `match id` FROM ({query.sql(seen, keys)})
)) CROSS JOIN UNNEST(ARRAY[
  ROW({quoted(pipeline.topics.alerts)}, '{{"events":[' || events || '],' || alert), ROW({quoted(cep.topic)}, event)
]) AS u(t, v)"""


def _object(values: Mapping[str, str]) -> str:
    return f"JSON_OBJECT({', '.join(f'KEY {quoted(name)} VALUE {value}' for name, value in values.items())})"


def _event_sql(number: int, step: str) -> str:
    """Return the event of a match, or events of a repeated step, as they stand in its alert; NULL for a step that took none."""
    told = _object({
        "step": quoted(step), "event": f"`type_{number}`", "time": f"`first_ms_{number}`", "id": f"`first_id_{number}`",
        "until": f"`last_ms_{number}`", "count": f"`count_{number}`",
    })  # fmt: skip
    return f"CASE WHEN `count_{number}` > 0 THEN {told} END"


def sink_sql(pipeline: Pipeline, cep: Cep) -> str:
    """Return the table of what is told of matches."""
    options = writing(pipeline, (pipeline.topics.alerts, cep.topic), AT_LEAST_ONCE)
    return f"CREATE TEMPORARY TABLE cep_sink (k BYTES, v BYTES, `topic` STRING METADATA) WITH ({options_text(options)})"
