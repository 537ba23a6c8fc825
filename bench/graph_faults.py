"""A graph service that fails in six ways under load: `python -m bench.graph_faults [--rate 300] [--seconds 30] [--only killed,hung]`.

Each fault lasts for so many seconds; then the service is whole again. Prints for each how late the latest payment was decided
meanwhile, how many were not marked as degraded, and how soon the last degraded one was paid behind the service's return.
Answers are not kept: an answer out of the cache is whole, so nothing would be degraded for as long as one is good.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from bench.graph_double import BEHAVIOURS
from bench.graph_rig import GraphRig, Service, Traffic

BAR_MS = 200.0
RECOVERED_S = 5.0
_BEFORE_S = 3.0
_AFTER_S = 8.0
_SETTLE_S = 0.3
"""Behind a fault's beginning: what was asked just before may have its answer."""


@contextmanager
def _killed(rig: GraphRig) -> Iterator[None]:
    rig.service.stop(signal.SIGKILL)
    yield
    rig.service.start()


@contextmanager
def _stopped(rig: GraphRig) -> Iterator[None]:
    """The kernel accepts calls for a process that is stopped; nobody ever answers them."""
    rig.service.send(signal.SIGSTOP)
    yield
    rig.service.send(signal.SIGCONT)


@contextmanager
def _restarted(rig: GraphRig) -> Iterator[None]:
    rig.service.stop()
    rig.service.start()
    yield


def _double(name: str) -> Callable[[GraphRig], "Iterator[None]"]:
    @contextmanager
    def fault(rig: GraphRig) -> Iterator[None]:
        double = Service(["bench.graph_double", rig.address, name])
        rig.service.stop(signal.SIGKILL)
        double.start()
        try:
            yield
        finally:
            double.stop(signal.SIGKILL)
            rig.service.start()

    return fault  # type: ignore[return-value]


FAULTS = {
    "killed": _killed,
    "stopped": _stopped,
    **{name: _double(name) for name in BEHAVIOURS},
    "restarted": _restarted,
}


def measure(rig: GraphRig, name: str, rate: int, seconds: float) -> dict[str, object]:
    """Return what became of payments before, during and after a fault."""
    run = rig.begin(rate, _BEFORE_S + seconds + _AFTER_S)
    _until(run.start_s + _BEFORE_S)
    began_s = time.perf_counter()
    with FAULTS[name](rig):  # type: ignore[attr-defined]
        if name != "restarted":
            _until(began_s + seconds)
    healed_s = time.perf_counter()
    return {"fault": name, "seconds": round(healed_s - began_s, 1), **told(run.finish(), began_s, healed_s, name)}


def told(traffic: Traffic, began_s: float, healed_s: float, name: str) -> dict[str, object]:
    """Return a fault's figures."""
    during = (
        traffic.between(began_s + _SETTLE_S, healed_s) if name != "restarted" else traffic.between(began_s, healed_s)
    )
    behind = traffic.between(healed_s, np.inf)
    last = traffic.due_s[behind & traffic.degraded]
    before = traffic.between(0, began_s)
    latencies, inside = traffic.latency_ms(during | behind), traffic.inside_ms[during | behind]
    found = {
        "payments": len(traffic.due_s),
        "lost": traffic.lost,
        "doubled": traffic.doubled,
        "degraded_before": int(traffic.degraded[before].sum()),
        "not_degraded": int((during & ~traffic.degraded).sum()),
        "latest_ms": round(float(latencies.max(initial=0)), 1),
        "p99_ms": round(float(np.percentile(latencies, 99)), 1) if len(latencies) else None,
        "latest_inside_ms": round(float(inside.max(initial=0)), 1),
        "recovered_s": round(float(last.max(initial=healed_s) - healed_s), 2),
    }
    # Who restarts is away for a moment only: what was asked before and after it has its answer.
    marked = name == "restarted" or found["not_degraded"] == 0
    found["met"] = bool(
        not found["lost"] and marked and found["latest_ms"] <= BAR_MS and found["recovered_s"] <= RECOVERED_S
    )
    return found


def _until(moment_s: float) -> None:
    time.sleep(max(0.0, moment_s - time.perf_counter()))


def main() -> int:
    """Measure all, or some; 0 if nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rate", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--only", default=",".join(FAULTS), help=f"some of {','.join(FAULTS)}")
    args = parser.parse_args()
    names = args.only.split(",")
    if unknown := [name for name in names if name not in FAULTS]:
        parser.error(f"no fault {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    lost = 0
    with GraphRig(customers=5_000) as rig:
        cold = rig.begin(args.rate, 15.0).finish(60.0)
        start = {"payments": len(cold.due_s), "lost": cold.lost, "degraded": int(cold.degraded.sum())}
        every = np.ones(len(cold.due_s), np.bool_)
        latest_ms = round(float(cold.latency_ms(every).max(initial=0)), 1)
        last_s = float(cold.due_s[cold.degraded].max(initial=cold.due_s[0]) - cold.due_s[0])
        print(
            json.dumps({"fault": "a cold start", **start, "latest_ms": latest_ms, "degraded_s": round(last_s, 1)}),
            flush=True,
        )
        for name in names:
            found = measure(rig, name, args.rate, args.seconds)
            lost += int(found["lost"])  # type: ignore[call-overload]
            print(json.dumps(found), flush=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
