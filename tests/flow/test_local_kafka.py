"""A real broker: what is written comes back, it finds its data again, and nothing of it stays behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from mitra.errors import MitraError
from mitra.local.kafka import LocalKafka, broker_count
from mitra.local.ports import free_ports

pytestmark = pytest.mark.flow


def create_topic(bootstrap: str, name: str, partitions: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        future.result(20)


def write(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0


def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"read-{topic}", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    values: list[bytes] = []
    ends = time.monotonic() + 30
    with contextlib.closing(consumer):
        while len(values) < count and time.monotonic() < ends:
            message = consumer.poll(1)
            if message is not None and not message.error():
                values.append(message.value())
    return values


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_what_is_written_comes_back(kafka: LocalKafka) -> None:
    create_topic(kafka.bootstrap, "comes-back", 2)
    values = [b"%d" % number for number in range(1000)]
    write(kafka.bootstrap, "comes-back", values)
    assert sorted(read(kafka.bootstrap, "comes-back", 1000)) == sorted(values)


def test_transactions_work(kafka: LocalKafka) -> None:
    create_topic(kafka.bootstrap, "transactions")
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "test"})
    producer.init_transactions(30)
    for value, ends in ((b"aborted", producer.abort_transaction), (b"committed", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce("transactions", value)
        ends(30)
    assert read(kafka.bootstrap, "transactions", 1) == [b"committed"]


def test_a_folder_of_ones_own_keeps_the_topics(tmp_path: Path) -> None:
    with LocalKafka(tmp_path / "data") as first:
        create_topic(first.bootstrap, "kept")
        write(first.bootstrap, "kept", [b"one"])
        pid = first.pid
    assert not alive(pid)
    with LocalKafka(tmp_path / "data") as second:
        assert read(second.bootstrap, "kept", 1) == [b"one"]


def test_a_temporary_broker_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    broker = LocalKafka().start()
    bootstrap, pid = broker.bootstrap, broker.pid
    assert broker_count(bootstrap) == 1
    broker.stop()
    broker.stop()
    assert list(tmp_path.iterdir()) == []
    assert not alive(pid)
    assert broker_count(bootstrap, timeout_ms=500) == 0


def test_a_broker_that_dies_says_what_it_said_last(tmp_path: Path) -> None:
    with LocalKafka(tmp_path / "data") as broker:
        broker.check()
        os.kill(broker.pid, signal.SIGKILL)
        ends = time.monotonic() + 20
        while broker._process.status() is None:
            assert time.monotonic() < ends
        with pytest.raises(MitraError, match=r"(?s)Kafka ended; status=137, log=.*kafka.log; it said last:\n.*started"):
            broker.check()


def test_a_wrong_setting_is_reported_with_the_log(tmp_path: Path) -> None:
    with pytest.raises(MitraError, match=r"(?s)could not format.*num\.io\.threads"):
        LocalKafka(tmp_path / "data", settings={"num.io.threads": "many"}).start()


def test_a_taken_port_is_named(kafka: LocalKafka) -> None:
    with pytest.raises(MitraError, match=f"the port is taken; port={kafka.port}"):
        LocalKafka(port=kafka.port).start()


def test_a_port_that_cannot_be_is_named() -> None:
    with pytest.raises(MitraError, match="no such port; port=99999"):
        LocalKafka(port=99_999).start()


def test_a_port_lost_to_somebody_quicker_is_chosen_again(kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = iter([[kafka.port, *free_ports(1)], free_ports(2)])
    monkeypatch.setattr("mitra.local.kafka.free_ports", lambda _: next(fresh))
    monkeypatch.setattr(
        "mitra.local.kafka._answers", lambda port: port != kafka.port and broker_count(f"127.0.0.1:{port}", 500) > 0
    )
    with LocalKafka() as second:
        assert second.port != kafka.port


def test_the_command_prints_its_address_and_ends_on_ctrl_c() -> None:
    [port] = free_ports(1)
    command = [sys.executable, "-m", "mitra.cli", "kafka", "--port", str(port), "--seconds", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == f"127.0.0.1:{port}\n"
        [guard] = psutil.Process(running.pid).children()
        [broker] = guard.children()
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
        assert not alive(broker.pid)


def test_nothing_is_orphaned_when_the_owner_is_killed() -> None:
    command = [sys.executable, "-m", "mitra.cli", "kafka", "--seconds", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline()
        [guard] = psutil.Process(running.pid).children()
        [broker] = guard.children()
        running.kill()
        gone, left = psutil.wait_procs([guard, broker], timeout=30)
        assert not left
        assert len(gone) == 2
