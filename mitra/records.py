"""JSON Schemas (2020-12) of the messages on Mitra's topics: what `mitra schema NAME` prints."""

from collections.abc import Callable, Mapping
from typing import Any

from control_stream import ack_schema
from mitra.decode import ID_CHARACTERS, INT64_MAX, INT64_MIN
from mitra.event_time import EARLIEST_MS, LATEST_MS
from mitra.pipeline import Pipeline
from mitra.schema import EventType, Field, Labels

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_ID: Schema = {"type": ["string", "integer"], "description": "the transaction's id, as it was sent"}
_TIME: Schema = {"type": "integer", "description": "epoch milliseconds, UTC"}
_OPTIONAL_TEXT: Schema = {"type": ["string", "null"]}
_SCORE: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_OUTCOME: Schema = {"enum": ["allow", "review", "block"]}
_SHA256: Schema = {"type": ["string", "null"], "pattern": "^[0-9a-f]{64}$"}


def _object(
    title: str,
    description: str,
    properties: Mapping[str, Schema],
    *,
    optional: tuple[str, ...] = (),
    closed: bool = False,
) -> Schema:
    return {
        "$schema": DIALECT,
        "title": title,
        "description": description,
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        **({"additionalProperties": False} if closed else {}),
    }


def _note(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def event_schema(event: EventType) -> Schema:
    """Return the schema of an event's messages. Unknown fields are ignored, so they are allowed."""
    properties = {field.name: _field_schema(event, field) for field in event.own}
    optional = tuple(field.name for field in event.own if not field.required)
    return _object(event.name, f"a message on {event.topic}", properties, optional=optional)


def _field_schema(event: EventType, field: Field) -> Schema:
    if field.name == event.time:
        return _time_schema(event.time_format)
    schema: Schema = {"type": field.type}
    if field.type == "integer":
        schema |= {"minimum": INT64_MIN, "maximum": INT64_MAX}
    if field.name == event.id and field.type == "string":
        schema |= {"minLength": 1, "maxLength": ID_CHARACTERS}
    return schema if field.required else {**schema, "type": [field.type, "null"]}


def _time_schema(time_format: str) -> Schema:
    if time_format == "epoch_ms":
        return {"type": "integer", "minimum": EARLIEST_MS, "maximum": LATEST_MS, "description": _TIME["description"]}
    if time_format == "epoch_s":
        note = "epoch seconds, UTC"
        return {"type": "number", "minimum": EARLIEST_MS / 1000, "maximum": LATEST_MS / 1000, "description": note}
    written = "ISO 8601" if time_format == "iso8601" else f"written as {time_format}"
    return {"type": "string", "description": f"{written}; UTC where no zone is given"}


def label_schema(labels: Labels) -> Schema:
    """Return the schema of a label's message."""
    properties = {
        labels.id: _note(_ID, "the id of the transaction that is judged"),
        labels.label: {"enum": [0, 1, True, False], "description": f"1 or true: {labels.name}"},
    }
    if labels.known_at:
        known_at = _time_schema(labels.known_at_format)
        kinds = {"type": [known_at["type"], "null"]}
        properties[labels.known_at] = {
            **known_at,
            **kinds,
            "description": "when it became known; absent: when it was sent",
        }
    properties["source"] = {"type": "string", "description": "who says so: chargeback, analyst, …"}
    properties["version"] = {"type": "integer", "description": "a later one supersedes an earlier; absent: known-at"}
    optional = tuple(name for name in properties if name not in (labels.id, labels.label))
    return _object("label", f"a message on {labels.topic}", properties, optional=optional)


def decision_schema(features: Mapping[str, str] | None = None) -> Schema:
    """Return the schema of a decision; `features` are the pipeline's, whose values it may carry."""
    values: Schema = {"type": ["number", "string", "boolean", "null"]}
    named = dict.fromkeys(features, values) if features else {}
    reason = _object(
        "reason",
        "one feature's part in the score",
        {
            "feature": {"type": "string"},
            "value": {"type": ["number", "boolean", "null"], "description": "null: missing"},
            "contribution": {"type": "number", "description": "in log-odds; above 0 it raises the risk"},
            "text": {"type": "string"},
        },
    )
    del reason["$schema"]
    texts: Schema = {"type": "array", "items": {"type": "string"}}
    objects: Schema = {"type": "array", "items": {"type": "object"}}
    return _object(
        "decision",
        "one decision; the message's key is the transaction id",
        {
            "transaction_id": _ID,
            "event_time": _TIME,
            "decided_at": _note(_TIME, "when the first decision was made: epoch milliseconds, UTC"),
            "latency_ms": {"type": "number", "description": "from decode to the end of decide"},
            "timing_ms": {"type": "object", "additionalProperties": {"type": "number"}, "description": "by stage"},
            "outcome": _OUTCOME,
            "score": _note(_SCORE, "calibrated; null without a model"),
            "raw_score": _note(_SCORE, "before calibration"),
            "model": _note(_OPTIONAL_TEXT, "name@version of the one that decided"),
            "models": _models(),
            "rules": _note(objects, "the rules that fired: id@version, outcome, reason; of a sequence its events"),
            "not_evaluated": {
                "type": "object",
                "additionalProperties": texts,
                "description": "rules that could not be decided, and the signals they lack",
            },
            "shadow": _note(objects, "what shadow rules and models would have said"),
            "reasons": {
                "type": "array",
                "items": reason,
                "description": "top contributions; of flagged decisions only",
            },
            "revision": {"type": "integer", "minimum": 0, "description": "of rules, lists and models in force"},
            "degraded": _note(texts, "parts that were late or failed"),
            "approximate": _note(texts, "features that used the edge of a tile"),
            "late": {"type": "boolean", "description": "the event came later than its type's late_after"},
            "duplicate": {"type": "boolean", "description": "the first decision again"},
            "features": {"type": "object", "properties": named, "additionalProperties": False if named else values},
        },
        optional=("features",),
        closed=True,
    )


def _models() -> Schema:
    said = _object(
        "model",
        "what one model said",
        {
            "mode": {"enum": ["champion", "challenger", "shadow"]},
            "score": _note(_SCORE, "calibrated; null: it isn't loaded, or failed"),
            "raw_score": _SCORE,
            "outcome": {"enum": [*_OUTCOME["enum"], None]},
        },
        closed=True,
    )
    del said["$schema"]
    note = "all models by name@version; empty where one alone is live and decides"
    return {"type": "object", "additionalProperties": said, "description": note}


def dead_letter_schema() -> Schema:
    """Return the schema of a dead letter."""
    return _object(
        "dead-letter",
        "a message that can't be decided, and why",
        {
            "reason": {"type": "string", "description": "a code: not_json, wrong_type, missing_field, conflict, …"},
            "field": _note(_OPTIONAL_TEXT, "the field to blame, if one is"),
            "message": {"type": "string", "description": "for people, with the value found"},
            "topic": {"type": "string", "description": "where it was read: a topic, or a file"},
            "partition": {"type": ["integer", "null"], "description": "null for a file"},
            "offset": {
                "type": ["integer", "null"],
                "description": "in the partition; the line or row of a file, from 1",
            },
            "bytes": {
                "type": ["string", "null"],
                "contentEncoding": "base64",
                "description": "cut if long; null for null",
            },
            "size": {"type": "integer", "minimum": 0, "description": "of the whole message, in bytes"},
            "sha256": _note(_SHA256, "of the whole message"),
        },
        closed=True,
    )


def outcome_schema() -> Schema:
    """Return the schema of an outcome: a label joined with the decision that it judges."""
    return _object(
        "outcome",
        "a label joined with the decision that it judges; the message's key is the transaction id",
        {
            "transaction_id": {"type": "string"},
            "label": {"enum": [0, 1]},
            "known_at": _note(_TIME, "when the label became known: epoch milliseconds, UTC"),
            "version": {"type": "integer"},
            "source": {"type": "string"},
            "event_time": _TIME,
            "outcome": _OUTCOME,
            "score": _SCORE,
            "raw_score": _SCORE,
            "model": _OPTIONAL_TEXT,
            "revision": {"type": "integer", "minimum": 0},
            "entities": {"type": "object", "additionalProperties": {"type": "string"}, "description": "name → key"},
            "rules": _note(
                {"type": "array", "items": {"type": "string"}}, "lists and live rules that had fired: id@version"
            ),
            "shadow": _note({"type": "array", "items": {"type": "string"}}, "shadow rules that would have"),
            "models": _models(),
        },
        closed=True,
    )


def alert_schema() -> Schema:
    """Return the schema of an alert: a sequence's match that no decision carries."""
    return _object(
        "alert",
        "a sequence's match that no decision carries; the message's key is the alert's id",
        {
            "id": {"type": "string", "description": "the same whoever finds the match, and however often"},
            "kind": {"enum": ["sequence", "cep"]},
            "rule": {"type": "string", "description": "the sequence's id"},
            "version": {"type": "integer", "minimum": 0},
            "mode": {"enum": ["live", "shadow"]},
            "outcome": _note(_OUTCOME, "what the sequence asks for; nobody acts on it"),
            "entity": {"type": "string"},
            "key": {"type": "string", "description": "which one"},
            "time": _note(_TIME, "of its last event, or when the time for what is absent was up"),
            "events": {
                "type": "array",
                "items": {"type": "object"},
                "description": "step, event, time, arrival; of Flink CEP id, until and count",
            },
            "late": {"type": "boolean", "description": "its last event had been answered before another came"},
            "revision": {"type": "integer", "minimum": 0},
            "reason": {"type": "string", "description": "empty where the sequence's reason has values"},
            "unasked": _note(_OPTIONAL_TEXT, "the sequence's own when, which is asked of decisions alone"),
        },
        closed=True,
    )


def feature_schema() -> Schema:
    """Return the schema of a record of the features topic."""
    return _object(
        "feature",
        "what a feature is for an entity from a time on, until the next record of the same key",
        {
            "entity": {"type": "string"},
            "key": {"type": "string", "description": "which one"},
            "feature": {"type": "string"},
            "value": _note({"type": ["number", "string", "boolean", "null"]}, "null: missing"),
            "as_of": _note(_TIME, "event time at which it changed"),
            "published_at": _note(_TIME, "the wall clock"),
            "approximate": {"type": "boolean", "description": "something behind it is no longer known event by event"},
        },
        closed=True,
    )


def monitor_schema() -> Schema:
    """Return the schema of a record of the monitor topic: counts of one subtask over a span of time, or of a window of event time."""
    count = {"type": "integer", "minimum": 0}
    number = {"type": ["number", "null"]}
    share = _note({**number, "minimum": 0, "maximum": 1}, "null: there is nothing to divide")
    bound = {"type": ["integer", "null"], "minimum": 0}
    texts = {"type": "array", "items": {"type": "string"}}
    required: dict[str, Schema] = {
        "metric": {
            "enum": ["rules", "rule", "model", "clock", "volume", "check", "drift", "quality", "alarm", "graph"],
            "description": "counted by a subtask: of all rules, of one, of a model, how event time goes, of lookups in the graph; the others by the monitor",
        },
        "from": _note(_TIME, "wall clock where a subtask counts, else event time"),
        "to": _TIME,
    }
    optional: dict[str, Schema] = {
        "rule": {"type": "string", "description": "id@version; of a rule that could not be decided, its id"},
        "model": {"type": "string", "description": "name@version"},
        "mode": {"enum": ["champion", "challenger", "shadow"]},
        "subtask": count,
        "payments": _note(count, "decided for the first time; of a model, those it scored"),
        "judging_us": {"type": "number", "description": "microseconds that rules took, a payment"},
        "fired": _note(count, "payments on which the rule fired, live"),
        "shadow": _note(count, "payments on which it would have, in shadow"),
        "not_evaluated": _note(count, "payments on which it lacked a signal"),
        "frauds": _note(count, "labels that say fraud; of a rule, those on payments that it fired on"),
        "legits": _note(count, "labels that say legit, likewise"),
        "batches": _note(count, "calls of the model"),
        "failed": _note(count, "payments that it failed on"),
        "spent_us": {"type": "number", "description": "microseconds of all its calls"},
        "lookups": {"type": "object", "description": "how lookups in the graph went"},
        "degraded": _note(count, "payments decided without the graph's answer"),
        "late_answers": _note(count, "answers of the graph that came when their payment had been decided"),
        "events": _note(count, "of all types, once for each bucket that they touch"),
        "late": _note(count, "those among them that came later than their type's late_after"),
        "behind_ms": _note(bound, "how far event time is behind the wall clock; null: no lane brings anything"),
        "idle_lanes": {
            "type": "array",
            "items": count,
            "description": "lanes that bring nothing: for them the wall clock stands in",
        },
        "by_wall_clock": _note(count, "alerts of what was absent that were told while it did"),
        "least": bound,
        "most": bound,
        "feature": {"type": "string"},
        "score": {"enum": ["raw_score", "score"], "description": "in a feature's place"},
        "check": {"enum": ["outside", "unseen", "missing"]},
        "value": _note(number, "a share; of drift, the PSI"),
        "allowed": _note(number, "above it is an alarm; of drift, from it on"),
        "missing": share,
        "missing_baseline": share,
        "arm": {"enum": ["scored", "decided"], "description": "all payments that it scored, or those that it decided"},
        "flagged": _note(count, "reviewed or blocked"),
        "precision": share,
        "recall": share,
        "blocked": count,
        "block_precision": share,
        "block_recall": share,
        "stopped": _note(number, "money of flagged frauds"),
        "missed": _note(number, "money of frauds that were let through"),
        "wrongly_stopped": _note(number, "money of flagged payments that were legit"),
        "expected_frauds": _note(number, "the sum of the calibrated scores"),
        "calibration_error": share,
        "auc": share,
        "average_precision": share,
        "exact": {"type": "boolean", "description": "false: too many distinct scores, nearby ones are one"},
        "expected_average_precision": _note(share, "of the manifest, on its test window"),
        "alarm": {"type": "boolean"},
        "about": {"enum": ["volume", "check", "drift", "missing", "score", "quality"]},
        "raised": _note(texts, "alarms that this window turned on"),
        "cleared": _note(texts, "off"),
        "on": _note(texts, "all that are on now"),
        "built_on": _note(texts, "features that read the fields that have drifted"),
    }
    return _object(
        "monitor",
        "what a subtask of decide counted over a span of time, or what the monitor found in a window of event time",
        required | optional,
        optional=tuple(optional),
        closed=True,
    )


def probe_schema() -> Schema:
    """Return the schema of a probe: not JSON, but the bare text that marks it."""
    return {
        "$schema": DIALECT,
        "title": "probe",
        "description": "the message's value is this text itself, unquoted: it comes back on the probe results topic. One that begins with "
        "`job:` and a job's id in Flink is answered by that job alone",
        "type": "string",
    }


def probe_result_schema() -> Schema:
    """Return the schema of a probe's result: one from each bucket that it has passed."""
    return {
        "$schema": DIALECT,
        "title": "probe-result",
        "description": "the proof that a probe has passed all stages of one bucket",
        "type": "array",
        "prefixItems": [
            {"type": "string", "description": "the probe's text"},
            {"type": "integer", "minimum": 0, "description": "the bucket"},
            {"type": "number", "description": "when it was read: epoch milliseconds"},
            {"type": "array", "items": {"type": "string"}, "description": "the stages it has passed"},
        ],
        "minItems": 4,
        "maxItems": 4,
    }


_DEFAULT_LABELS = Labels("fraud", "the labels topic", "transaction_id", "label", "known_at")

SCHEMAS: Mapping[str, Callable[[Pipeline | None], Schema]] = {
    "decision": lambda pipeline: decision_schema(pipeline.features if pipeline else None),
    "dead-letter": lambda _: dead_letter_schema(),
    "label": lambda pipeline: label_schema(pipeline.labels if pipeline and pipeline.labels else _DEFAULT_LABELS),
    "outcome": lambda _: outcome_schema(),
    "alert": lambda _: alert_schema(),
    "feature": lambda _: feature_schema(),
    "probe": lambda _: probe_schema(),
    "probe-result": lambda _: probe_result_schema(),
    "ack": lambda _: ack_schema(),
    "monitor": lambda _: monitor_schema(),
}
"""The messages whose schema stands without a pipeline, which may make it more exact. Events need their pipeline."""
