"""The options of the job's tables over Kafka: what all that read and all that write have in common."""

from collections.abc import Iterable, Mapping

from mitra.pipeline import Pipeline
from rules.sql import quoted

AT_LEAST_ONCE = {"sink.delivery-guarantee": "at-least-once"}


def reading(pipeline: Pipeline, topics: Iterable[str], *, start: str, group: str) -> dict[str, str]:
    """Return the options of a table that reads topics, from where `start` says, as the consumer `group`.

    Without state a job begins where the pipeline says: histories and offsets belong together, and a checkpoint holds both. What
    the group has committed counts only if it says so; where it has committed nothing, as on a partition that was added, all is read.
    """
    committed = start == "committed"
    return {
        **_connecting(pipeline, topics),
        "properties.group.id": group,
        "properties.isolation.level": "read_committed",
        "scan.startup.mode": "group-offsets" if committed else f"{start}-offset",
        **({"properties.auto.offset.reset": "earliest"} if committed else {}),
    }


def writing(pipeline: Pipeline, topics: Iterable[str], promise: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a table that writes values under their keys, both as they are; `promise`: how surely."""
    return {
        **_connecting(pipeline, topics),
        "properties.linger.ms": "0",
        "key.format": "raw",
        "key.fields": "k",
        "value.format": "raw",
        "value.fields-include": "EXCEPT_KEY",
        **promise,
    }


def _connecting(pipeline: Pipeline, topics: Iterable[str]) -> dict[str, str]:
    return {
        **{f"properties.{key}": value for key, value in pipeline.kafka_properties.items()},
        "connector": "kafka",
        "topic": ";".join(topics),
        "properties.bootstrap.servers": pipeline.bootstrap,
    }


def options_text(options: Mapping[str, str]) -> str:
    """Return options as they stand behind WITH."""
    return ", ".join(f"{quoted(name)} = {quoted(value)}" for name, value in options.items())
