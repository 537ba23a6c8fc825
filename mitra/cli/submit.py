"""`mitra submit PIPELINE --jobmanager HOST:PORT`: the job on a Flink cluster, proven by a probe."""

import argparse
import sys
import time
from pathlib import Path

from mitra.errors import MitraError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("pipeline", type=Path, metavar="PIPELINE", help="the pipeline file")
    parser.add_argument(
        "--jobmanager", required=True, metavar="HOST:PORT", help="the cluster's JobManager: its REST port, often 8081"
    )
    parser.add_argument("--bootstrap", metavar="HOST:PORT", help="another Kafka than the pipeline's")
    parser.add_argument("--model", type=Path, metavar="DIR", help="another model than the pipeline's")
    parser.add_argument(
        "--parallelism", type=int, default=1, metavar="N", help="1, 2, 4 … up to the buckets (default: 1)"
    )
    parser.add_argument("--restore", metavar="PATH", help="the savepoint or checkpoint to go on from")
    parser.add_argument(
        "--checkpoints", metavar="URI", help="the folder for checkpoints, seen by all (default: the cluster's own)"
    )
    parser.add_argument(
        "--python", metavar="PATH", help="the Python on the TaskManagers (default: the path of this one)"
    )
    parser.add_argument(
        "--timeout", type=float, default=180.0, metavar="S", help="seconds to wait for the probe (default: 180)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print job, jobmanager, parallelism, restored and seconds as JSON"
    )


def run(args: argparse.Namespace) -> int:
    """Submit, and return when a probe has passed all stages."""
    from mitra.cli.console import print_json  # noqa: PLC0415 - `mitra --help` answers without these
    from mitra.cluster.submit import submit  # noqa: PLC0415

    if args.timeout <= 0:
        raise MitraError(f"--timeout={args.timeout:g} is no time; take more than 0")
    started = time.monotonic()
    job = submit(
        args.pipeline,
        args.jobmanager,
        bootstrap=args.bootstrap,
        model=args.model,
        parallelism=args.parallelism,
        restore=args.restore,
        checkpoints=args.checkpoints,
        python=args.python,
        timeout_s=args.timeout,
        tell=lambda text: print(text, file=sys.stderr if args.json else sys.stdout, flush=True),
    )
    if args.json:
        print_json(
            {
                "job": job,
                "jobmanager": args.jobmanager,
                "parallelism": args.parallelism,
                "restored": args.restore,
                "seconds": round(time.monotonic() - started, 1),
            }
        )
    else:
        print(f"job {job} scores: a probe has passed all its stages")
    return 0
