"""Producers and consumers of the command line, with the pipeline's client settings."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from mitra.errors import MitraError
from mitra.kafka_settings import client_settings
from mitra.pipeline import Pipeline

READ_S = 10.0
"""A broker that gives nothing for so long doesn't serve."""


@contextmanager
def producer(pipeline: Pipeline, **settings: Any) -> Iterator[Any]:
    """Open a producer that sends at once."""
    from kafka import KafkaProducer  # noqa: PLC0415 - the client is loaded where it is needed

    sender = KafkaProducer(**{**client_settings(pipeline), "linger_ms": 0, **settings})
    try:
        yield sender
    finally:
        sender.close(timeout=10)


class LogSpan(NamedTuple):
    """The offsets of a log with one partition: its first record's, and the one behind the last that can be read."""

    first: int
    end: int


def log_span(pipeline: Pipeline, topic: str) -> LogSpan:
    """Return what a topic with one partition holds.

    `end` is not always the broker's: the ends of transactions take offsets too, and a job that waits for one waits for ever.
    """
    from kafka import KafkaConsumer, TopicPartition  # noqa: PLC0415 - see above

    reader = KafkaConsumer(**client_settings(pipeline), isolation_level="read_committed")
    try:
        place = TopicPartition(topic, 0)
        reader.assign([place])
        return span_of(reader, place)
    finally:
        reader.close()


def span_of(reader: Any, place: Any) -> LogSpan:
    """Return what a partition holds, looked up with a consumer that is assigned to it."""
    first, end = int(reader.beginning_offsets([place])[place]), int(reader.end_offsets([place])[place])
    start, back = end, 64
    while start > first:
        start = max(first, end - back)
        last = _last_offset(reader, place, start, end)
        if last is not None:
            return LogSpan(first, last + 1)
        back *= 16
    return LogSpan(first, first)


def _last_offset(reader: Any, place: Any, start: int, end: int) -> int | None:
    """Return the offset of the last record from `start` to before `end`, None if there is none."""
    reader.seek(place, start)
    last = None
    deadline = time.monotonic() + READ_S
    while reader.position(place) < end:
        found = reader.poll(timeout_ms=200).get(place, [])
        if found:
            last = int(found[-1].offset)
            deadline = time.monotonic() + READ_S
        elif time.monotonic() > deadline:
            raise MitraError(
                f"Kafka gives nothing of {place.topic} behind offset={reader.position(place)}, and it goes on to {end}; "
                "is a broker down?"
            )
    return last


def commit_offsets(pipeline: Pipeline, offsets: Mapping[tuple[str, int], int]) -> None:
    """Set the pipeline's group to these offsets, by topic and partition: where a job with `start: committed` begins."""
    from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition  # noqa: PLC0415 - see above

    places = {TopicPartition(*place): OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}
    reader = KafkaConsumer(**client_settings(pipeline), group_id=pipeline.name, enable_auto_commit=False)
    try:
        reader.assign(list(places))
        reader.commit(places)
    finally:
        reader.close()


@contextmanager
def tail(pipeline: Pipeline, *topics: str) -> Iterator[Any]:
    """Open a consumer that stands at the end of every partition of the topics, in no group."""
    from kafka import KafkaConsumer, TopicPartition  # noqa: PLC0415

    reader = KafkaConsumer(**client_settings(pipeline), isolation_level="read_committed", fetch_max_wait_ms=5)
    try:
        places = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in reader.partitions_for_topic(topic) or ()
        ]
        reader.assign(places)
        reader.seek_to_end(*places)
        for place in places:
            # Positions are looked up lazily; asked for here, what is sent from now on is certain to be seen.
            reader.position(place)
        yield reader
    finally:
        reader.close()
