"""The stages without Flink on the workload of `python -m bench`: how long each takes for a payment, on one thread.

    python -m bench.wired [--payments N] [--batch N] [--buckets N] [--log] [--json]

What Flink, Kafka and RocksDB add is the difference to what `python -m bench` measures.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.workload import Payments, write_pipeline
from mitra.blueprint import Blueprint
from mitra.decide import State
from mitra.held_records import HeldRecords
from mitra.history import MemoryStore
from mitra.lane import Lane
from mitra.pipeline import load_pipeline
from mitra.stages.decide import DecideStage, Output
from mitra.stages.history import HistoryStage
from mitra.stages.intake import FIELD_SEPARATOR, Intake

DAY_MS = 86_400_000


class Stages:
    """Intake, history and decide, wired in memory; `seconds` is the CPU time that each has taken."""

    def __init__(self, blueprint: Blueprint) -> None:
        """Compile the stages; state is in dicts."""
        job = blueprint.pipeline.job
        self._topic = blueprint.pipeline.decided.topic
        self._lane = Lane(0)
        self._intake = Intake(blueprint)
        self._history = HistoryStage(blueprint, 1 << 30)
        self._history.warm_up()
        self._decide = DecideStage(blueprint)
        self._stores = [MemoryStore() for _ in range(job.buckets)]
        self._states = [State(*(MemoryStore() for _ in range(4))) for _ in range(job.buckets)]
        self._held = HeldRecords(MemoryStore())
        self._offset = 0
        self._log = blueprint.log_columns
        self.seconds = {"intake": 0.0, "history": 0.0, "decide": 0.0, **({} if self._log is None else {"log": 0.0})}

    def process(self, values: list[bytes]) -> Iterator[Output]:
        """Take one batch through all stages."""
        clock = time.thread_time
        records = []
        for value in values:
            self._offset += 1
            fields = (self._topic, "0", str(self._offset), "2026-01-01 00:00:00.000", "V" + value.decode("latin-1"))
            records.append(FIELD_SEPARATOR.join(fields))
        began = clock()
        routed = list(self._intake.process(self._lane, records, self._held))
        self.seconds["intake"] += (now := clock()) - began
        began = now
        parts: dict[int, list[bytes]] = {}
        for bucket, blob in routed:
            for target, part in self._history.process(bucket, self._stores[bucket], (blob,)):
                parts.setdefault(target, []).append(part)
        self.seconds["history"] += (now := clock()) - began
        began = now
        outputs = [
            self._encoded(self._decide.process(bucket, self._states[bucket], blobs)) for bucket, blobs in parts.items()
        ]
        self.seconds["decide"] += (now := clock()) - began
        if self._log is not None:
            for out in outputs:
                self._log.rows(out.decided)
            self.seconds["log"] += clock() - now
        yield from outputs

    @staticmethod
    def _encoded(out: Output) -> Output:
        out.decisions  # noqa: B018 - encodes them, as the operator does
        return out


def batches(payments: Payments, size: int, start_ms: int, step_ms: float) -> Iterator[list[bytes]]:
    """Return the payments' values in batches; the turn of payment i is at `start_ms + i * step_ms`."""
    for first in range(0, len(payments), size):
        last = min(first + size, len(payments))
        yield [payments.encode(number, int(start_ms + number * step_ms))[1] for number in range(first, last)]


def measure(blueprint: Blueprint, count: int, size: int) -> dict[str, float]:
    """Return the microseconds a payment takes in each stage, after as many payments to warm up."""
    stages = Stages(blueprint)
    start_ms = int(time.time() * 1000) - 30 * DAY_MS
    step_ms = 30 * DAY_MS / (2 * count)
    for part, name in enumerate(("warm", "measured")):
        stages.seconds = dict.fromkeys(stages.seconds, 0.0)
        for values in batches(Payments.draw(name, count, part), size, int(start_ms + part * count * step_ms), step_ms):
            for _ in stages.process(values):
                pass
    return {stage: seconds / count * 1e6 for stage, seconds in stages.seconds.items()}


def main() -> None:
    """Measure and tell."""
    from bench.scorer import scorer  # noqa: PLC0415 - it needs the stages above

    parser = argparse.ArgumentParser(prog="python -m bench.wired", description=__doc__, allow_abbrev=False)
    parser.add_argument("--payments", type=int, default=30_000, help="(default: 30,000)")
    parser.add_argument("--batch", type=int, action="append", help="payments a batch (default: 4, 40 and 400)")
    parser.add_argument("--buckets", type=int, default=8, help="(default: 8)")
    parser.add_argument("--log", action="store_true", help="make the rows of a log besides")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = {}
    with TemporaryDirectory(prefix="mitra-bench-") as folder:
        path = write_pipeline(
            Path(folder) / "pipeline.yaml", {"buckets": args.buckets}, scorer(), log=Path("log") if args.log else None
        )
        blueprint = Blueprint.of(load_pipeline(path))
        for size in args.batch or (4, 40, 400):
            found[size] = measure(blueprint, args.payments, size)
            if not args.json:
                text = "  ".join(f"{stage} {value:6.1f}" for stage, value in found[size].items())
                print(f"batch {size:5}  {text}  all {sum(found[size].values()):6.1f} µs a payment", flush=True)
    if args.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
