"""`mitra bootstrap PIPELINE --log DIR`: a new job's histories out of the log, as a savepoint to start from."""

import argparse
import dataclasses
import sys
from pathlib import Path

from mitra.cli.console import print_json
from mitra.cli.replay import check_parallelism


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.usage = "mitra bootstrap PIPELINE --log DIR --savepoints DIR [options]"
    parser.add_argument("pipeline", type=Path, metavar="PIPELINE", help="the pipeline file of the new job")
    parser.add_argument(
        "--log", type=Path, required=True, metavar="DIR", help="the folder that the older job's log lies in"
    )
    parser.add_argument(
        "--savepoints", type=Path, required=True, metavar="DIR", help="the folder to write the savepoint into"
    )
    parser.add_argument("--bootstrap", metavar="HOST:PORT", help="another Kafka than the pipeline's")
    parser.add_argument("--model", type=Path, metavar="DIR", help="another model than the pipeline's")
    parser.add_argument("--parallelism", type=int, default=1, metavar="N", help="1, 2, 4, 8 or 16 (default: 1)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Fill the histories and print where the savepoint is."""
    from mitra.log.bootstrap import bootstrap  # noqa: PLC0415 - arguments are checked first

    check_parallelism(args.parallelism)
    filled = bootstrap(
        args.pipeline,
        args.log,
        args.savepoints,
        kafka=args.bootstrap,
        model=args.model,
        parallelism=args.parallelism,
        progress=lambda step: print(step, file=sys.stderr, flush=True),
    )
    if args.json:
        print_json(dataclasses.asdict(filled))
    else:
        print(f"{filled.events:,} events and {filled.labels:,} labels are in the histories\n{filled.savepoint}")
    return 0
