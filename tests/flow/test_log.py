"""The log that the job writes: every decision with its features and every record read, once each, though the job fails."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mitra.local.job import LocalJob, failure_causes
from mitra.local.kafka import LocalKafka
from tests.factories.live import DAY_MS, Customers, Payment, Reader, differences, on_kafka, send, write_pipeline

pytestmark = pytest.mark.flow

SETTINGS = {"execution.checkpointing.interval": "2 s", "execution.checkpointing.min-pause": "100 ms"}
WAIT_S = 240.0
START_S = 500.0
"""A start takes 15 s on two idle cores."""
START_MS = 1_700_000_000_000


def payments(seed: int, first: int, count: int) -> list[Payment]:
    """Payments of three days, in order."""
    chance = random.Random(seed)
    return [
        Payment(
            f"p{number}",
            START_MS + number * DAY_MS // 200,
            f"c{chance.randrange(10)}",
            f"t{chance.randrange(5)}",
            round(chance.lognormvariate(3.0, 1.0), 2),
            "note \x1f with a separator, ünd more" if number % 7 == 0 else None,
        )
        for number in range(first, first + count)
    ]


def logged(folder: Path, table: str) -> list[dict[str, Any]]:
    """Return the rows that any reader of Parquet sees."""
    if not list(folder.glob(f"{table}/day=*/part-*")):
        return []
    found = duckdb.sql(f"select * from read_parquet('{folder}/{table}/day=*/part-*', hive_partitioning = true)")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Take a folder away, so that whoever writes there fails."""
    aside = folder.with_name(f"{folder.name}-aside")
    folder.rename(aside)
    folder.write_text("in the way", encoding="utf-8")
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


def test_every_decision_and_record_is_logged_once_though_the_job_fails(kafka: LocalKafka, tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, "logging", more="log: {path: log}\n")
    pipeline = on_kafka(path, kafka)
    topic, folder = pipeline.decided.topic, tmp_path / "log"
    customers = Customers()
    expected = {}
    sent: list[tuple[str, int, bytes | None]] = []

    def pay(batch: list[Payment]) -> None:
        expected.update({payment.id: customers.expect(payment) for payment in batch})
        records = [(topic, payment.partition, payment.value) for payment in batch]
        sent.extend(records)
        send(kafka, records)

    def tell(*records: tuple[str, int, bytes | None]) -> None:
        sent.extend(records)
        send(kafka, records)

    with Reader(kafka, pipeline.topics.decisions, pipeline.topics.outcomes) as reader:
        decisions = reader.values[pipeline.topics.decisions]

        def decided(count: int) -> Callable[[], bool]:
            return lambda: len({decision["transaction_id"] for decision in decisions}) >= count

        job = LocalJob(path, pipeline, tmp_path / "data", settings=SETTINGS).start(wait_s=START_S)
        try:
            pay(payments(1, 0, 300))
            assert reader.wait(decided(300), WAIT_S)
            assert reader.wait(lambda: len(logged(folder, "decisions")) >= 300, WAIT_S)
            # These are decided, and mostly not yet covered by a checkpoint.
            pay(payments(2, 300, 200))
            assert reader.wait(decided(500), WAIT_S)
            with unwritable(folder / "records"):
                assert reader.wait(lambda: failure_causes(tmp_path / "data" / "logs") != [], WAIT_S)
            pay(payments(3, 500, 100))
            tell((topic, 0, payments(1, 0, 1)[0].value), (topic, 1, b"\xff no JSON"), (topic, 1, None))
            assert pipeline.labels is not None
            tell((pipeline.labels.topic, 0, b'{"id": "p5", "fraud": 1, "known_at": %d}' % (START_MS + DAY_MS)))
            assert reader.wait(decided(600), WAIT_S)
            assert reader.wait(lambda: len(reader.values[pipeline.topics.outcomes]) > 0, WAIT_S)
            assert reader.wait(lambda: len(logged(folder, "decisions")) >= 601, WAIT_S)
            outcomes = pipeline.topics.outcomes
            assert reader.wait(lambda: any(row["topic"] == outcomes for row in logged(folder, "records")), WAIT_S)
        finally:
            job.stop()
    rows = logged(folder, "decisions")
    assert Counter(row["transaction_id"] for row in rows if not row["duplicate"]) == Counter(list(expected))
    assert [row["transaction_id"] for row in rows if row["duplicate"]] == ["p0"]
    found = {row["transaction_id"]: row for row in rows if not row["duplicate"]}
    assert {id: off for id in expected if (off := differences(found[id], expected[id]))} == {}
    published = {one["transaction_id"]: one for one in decisions if not one["duplicate"]}
    for id, row in found.items():
        assert row["outcome"] == published[id]["outcome"]
        assert row["event_time"] == published[id]["event_time"]
        entities = json.loads(row["entities"])
        assert set(entities) == {"customer", "terminal"}
        assert entities["customer"][1] >= row["ever"]
    assert {str(row["day"]) for row in rows} == {"2023-11-14", "2023-11-15", "2023-11-16", "2023-11-17"}
    records = [row for row in logged(folder, "records") if row["topic"] != pipeline.topics.outcomes]
    assert Counter((row["topic"], row["partition"], row["value"]) for row in records) == Counter(sent)
    assert len({(row["topic"], row["partition"], row["offset"]) for row in records}) == len(records)
