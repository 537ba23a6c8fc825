"""`mitra retrain` beside the job: what it costs the payments that are decided meanwhile."""

import os
import signal
import sys
from typing import Any

import duckdb
import numpy as np

from bench.load import percentiles
from bench.rig import Rig
from bench.scorer import scorer
from bench.usage import Watch
from bench.workload import write_pipeline
from mitra.local.process import ChildProcess
from mitra.log.reading import scan

RATE = 300
_BETWEEN_S = 15.0
"""Behind the first phase a load is warm sooner: the job is."""
_LOOP = "import sys; from mitra.cli import main\nwhile main(sys.argv[1:]) == 0: pass"
_SECTIONS = """\
labels: {id: transaction_id, label: is_fraud, absent_is: legit, after: 1d}
retrain: {train: 21d, test: 7d}"""
_FRAUDS = """
copy (
    select transaction_id, hash(transaction_id) % 100 < 40 as is_fraud from decisions
    where customer_distinct_country_30d > 3 and customer_count_by_customer_1d > 2 or hash(transaction_id) % 200 = 0
) to '{path}' (format parquet)
"""
"""What is told apart by features, and a good deal of chance."""


def retrain_beside(rig: Rig, *, phases: int, phase_s: float, warm_s: float) -> dict[str, Any]:
    """Measure 300 payments a second in phases, every other one with `mitra retrain` beside the job, over and over.

    In the phases without it, it is stopped where it is, and goes on in the next one: so each part of it has its turn.
    `p99_ratio` is the p99 of all payments of the phases with it by that of those without.
    """
    retraining = _Retraining(rig)
    taken: dict[bool, list[float]] = {False: [], True: []}
    p99s: dict[bool, list[float]] = {False: [], True: []}
    found: dict[str, Any] = {"sent": 0, "decided": 0, "duplicates": 0}
    try:
        for phase in range(phases):
            beside = bool(phase % 2)
            first_s = _BETWEEN_S if phase else warm_s
            if beside:
                retraining.go_on()
            with Watch({"retrain": retraining.pid}) as watch:
                figures = rig.load(int(RATE * (first_s + phase_s)), RATE, warm_s=first_s, whole=True)
            retraining.pause()
            latencies = [latency for _, latency in figures.pop("moments")]
            taken[beside] += latencies
            p99s[beside].append(round(float(np.percentile(latencies, 99)), 1))
            for name in ("sent", "decided", "duplicates"):
                found[name] += figures[name]
            if beside:
                found |= {"usage": figures["usage"] | watch.result(), "state_bytes": figures["state_bytes"]}
    finally:
        retraining.end()
    with_it, alone = percentiles(taken[True]), percentiles(taken[False])
    return {
        "rate": RATE,
        "seconds": phase_s * phases,
        **found,
        "latency_ms": with_it,
        "alone_ms": alone,
        "p99_ratio": round(with_it["p99"] / alone["p99"], 2),
        "p99s_ms": p99s[True],
        "alone_p99s_ms": p99s[False],
        "rounds": retraining.rounds,
    }


class _Retraining:
    """A process that does what `mitra retrain` does, again and again; stopped at first."""

    def __init__(self, rig: Rig) -> None:
        """Label the log's payments, and begin."""
        if rig.log is None or not list(rig.log.glob("decisions/day=*/part-*")):
            raise SystemExit("the histories were filled without a log; fill them anew, with --log")
        folder = rig.path.parent / "retrain"
        folder.mkdir()
        labels = folder / "labels.parquet"
        with duckdb.connect() as connection:
            scan(connection, rig.log, "decisions")
            connection.execute(_FRAUDS.format(path=labels))
        path = write_pipeline(folder / "pipeline.yaml", rig.job_settings, scorer(), log=rig.log, more=_SECTIONS)
        arguments = ["retrain", str(path), "--labels", str(labels), "--no-push"]
        # Ended by force: one that is stopped doesn't hear that it is asked to.
        self._process = ChildProcess([sys.executable, "-u", "-c", _LOOP, *arguments], log=folder / "said", grace_s=0.1)
        self.pid = self._process.pid
        self.pause()

    def pause(self) -> None:
        """Stop it where it is. Raises SystemExit if it has ended: it failed."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """End it; twice is once."""
        self._process.stop()

    @property
    def rounds(self) -> int:
        """How often it has come to an end."""
        return self._process.log.read_text().count("average precision")

    def _signal(self, number: int) -> None:
        if self._process.status() is not None:
            raise SystemExit(f"mitra retrain failed: {self._process.output()}")
        os.kill(self.pid, number)
