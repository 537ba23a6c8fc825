"""`mitra kafka`: a real single-node Kafka for development, until Ctrl-C."""

import argparse
import signal
import threading
from pathlib import Path

from mitra.local.kafka import LocalKafka


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="keep the topics in this folder (default: forget them at the end)"
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="end after this time (default: at Ctrl-C)")


def run(args: argparse.Namespace) -> int:
    """Run the broker until Ctrl-C, SIGTERM or the end of the time, and return the exit status."""
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with LocalKafka(args.data, port=args.port) as kafka:
            print(kafka.bootstrap, flush=True)
            left_s = args.seconds if args.seconds is not None else float("inf")
            while left_s > 0 and not stopped.wait(min(1.0, left_s)):
                left_s -= 1.0
                kafka.check()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0
