"""Microseconds of CPU a transaction in intake, history and decide, by batch size: `python -m bench.stages`.

No Flink, no model: what the stages themselves cost. A batch of n records goes through intake; its messages through history,
bucket by bucket; their answers through decide, bucket by bucket, as if they had met in one window.
"""

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from mitra.blueprint import Blueprint
from mitra.decide import State
from mitra.held_records import HeldRecords
from mitra.history import MemoryStore
from mitra.lane import Lane
from mitra.pipeline import Pipeline, load_pipeline
from mitra.stages.decide import DecideStage
from mitra.stages.history import HistoryStage
from mitra.stages.intake import FIELD_SEPARATOR, Intake

PIPELINE = Path(__file__).parent.parent / "examples" / "payments" / "pipeline.yaml"
BATCHES = (4, 64, 1024)
CUSTOMERS, TERMINALS, DEVICES = 5_000, 500, 4_000
STAGES = ("intake", "history", "decide")


def records(pipeline: Pipeline, count: int, seed: int) -> Iterator[str]:
    """Yield payments of examples/payments as source records."""
    rng = random.Random(seed)
    encode = msgspec.json.Encoder().encode
    start_ms = 1_700_000_000_000
    topic = pipeline.decided.topic
    for number in range(count):
        customer = rng.randrange(CUSTOMERS)
        payment = {
            "transaction_id": f"tx-{seed}-{number:08d}",
            "event_time": start_ms + number * 100 + rng.randrange(50),
            "customer_id": f"customer-{customer}",
            "card_id": f"card-{customer}-{rng.randrange(2)}",
            "terminal_id": f"terminal-{rng.randrange(TERMINALS)}",
            "merchant_id": f"merchant-{rng.randrange(100)}",
            "merchant_category": rng.choice(("grocery", "travel", "electronics")),
            "device_id": f"device-{rng.randrange(DEVICES)}" if rng.random() < 0.5 else None,
            "amount": round(rng.lognormvariate(3, 1), 2),
            "currency": "EUR",
            "country": rng.choice(("DE", "FR", "NL")),
            "lat": 48 + rng.random(),
            "lon": 9 + rng.random(),
            "channel": rng.choice(("pos", "online")),
        }
        value = encode(payment).decode("latin-1")
        yield FIELD_SEPARATOR.join((topic, "0", str(number), "2023-11-14 22:13:20.000", "V" + value))


def measure(blueprint: Blueprint, batch: int, count: int) -> dict[str, float]:
    """Return microseconds a transaction of each stage."""
    intake, history, decide = Intake(blueprint), HistoryStage(blueprint, 256 << 20), DecideStage(blueprint)
    buckets = range(blueprint.pipeline.job.buckets)
    histories = [MemoryStore() for _ in buckets]
    states = [State(*(MemoryStore() for _ in range(4))) for _ in buckets]
    lane, held = Lane(0), HeldRecords(MemoryStore())
    spent = dict.fromkeys(STAGES, 0.0)
    source = list(records(blueprint.pipeline, count, 1))
    decided = 0
    for start in range(0, count, batch):
        times = [time.process_time()]
        routed = list(intake.process(lane, source[start : start + batch], held))
        times.append(time.process_time())
        parts: dict[int, list[bytes]] = defaultdict(list)
        for bucket, message in routed:
            for target, part in history.process(bucket, histories[bucket], (message,)):
                parts[target].append(part)
        times.append(time.process_time())
        for bucket, messages in parts.items():
            decided += len(decide.process(bucket, states[bucket], messages).decisions)
        times.append(time.process_time())
        for place, stage in enumerate(STAGES):
            spent[stage] += times[place + 1] - times[place]
    assert decided == count, f"{decided=} of {count=}"
    return {stage: seconds / count * 1e6 for stage, seconds in spent.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--buckets", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--transactions", type=int, default=8_192)
    arguments = parser.parse_args()
    pipeline = load_pipeline(PIPELINE)
    print(f"{'buckets':>8} {'batch':>6} " + " ".join(f"{stage:>8}" for stage in STAGES) + "  µs a transaction")
    for buckets in arguments.buckets:
        blueprint = Blueprint(replace(pipeline, job=replace(pipeline.job, buckets=buckets), model=None))
        measure(blueprint, 64, 256)
        for batch in BATCHES:
            count = arguments.transactions if batch > BATCHES[0] else arguments.transactions // 4
            spent = measure(blueprint, batch, count)
            print(f"{buckets:>8} {batch:>6} " + " ".join(f"{spent[stage]:8.1f}" for stage in STAGES))


if __name__ == "__main__":
    main()
