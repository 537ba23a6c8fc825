"""`mitra run PIPELINE`: the job on a local mini cluster, against the pipeline's Kafka."""

import argparse
import signal
import threading
from pathlib import Path

from mitra.errors import MitraError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("pipeline", type=Path, metavar="PIPELINE", help="the pipeline file")
    parser.add_argument("--bootstrap", metavar="HOST:PORT", help="another Kafka than the pipeline's")
    parser.add_argument("--model", type=Path, metavar="DIR", help="another model than the pipeline's")
    parser.add_argument(
        "--parallelism", type=int, default=1, metavar="N", help="1, 2, 4 … up to the buckets (default: 1)"
    )
    parser.add_argument(
        "--data", type=Path, default=Path("mitra-run"), metavar="DIR", help="logs and checkpoints (default: mitra-run)"
    )
    parser.add_argument("--fresh", action="store_true", help="start without state, though there is a checkpoint in DIR")
    parser.add_argument(
        "--restore", metavar="URI", help="start from this savepoint where there is no checkpoint in DIR yet"
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="end after this time (default: at Ctrl-C)")


def run(args: argparse.Namespace) -> int:
    """Run the job until Ctrl-C, SIGTERM or the end of the time. It goes on from the last checkpoint in DIR."""
    from mitra.blueprint import Blueprint, model_files  # noqa: PLC0415 - `mitra --help` answers without these
    from mitra.control.beginning import require_whole  # noqa: PLC0415
    from mitra.kafka_clients import log_span  # noqa: PLC0415
    from mitra.local.job import LocalJob  # noqa: PLC0415
    from mitra.pipeline import load_pipeline  # noqa: PLC0415
    from mitra.topics import require_topics  # noqa: PLC0415

    pipeline = load_pipeline(args.pipeline, args.bootstrap)
    if not 1 <= args.parallelism <= pipeline.job.buckets:
        raise MitraError(
            f"--parallelism={args.parallelism} can't be used: the pipeline has job.buckets={pipeline.job.buckets}, "
            "which bounds it"
        )
    # What is wrong with a feature's text is told here, and not by a job that has just begun to start.
    _ = Blueprint(pipeline, model_files(pipeline, args.model)).compiled
    require_topics(pipeline)
    job = LocalJob(args.pipeline, pipeline, args.data, model=args.model, parallelism=args.parallelism)
    restore = args.restore if args.fresh else job.last_checkpoint() or args.restore
    if restore is None:
        require_whole(pipeline, log_span(pipeline, pipeline.topics.control))
    job = LocalJob(args.pipeline, pipeline, args.data, model=args.model, parallelism=args.parallelism, restore=restore)
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        print(f"starting {pipeline.name} from {restore or 'the beginning: there is no state'}", flush=True)
        job.start(stopped=stopped.is_set)
        if stopped.is_set():
            return 0
        print(f"scoring: a probe has passed all stages; logs and checkpoints in {job.folder}", flush=True)
        left_s = args.seconds if args.seconds is not None else float("inf")
        while left_s > 0 and not stopped.wait(min(1.0, left_s)):
            left_s -= 1.0
            job.check()
    finally:
        job.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0
