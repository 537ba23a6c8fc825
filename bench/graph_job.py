"""The whole job with a graph of a million links: `python -m bench.graph_job [--rate 500] [--seconds 60]`.

A real Kafka, the job, the embedded graph service and the load share this machine. Each payment asks about three nodes; its
features read eight of the answers. Prints how long payments took, how many nodes were answered out of the cache, and the CPU
time that each process took for a payment.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.graph_lookup import make
from bench.graph_rig import GraphRig
from bench.load import percentiles
from bench.usage import Watch

BARS_MS = {"p50": 35.0, "p99": 80.0}
HITS_AT_MOST = 0.5


def measure(rig: GraphRig, rate: int, warm_s: float, seconds: float) -> dict[str, Any]:
    """Return the figures of payments at a fixed rate, without those of the warm-up."""
    processes = {"job": rig.job.process.pid, "broker": rig.kafka.pid, "service": rig.service.pid}
    rig.begin(rate, warm_s).finish()
    with Watch(processes) as watch:
        began_ms = time.time() * 1000
        run = rig.begin(rate, seconds)
        traffic = run.finish()
    every = np.ones(len(traffic.due_s), np.bool_)
    lookups = [one["lookups"] for one in rig.monitored("graph") if "lookups" in one and one["from"] >= began_ms]
    asked = {name: sum(one[name] for one in lookups) for name in ("hits", "joined", "misses", "timeouts", "errors")}
    nodes = asked["hits"] + asked["joined"] + asked["misses"]
    latency = percentiles(traffic.latency_ms(every))
    hits = round(asked["hits"] / nodes, 3) if nodes else None
    return {
        "rate": rate,
        "payments": len(traffic.due_s),
        "lost": traffic.lost,
        "degraded": int(traffic.degraded.sum()),
        "latency_ms": latency,
        "inside_ms": percentiles(traffic.inside_ms[traffic.received_s > 0]),
        "nodes": asked,
        "cache_hits": hits,
        "call_p50_ms": [one["p50_ms"] for one in lookups],
        "call_p99_ms": [one["p99_ms"] for one in lookups],
        "cpu_us_per_payment": {
            name: round(used["cpu_s"] / len(traffic.due_s) * 1e6) for name, used in watch.result().items()
        },
        "met": bool(
            not traffic.lost
            and hits is not None
            and hits <= HITS_AT_MOST
            and all(latency[name] <= bar for name, bar in BARS_MS.items())
        ),
    }


def main() -> int:
    """Measure; 0 if nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--links", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--warm", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cache-age", default="2s")
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        start_ms = int(time.time() * 1000) - 500 * args.links
        print(json.dumps(make(args.links, args.customers, Path(folder), start_ms)), flush=True)
        with GraphRig(customers=args.customers, cache_age=args.cache_age, data=Path(folder)) as rig:
            found = measure(rig, args.rate, args.warm, args.seconds)
    print(json.dumps(found))
    return 1 if found["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
