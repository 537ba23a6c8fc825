"""Producers and consumers of the command line, with the pipeline's client settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mitra.kafka_settings import client_settings
from mitra.pipeline import Pipeline


@contextmanager
def producer(pipeline: Pipeline, **settings: Any) -> Iterator[Any]:
    """Open a producer that sends at once."""
    from kafka import KafkaProducer  # noqa: PLC0415 - the client is loaded where it is needed

    sender = KafkaProducer(**{**client_settings(pipeline), "linger_ms": 0, **settings})
    try:
        yield sender
    finally:
        sender.close(timeout=10)


def end_offset(pipeline: Pipeline, topic: str) -> int:
    """Return the offset behind the last record of a topic with one partition."""
    from kafka import KafkaConsumer, TopicPartition  # noqa: PLC0415 - see above

    reader = KafkaConsumer(**client_settings(pipeline))
    try:
        place = TopicPartition(topic, 0)
        return int(reader.end_offsets([place])[place])
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
