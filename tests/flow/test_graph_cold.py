"""A backlog lies in the topic at the start, and the lookup's worker doesn't: histories go on, and payments are decided without it."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mitra.local.job import LocalJob
from mitra.local.kafka import LocalKafka
from mitra.local.ports import free_ports
from tests.factories.graph import honest
from tests.factories.live import Reader, on_kafka, send
from tests.flow.test_graph import DEADLINE_MS, PIPELINE, double
from tests.flow.test_rules import SETTINGS, START_MS

pytestmark = pytest.mark.flow

BACKLOG = 8_000
"""Asking about one takes some 70 bytes: this is more than the branch holds, buffers of the exchange included."""


def sleepy(folder: Path, awake: Path) -> Path:
    """Return an interpreter whose worker processes wait until a file is there."""
    program = folder / "bin" / "python"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *beam_boot*) until [ -e {awake} ]; do sleep 0.1; done;; esac\nexec {sys.executable} "$@"\n'
    )
    program.chmod(0o755)
    return program


def payments(first: int, count: int) -> Iterator[tuple[int, bytes]]:
    """Yield partition and message of some payments."""
    for number in range(first, first + count):
        ids = {"id": f"p{number}", "customer": f"c{number % 50}", "device": f"d{number % 70}"}
        yield number % 2, json.dumps({**ids, "at": START_MS + number * 1_000, "amount": 10.0}).encode()


def test_a_backlog_is_decided_while_the_worker_of_the_lookup_does_not_start(kafka: LocalKafka, tmp_path: Path) -> None:
    path = tmp_path / "cold.yaml"
    (port,) = free_ports(1)
    path.write_text(PIPELINE.replace("graphed", "cold").format(port=port, deadline=DEADLINE_MS), encoding="utf-8")
    pipeline = on_kafka(path, kafka)
    topic, decisions = pipeline.decided.topic, pipeline.topics.decisions
    send(kafka, [(topic, *one) for one in payments(0, BACKLOG)])
    awake = tmp_path / "awake"
    settings = {**SETTINGS, "python.executable": str(sleepy(tmp_path, awake))}
    # A checkpoint would wait for the worker.
    settings["execution.checkpointing.interval"] = "10 min"
    with (
        double(port, honest) as server,
        Reader(kafka, decisions) as reader,
        LocalJob(path, pipeline, tmp_path / "job", settings=settings),
    ):
        made = reader.values[decisions]
        assert reader.wait(lambda: len(made) >= BACKLOG), f"{len(made)} of {BACKLOG} decided"
        assert [one["degraded"] for one in made] == [["graph"]] * BACKLOG
        assert server.calls == 0
        awake.touch()
        ends = time.monotonic() + 60
        while made[-1]["degraded"]:
            assert time.monotonic() < ends
            paid = len(made)
            send(kafka, [(topic, *one) for one in payments(paid, 1)])
            assert reader.wait(lambda paid=paid: len(made) > paid)
        ids = [one["transaction_id"] for one in made]
        assert len(ids) == len(set(ids))
