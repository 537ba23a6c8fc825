"""The edges topic, followed into a store: from where its snapshot had read to, else from the beginning.

Every record counts once by its id, so reading some of them again changes nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from mitra.errors import MitraError
from mitra.graph.records import Record, RecordError, decode_record
from mitra.graph.service import GraphService
from mitra.graph.store import StoreError
from mitra.kafka_settings import client_settings
from mitra.pipeline import Pipeline

log = logging.getLogger(__name__)

_POLL_MS = 100
_MOST_RECORDS = 5_000
_AGAIN_S = 1.0


class Follower:
    """Reads all partitions of the topic; `offsets` are those behind what the store has taken."""

    def __init__(self, pipeline: Pipeline, service: GraphService, offsets: Mapping[int, int]) -> None:
        """Go on at `offsets`; a partition without one is read from its beginning."""
        self._pipeline = pipeline
        self._service = service
        self.offsets = dict(offsets)
        self.unreadable = 0
        self._reader: Any = None
        self._ends: dict[int, int] = {}

    def open(self) -> str:
        """Look for the topic; return in words where reading begins. Raises MitraError if the topic isn't there."""
        from kafka import KafkaConsumer, TopicPartition  # noqa: PLC0415 - the client is loaded where it is needed
        from kafka.errors import KafkaError  # noqa: PLC0415

        topic = self._pipeline.topics.edges
        try:
            self._reader = KafkaConsumer(
                **client_settings(self._pipeline), isolation_level="read_committed", max_poll_records=_MOST_RECORDS
            )
            partitions = sorted(self._reader.partitions_for_topic(topic) or ())
        except KafkaError as error:
            raise MitraError(f"no Kafka answers at {self._pipeline.bootstrap}: {error}") from error
        if not partitions:
            raise MitraError(f"there is no topic {topic}; `mitra topics PIPELINE --create` makes it")
        places = [TopicPartition(topic, partition) for partition in partitions]
        self._reader.assign(places)
        first, ends = self._reader.beginning_offsets(places), self._reader.end_offsets(places)
        for place in places:
            start = self.offsets.get(place.partition, first[place])
            # Records may have been deleted since the snapshot, or the topic made anew.
            start = start if first[place] <= start <= ends[place] else first[place]
            self.offsets[place.partition] = start
            self._reader.seek(place, start)
        self._ends = {place.partition: ends[place] for place in places}
        begun = ", ".join(f"{partition} at {self.offsets[partition]}" for partition in partitions)
        return f"reading {topic}: partition {begun}; it ends at {sum(self._ends.values())} in all"

    async def run(self, caught_up: Callable[[], Any]) -> None:
        """Follow until cancelled; await `caught_up()` once what lay in the topic at the start has been taken."""
        loop = asyncio.get_running_loop()
        told = False
        while True:
            polled = await loop.run_in_executor(None, self._poll)
            for partition, end, records in polled:
                if records:
                    await self._take(records)
                self.offsets[partition] = end
            if not told and all(self._position(partition) >= end for partition, end in self._ends.items()):
                told = True
                await caught_up()

    async def _take(self, records: list[Record]) -> None:
        """Take records, however long the store's database is away: nothing is passed over."""
        while True:
            try:
                await self._service.ingest(records)
            except StoreError as error:
                log.warning("%s; tried again in %g s", error, _AGAIN_S)
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    def _position(self, partition: int) -> int:
        from kafka import TopicPartition  # noqa: PLC0415

        # Ends of transactions take offsets too, and no record comes of them.
        return int(self._reader.position(TopicPartition(self._pipeline.topics.edges, partition)))

    def _poll(self) -> list[tuple[int, int, list[Record]]]:
        found = []
        for place, messages in self._reader.poll(timeout_ms=_POLL_MS).items():
            records = []
            for message in messages:
                try:
                    records.append(decode_record(message.value))
                except RecordError as error:
                    self.unreadable += 1
                    log.warning("%s, partition %d, offset %d: %s", place.topic, place.partition, message.offset, error)
            found.append((place.partition, messages[-1].offset + 1, records))
        return found

    def close(self) -> None:
        """Leave the topic."""
        if self._reader is not None:
            self._reader.close()
