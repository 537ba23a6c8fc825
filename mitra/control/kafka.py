"""The control topic and control-acks on the pipeline's Kafka."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mitra.control.topics import Record
from mitra.errors import MitraError
from mitra.kafka_clients import producer, tail
from mitra.pipeline import Pipeline
from mitra.topics import KafkaUnreachableError, TopicsError, topics_client

SEND_MS = 10_000
"""A broker that doesn't take a change for so long is told as one that doesn't serve."""


class KafkaControlTopics:
    """Both topics over clients of kafka-python. `producer` is opened for each send."""

    def __init__(self, pipeline: Pipeline, log: Any, acks: Any) -> None:
        """Take consumers that are assigned the control topic and control-acks."""
        self._pipeline = pipeline
        self._log = log
        self._acks = acks

    def log(self, start: int) -> Iterator[Record]:
        """Go over the log from an offset to the end that it has now. Raises MitraError if its beginning is gone."""
        (place,) = self._log.assignment()
        first, end = self._log.beginning_offsets([place])[place], self._log.end_offsets([place])[place]
        start = max(start, self._pipeline.control_begins_at)
        if start < first:
            raise MitraError(
                f"the control topic {place.topic} begins at offset={first}: changes before that are gone, and what is live "
                f"can't be told without them; bring it back, or write control: {{begins_at: {first}}} in the pipeline file if "
                "what is left is all that shall be live (docs/operations.md)"
            )
        self._log.seek(place, start)
        deadline = time.monotonic() + SEND_MS / 1000
        while self._log.position(place) < end:
            found = self._log.poll(timeout_ms=200).get(place, [])
            for message in found:
                if message.offset < end:
                    yield Record(message.offset, message.timestamp, message.value)
            if found:
                deadline = time.monotonic() + SEND_MS / 1000
            elif time.monotonic() > deadline:
                raise KafkaUnreachableError(
                    f"Kafka at bootstrap={self._pipeline.bootstrap} gives nothing of {place.topic} behind "
                    f"offset={self._log.position(place)}, and it goes on to {end}; is a broker down?"
                )

    def append(self, changes: Sequence[bytes]) -> list[int]:
        """Write changes, in order, and return their offsets once every replica in sync has them."""
        from kafka.errors import KafkaError  # noqa: PLC0415 - the client is loaded where it is needed

        limits = {"max_block_ms": SEND_MS, "request_timeout_ms": SEND_MS, "delivery_timeout_ms": SEND_MS + 1_000}
        # Room for a change of the largest size, and what a record has around it.
        limits["max_request_size"] = 2_000_000
        settings = {"acks": "all", "enable_idempotence": True, **limits}
        topic = self._pipeline.topics.control
        try:
            with producer(self._pipeline, **settings) as sender:
                futures = [sender.send(topic, value=data, partition=0) for data in changes]
                sender.flush(timeout=SEND_MS / 1000)
                return [int(future.get(timeout=SEND_MS / 1000).offset) for future in futures]
        except KafkaError as error:
            reason = str(error) or type(error).__name__
            raise KafkaUnreachableError(
                f"Kafka at bootstrap={self._pipeline.bootstrap} did not take the change on {topic}: {reason}; "
                "with the same --id it can be sent again: it is made once"
            ) from error

    def newest_acks(self, count: int) -> list[bytes | None]:
        """Return the newest acks, up to so many of each partition, by when they were written."""
        places = list(self._acks.assignment())
        firsts, ends = self._acks.beginning_offsets(places), self._acks.end_offsets(places)
        for place in places:
            self._acks.seek(place, max(firsts[place], ends[place] - count))
        found: list[Any] = []
        deadline = time.monotonic() + SEND_MS / 1000
        while any(self._acks.position(place) < ends[place] for place in places) and time.monotonic() < deadline:
            batch = self._acks.poll(timeout_ms=200)
            found += [message for messages in batch.values() for message in messages]
            if batch:
                deadline = time.monotonic() + SEND_MS / 1000
        return [message.value for message in sorted(found, key=lambda one: one.timestamp)]

    def next_acks(self, seconds: float) -> list[bytes | None]:
        """Return the acks that came since, as soon as there are any; none if there are none for so long."""
        batch = self._acks.poll(timeout_ms=int(seconds * 1000))
        return [message.value for messages in batch.values() for message in messages]


@contextmanager
def open_topics(pipeline: Pipeline) -> Iterator[KafkaControlTopics]:
    """Open both topics. Raises KafkaUnreachableError within seconds if nothing answers, TopicsError if one is missing."""
    names = pipeline.topics.control, pipeline.topics.control_acks
    with topics_client(pipeline) as client:
        states = client.states(names)
    missing = [name for name in names if name not in states]
    if missing:
        raise TopicsError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing on {pipeline.bootstrap}; "
            "`mitra topics PIPELINE --create` creates what is missing"
        )
    if states[names[0]].partitions != 1:
        raise TopicsError(
            f"{names[0]} has partitions={states[names[0]].partitions}, should be 1: changes have one order; "
            "delete it, and `mitra topics PIPELINE --create` creates it anew"
        )
    from kafka.errors import KafkaError  # noqa: PLC0415

    try:
        with tail(pipeline, names[0]) as log, tail(pipeline, names[1]) as acks:
            yield KafkaControlTopics(pipeline, log, acks)
    except KafkaError as error:
        reason = str(error) or type(error).__name__
        raise KafkaUnreachableError(f"Kafka at bootstrap={pipeline.bootstrap} does not serve: {reason}") from error
