"""`mitra demo`: Kafka, the job and sample payments on this machine, with a live table."""

import argparse
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from mitra.errors import MitraError

DRAIN_S = 20.0
RATE = 200.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--seconds", type=float, metavar="N", help="end after N seconds of traffic (default: at Ctrl-C)"
    )
    parser.add_argument(
        "--rate", type=float, default=RATE, metavar="N", help=f"payments a second (default: {RATE:.0f})"
    )
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="seed of the sample payments (default: 7)")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one line of JSON at the end, sent, decided, dead_letters, p50_ms, p99_ms, and how it goes on stderr",
    )


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 if every payment sent was answered."""
    from mitra.cli.console import print_json  # noqa: PLC0415 - `mitra --help` answers without these
    from mitra.demo.beginning import put_live  # noqa: PLC0415
    from mitra.demo.screen import screen_for  # noqa: PLC0415
    from mitra.demo.tally import percentiles_ms  # noqa: PLC0415
    from mitra.demo.traffic import Traffic  # noqa: PLC0415
    from mitra.local.files import shipped  # noqa: PLC0415
    from mitra.local.job import LocalJob  # noqa: PLC0415
    from mitra.local.kafka import LocalKafka  # noqa: PLC0415
    from mitra.pipeline import load_pipeline  # noqa: PLC0415
    from mitra.topic_plan import needed_topics  # noqa: PLC0415
    from mitra.topics import topics_client  # noqa: PLC0415

    if args.seconds is not None and args.seconds <= 0:
        raise MitraError(f"--seconds={args.seconds:g} is no time; take more than 0")
    if args.rate <= 0:
        raise MitraError(f"--rate={args.rate:g} sends nothing; take more than 0")
    told = sys.stderr if args.json else sys.stdout

    def say(line: str) -> None:
        print(line, file=told, flush=True)

    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    path = shipped("examples/payments/pipeline.yaml")
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mitra-demo-")))
            say("starting Kafka …")
            kafka = stack.enter_context(LocalKafka(brief=True))
            pipeline = load_pipeline(path, kafka.bootstrap)
            with topics_client(pipeline) as client:
                client.create(needed_topics(pipeline))
            put_live(pipeline, path.parent / "sequences")
            say(f"Kafka serves {kafka.bootstrap}; starting the job: Flink, and what it compiles …")
            began = time.monotonic()
            job = LocalJob(path, pipeline, folder, brief=True)
            stack.callback(job.stop)
            if not stopped.is_set():
                job.start(stopped=stopped.is_set)
            if stopped.is_set():
                say("ended before the job scored; nothing was sent")
                return 0
            say(f"the job scores after {time.monotonic() - began:.0f} s: a probe has passed all its stages")
            traffic = Traffic(pipeline, args.rate, args.seed)
            stack.callback(traffic.stop)
            traffic.start()
            end = float("inf") if args.seconds is None else time.monotonic() + args.seconds
            with screen_for(told) as screen:
                while time.monotonic() < end and not stopped.wait(0.25):
                    job.check()
                    kafka.check()
                    if traffic.error is not None:
                        raise traffic.error
                    screen.show(traffic.tally)
                traffic.drain(DRAIN_S)
                screen.show(traffic.tally)
            say("ending the job and Kafka …")
            tally = traffic.tally
            answered = tally.decided + tally.dead_letters
            p50_ms, p99_ms = percentiles_ms(tally.tenths_ms) or (None, None)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    unanswered = tally.sent - answered
    say(
        f"{tally.sent:,} payments and transfers sent, {tally.decided:,} decided, {tally.dead_letters:,} dead letters"
        + (f", {unanswered:,} without an answer {DRAIN_S:.0f} s later" if unanswered > 0 else "")
    )
    if args.json:
        print_json(
            {
                "sent": tally.sent,
                "decided": tally.decided,
                "dead_letters": tally.dead_letters,
                "p50_ms": None if p50_ms is None else round(p50_ms, 1),
                "p99_ms": None if p99_ms is None else round(p99_ms, 1),
            }
        )
    return 0 if unanswered <= 0 else 1
