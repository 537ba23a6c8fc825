"""SIGKILL to the job's processes under load: afterwards no payment is undecided, and none is counted twice.

MITRA_CRASH_KILLS and MITRA_CRASH_RATE make it harder than a test run needs: 5 kills at 500 payments a second are the bar.
"""

import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from mitra.local.job import LocalJob
from mitra.local.kafka import LocalKafka
from tests.crash.load import Load
from tests.factories.live import Reader, on_kafka, same, write_pipeline

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("MITRA_CRASH_KILLS", "1"))
RATE = float(os.environ.get("MITRA_CRASH_RATE", "100"))
SEED = int(os.environ.get("MITRA_CRASH_SEED", "1"))
START_S = 300.0
SETTINGS = {"execution.checkpointing.interval": "2 s", "execution.checkpointing.min-pause": "100 ms"}


def kill(job: LocalJob) -> None:
    """Kill the job's Python and its JVM, and wait until both are gone."""
    python = psutil.Process(job.process.pid)
    processes = [python, *python.children(recursive=True)]
    assert any("java" in process.name() for process in processes)
    for process in processes:
        process.kill()
    _, left = psutil.wait_procs(processes, timeout=30)
    assert not left


def test_nothing_is_lost_and_nothing_counts_twice(kafka: LocalKafka, tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, "crash")
    pipeline = on_kafka(path, kafka)
    chance = random.Random(SEED)
    load = Load(kafka, pipeline, RATE, SEED)
    topics = pipeline.topics

    def start(restore: str | None) -> LocalJob:
        job = LocalJob(path, pipeline, tmp_path / "job", restore=restore, settings=SETTINGS)
        return job.start(wait_s=START_S)

    with Reader(kafka, topics.decisions, topics.dead_letters) as reader:
        decisions = reader.values[topics.decisions]
        decided: dict[str, dict[str, Any]] = {}
        seen = 0

        def gather() -> None:
            nonlocal seen
            for decision in decisions[seen:]:
                decided.setdefault(decision["transaction_id"], decision)
            seen = len(decisions)

        def all_decided() -> bool:
            gather()
            return len(decided) >= len(load.truth.features)

        job = start(None)
        try:
            load.start()
            for _ in range(KILLS):
                ends = time.monotonic() + chance.uniform(1.0, 7.0)
                reader.wait(lambda ends=ends: time.monotonic() > ends)
                kill(job)
                job = start(job.last_checkpoint())
            ends = time.monotonic() + 3.0
            reader.wait(lambda: time.monotonic() > ends)
            load.stop()
            assert reader.wait(all_decided, 120.0), f"seed={SEED}: {len(load.truth.features) - len(decided)} undecided"
            # What the histories hold in the end is told by one more payment of each; a label may be on its way yet.
            for wave in range(20):
                last = load.last_of_all(wave)
                assert reader.wait(all_decided)
                found = {payment.customer: decided[payment.id]["features"] for payment in last}
                if all(found[customer]["frauds"] == count for customer, count in load.truth.frauds.items()):
                    break
        finally:
            load.stop()
            job.stop()
    truth = load.truth
    assert decided.keys() == truth.features.keys()
    # Those sent again after a crash as well: they were computed anew, from what the checkpoint held.
    wrong = [
        (id, decision["features"], truth.features[id])
        for decision in decisions
        if (id := decision["transaction_id"]) and not decision["duplicate"]
        if not all(same(decision["features"][name], value) for name, value in truth.features[id].items())
    ]
    assert not wrong, f"seed={SEED}: {len(wrong)} decisions are off, such as {wrong[:3]}"
    assert {c: features["frauds"] for c, features in found.items() if c in truth.frauds} == truth.frauds, f"seed={SEED}"
    for payment in last:
        if payment.terminal != "last":
            counted = decided[payment.id]["features"]["terminal_ever"]
            assert counted == truth.terminal_count[payment.terminal], f"seed={SEED}, terminal={payment.terminal}"
    assert reader.values[topics.dead_letters] == []
    again = len(decisions) - len(decided)
    sys.stdout.write(f"{KILLS} kills at {RATE:g}/s: {len(decided)} payments decided, {again} decisions again\n")
