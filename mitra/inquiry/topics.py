"""A decision looked up on the topics: itself, its payment, and earlier payments of one of its entities."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from mitra.control.export import time_text
from mitra.decode import Decoder, Event
from mitra.inquiry.backwards import Backwards, Progress, Reach
from mitra.inquiry.found import Earlier, Found, Others, entity_named
from mitra.kafka_clients import tail
from mitra.pipeline import Pipeline
from mitra.route import key_reader
from mitra.schema import EventType, Field
from mitra.topics import TopicsError, topics_client

_AGAIN_MS = 60_000
"""So long before a decision its first version is looked for: after a crash one may be made again, unmarked."""

_MOST = 200
"""Earlier payments that are compared with."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


@contextmanager
def open_topic(pipeline: Pipeline, topic: str) -> Iterator[Any]:
    """Open a consumer of all partitions of a topic. Raises KafkaUnreachableError, and TopicsError if it isn't there."""
    with topics_client(pipeline) as client:
        if topic not in client.states([topic]):
            raise TopicsError(
                f"{topic} is missing on {pipeline.bootstrap}; `mitra topics PIPELINE` lists what there is"
            )
    with tail(pipeline, topic) as reader:
        yield reader


class Topics:
    """Looks decisions and payments up on a pipeline's Kafka.

    `looked` tells how far it looked for the last decision; `whole`: that was all there is.
    """

    def __init__(self, pipeline: Pipeline, reach: Reach, progress: Progress) -> None:
        """Read as far back as `reach` says, each topic anew."""
        self._pipeline = pipeline
        self._reach = reach
        self._progress = progress
        self.looked = ""
        self.whole = False
        self._looked_for_event = ""

    def find(self, transaction_id: str, by: str | None) -> Found | None:
        """Return a decision with what goes with it, None if it isn't found."""
        entity_named(self._pipeline, by)  # a wrong name is told before anything is read
        found = self._decision(transaction_id)
        if found is None:
            return None
        decision, place, again = found
        event = self._event(transaction_id, decision)
        notes: list[str] = []
        if decision["duplicate"]:
            notes.append("this is the decision once more, with timings of its own; the first one lies further back")
        if event is None:
            notes.append(f"the payment itself wasn't found: {self._looked_for_event}")
        if "features" not in decision and not decision["duplicate"]:
            notes.append(
                "the decision carries no features: with `job: {include_features: true}` decisions do, "
                "and `mitra replay` computes them for the past"
            )
        others = None if event is None else self._others(event, decision, by)
        return Found(decision, place, again, event, others, tuple(notes))

    def _decision(self, transaction_id: str) -> tuple[dict[str, Any], str, int] | None:
        """Return the first version of a decision, where it stands, and how often it stands there once more."""
        topic, key = self._pipeline.topics.decisions, transaction_id.encode()
        found: tuple[dict[str, Any], str] | None = None
        seen, oldest = 0, None
        with open_topic(self._pipeline, topic) as reader:
            records = Backwards(reader, self._reach, "decisions", self._progress)
            for record in records:
                if oldest is not None and record.timestamp < oldest - _AGAIN_MS:
                    break
                if record.key != key or record.value is None:
                    continue
                decision = _decode(record.value)
                seen += 1
                # Of two that aren't marked the older one was the first.
                if found is None or not decision["duplicate"] or found[0]["duplicate"]:
                    found = decision, f"{topic}, partition {record.partition}, offset {record.offset}"
                if not decision["duplicate"]:
                    oldest = min(record.timestamp, decision["decided_at"])
            self.looked, self.whole = _looked(topic, records), records.whole
        return None if found is None else (*found, seen - 1)

    def _event(self, transaction_id: str, decision: dict[str, Any]) -> Event | None:
        """Return the payment, looked for from when it was decided backwards."""
        looked = []
        for kind in self._pipeline.decided_events:
            found, where = self._event_on(kind, transaction_id, decision)
            if found is not None:
                return found
            looked.append(where)
        self._looked_for_event = " and ".join(looked)
        return None

    def _event_on(self, kind: EventType, transaction_id: str, decision: dict[str, Any]) -> tuple[Event | None, str]:
        """Return the payment, if it is on the topic of its type, and how far that was looked through."""
        decode = Decoder(kind, self._pipeline.limits).decode
        needle = _needle(transaction_id, kind.by_name[kind.id])
        with open_topic(self._pipeline, kind.topic) as reader:
            records = Backwards(
                reader, self._reach, f"{kind.name}s", self._progress, until_ms=decision["decided_at"] + _AGAIN_MS
            )
            for record in records:
                if record.value is None or needle not in record.value:
                    continue
                event = decode(record.value, None)
                if isinstance(event, Event) and event.id == transaction_id and event.time_ms == decision["event_time"]:
                    return event, ""
            return None, _looked(kind.topic, records)

    def _others(self, event: Event, decision: dict[str, Any], by: str | None) -> Others | None:
        pipeline = self._pipeline
        entity = entity_named(pipeline, by)
        kind = pipeline.type_of(event.values)
        reader_of = None if entity is None else key_reader(entity, kind)
        key = None if reader_of is None else reader_of(event.values)
        if entity is None or reader_of is None or key is None:
            return None
        found: dict[str, Event] = {}
        decode = Decoder(kind, pipeline.limits).decode
        needles = [
            _needle(text, kind.by_name[name])
            for name, text in zip(entity.fields, _parts(key, len(entity.fields)), strict=True)
        ]
        with open_topic(pipeline, kind.topic) as reader:
            until_ms = decision["decided_at"] + _AGAIN_MS
            records = Backwards(reader, self._reach, f"earlier {kind.name}s", self._progress, until_ms=until_ms)
            for record in records:
                if len(found) >= _MOST:
                    break
                if record.value is None or any(needle not in record.value for needle in needles):
                    continue
                one = decode(record.value, None)
                if not isinstance(one, Event) or one.id == event.id or one.time_ms > event.time_ms:
                    continue
                if reader_of(one.values) == key:
                    found.setdefault(one.id, one)
            looked = _looked(kind.topic, records)
        features = self._features(set(found), decision) if "features" in decision and found else {}
        return Others(entity.name, key, tuple(Earlier(one, features.get(one.id)) for one in found.values()), looked)

    def _features(self, ids: set[str], decision: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the features of the decisions of earlier payments, by id."""
        waiting = {one.encode(): one for one in ids}
        found: dict[str, dict[str, Any]] = {}
        topic, until_ms = self._pipeline.topics.decisions, decision["decided_at"] + _AGAIN_MS
        with open_topic(self._pipeline, topic) as reader:
            for record in Backwards(reader, self._reach, "earlier decisions", self._progress, until_ms=until_ms):
                one = waiting.get(record.key)
                if one is None or record.value is None:
                    continue
                features = _decode(record.value).get("features")
                if features is not None:
                    found[one] = features
                    del waiting[record.key]
                if not waiting:
                    break
        return found


def _looked(topic: str, records: Backwards) -> str:
    back = "" if records.oldest_ms is None else f", back to {time_text(records.oldest_ms)}"
    which = f"all {records.count:,} records" if records.whole else f"the newest {records.count:,} records"
    return f"{which} of {topic}{back}"


def _needle(text: str, field: Field) -> bytes:
    """Return bytes that a message with this value has in it; none where JSON may spell the value in several ways."""
    plain = text.isascii() and text.isprintable() and not set(text) & set("\"\\/<>&'")
    return text.encode() if plain and field.type in {"string", "integer"} else b""


def _parts(key: str, count: int) -> list[str]:
    """Return the texts of an entity's fields, empty ones where its key doesn't show them as they are."""
    parts = key.split("\x1f") if count > 1 else [key]
    return parts if len(parts) == count and "\x1e" not in key else [""] * count
