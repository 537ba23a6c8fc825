"""What is said of a control topic that was cut, or that ends with the end of a transaction, on a real broker."""

from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from mitra.blueprint import Blueprint
from mitra.control.beginning import ShortenedLogError, begin
from mitra.kafka_clients import log_span
from mitra.local.kafka import LocalKafka
from tests.factories.live import on_kafka, send, write_pipeline

pytestmark = pytest.mark.flow


def test_a_log_is_as_long_as_what_can_be_read_of_it(kafka: LocalKafka, tmp_path: Path) -> None:
    pipeline = on_kafka(write_pipeline(tmp_path, "cut"), kafka)
    topic = pipeline.topics.control
    assert log_span(pipeline, topic) == (0, 0)
    send(kafka, [(topic, 0, b"%d" % number) for number in range(3)])
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "cut"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"3", partition=0)
    producer.commit_transaction(30)
    # Offset 4 is taken by the end of the transaction: nobody ever reads it.
    assert log_span(pipeline, topic) == (0, 4)
    assert begin(Blueprint(pipeline), fresh=True).control_end == 4

    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for future in admin.delete_records([TopicPartition(topic, 0, 2)]).values():
        future.result(30)
    assert log_span(pipeline, topic) == (2, 4)
    with pytest.raises(ShortenedLogError, match=r"cut\.control holds only offsets 2 to 3, but it begins at offset 0"):
        begin(Blueprint(pipeline), fresh=True)
    assert begin(Blueprint(pipeline), fresh=False).control_first == 2
    assert begin(Blueprint(replace(pipeline, control_begins_at=2)), fresh=True).control_end == 4

    for future in admin.delete_records([TopicPartition(topic, 0, -1)]).values():
        future.result(30)
    with pytest.raises(ShortenedLogError, match=r"cut\.control holds nothing, but it begins at offset 0"):
        begin(Blueprint(pipeline), fresh=True)
    # Nothing is there to wait for.
    assert begin(Blueprint(replace(pipeline, control_begins_at=5)), fresh=True).control_end == 0
