"""The control topic over a client of kafka-python, of which a stand-in gives what a broker would."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest

import mitra.control.kafka
from mitra.control.beginning import require_whole
from mitra.control.kafka import KafkaControlTopics, open_topics
from mitra.errors import MitraError
from mitra.kafka_clients import LogSpan, span_of
from mitra.pipeline import Pipeline, load_pipeline


class Place(NamedTuple):
    topic: str
    partition: int


@dataclass
class Message:
    offset: int
    timestamp: int
    value: bytes | None


class Consumer:
    """One with some messages in one partition, given two at a time; some offsets hold a transaction's end, and no message."""

    def __init__(self, messages: list[Message], end: int, first: int = 0) -> None:
        self.place = Place("control", 0)
        self.messages, self.end, self.first = messages, end, first
        self.at = 0

    def assignment(self) -> set[Place]:
        return {self.place}

    def beginning_offsets(self, places: Any) -> dict[Place, int]:
        return {self.place: self.first}

    def end_offsets(self, places: Any) -> dict[Place, int]:
        return {self.place: self.end}

    def seek(self, place: Place, offset: int) -> None:
        self.at = offset

    def position(self, place: Place) -> int:
        return self.at

    def poll(self, timeout_ms: int) -> dict[Place, list[Message]]:
        found = [one for one in self.messages if one.offset >= self.at][:2]
        self.at = found[-1].offset + 1 if found else self.end
        return {self.place: found} if found else {}


MESSAGES = [Message(offset, 100 - offset, b"%d" % offset) for offset in (0, 1, 2, 4, 5)]


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return load_pipeline(Path(__file__).parents[3] / "examples" / "payments" / "pipeline.yaml")


def test_the_log_is_read_to_its_end_over_the_gaps_of_transactions(pipeline: Pipeline):
    topics = KafkaControlTopics(pipeline, Consumer(MESSAGES, end=7), None)
    assert [(one.offset, one.at_ms, one.data) for one in topics.log(1)] == [
        (1, 99, b"1"),
        (2, 98, b"2"),
        (4, 96, b"4"),
        (5, 95, b"5"),
    ]
    assert list(topics.log(7)) == []


def test_what_comes_while_the_log_is_read_is_not_waited_for(pipeline: Pipeline):
    topics = KafkaControlTopics(pipeline, Consumer(MESSAGES, end=2), None)
    assert [one.offset for one in topics.log(0)] == [0, 1]


def test_a_log_without_its_beginning_is_not_taken_for_the_whole(pipeline: Pipeline):
    topics = KafkaControlTopics(pipeline, Consumer(MESSAGES, end=7, first=1), None)
    with pytest.raises(MitraError, match="begins at offset=1: changes before that are gone"):
        list(topics.log(0))


def test_a_log_ends_behind_its_last_record_and_not_behind_a_transaction(pipeline: Pipeline):
    place = Place("control", 0)
    assert span_of(Consumer(MESSAGES, end=7), place) == (0, 6)
    assert span_of(Consumer(MESSAGES, end=5_000, first=2), place) == (2, 6)
    assert span_of(Consumer([], end=5_000, first=4_990), place) == (4_990, 4_990)
    assert span_of(Consumer([], end=0), place) == (0, 0)


@pytest.mark.parametrize("kept", [(3, 7), (7, 7), (0, 7)])
def test_a_log_that_was_cut_is_taken_only_from_where_the_pipeline_says(pipeline: Pipeline, kept: tuple[int, int]):
    span = LogSpan(*kept)
    require_whole(replace(pipeline, control_begins_at=7), span)
    with pytest.raises(MitraError, match=r"control\.begins_at=8 lies behind the end of the control topic"):
        require_whole(replace(pipeline, control_begins_at=8), span)
    if span.first == 0:
        return
    with pytest.raises(MitraError) as told:
        require_whole(pipeline, span)
    held = "only offsets 3 to 6" if span.end > span.first else "nothing"
    assert f"payments.control holds {held}, but it begins at offset 0" in str(told.value)
    assert f"offsets 0 to {span.first - 1} are gone" in str(told.value)
    assert f"control: {{begins_at: {span.first}}}" in str(told.value)


def test_the_log_is_read_from_where_it_begins(pipeline: Pipeline):
    topics = KafkaControlTopics(replace(pipeline, control_begins_at=4), Consumer(MESSAGES, end=7, first=3), None)
    assert [one.offset for one in topics.log(0)] == [4, 5]


def test_a_broker_that_gives_nothing_is_told(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch):
    consumer = Consumer([], end=7)
    monkeypatch.setattr(consumer, "poll", lambda timeout_ms: {})
    monkeypatch.setattr(mitra.control.kafka, "SEND_MS", 1)
    with pytest.raises(MitraError, match="gives nothing of control behind offset=0, and it goes on to 7"):
        list(KafkaControlTopics(pipeline, consumer, None).log(0))


def test_the_newest_acks_come_as_they_were_written(pipeline: Pipeline):
    topics = KafkaControlTopics(pipeline, None, Consumer(MESSAGES, end=7))
    assert topics.newest_acks(3) == [b"5", b"4"]
    assert topics.newest_acks(100) == [b"5", b"4", b"2", b"1", b"0"]
    assert topics.next_acks(0.01) == []


def test_missing_topics_are_named(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch):
    class Client:
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...

        def states(self, names: Any) -> dict[str, Any]:
            return {}

    monkeypatch.setattr(mitra.control.kafka, "topics_client", lambda _: Client())
    with (
        pytest.raises(MitraError, match=r"payments\.control and payments\.control_acks are missing"),
        open_topics(pipeline),
    ):
        pass
