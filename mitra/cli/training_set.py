"""`mitra training-set PIPELINE --log DIR`: features as served with the labels known by a given time, for `mitra train`."""

import argparse
import dataclasses
import time
from pathlib import Path

from mitra.cli.console import print_json
from mitra.cli.replay import label_delay_ms
from mitra.cli.span import add_span, known_by_ms, span_of
from mitra.errors import MitraError
from mitra.pipeline import load_pipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.usage = "mitra training-set PIPELINE --log DIR --from TIME --to TIME --output DIR [options]"
    parser.add_argument("pipeline", type=Path, metavar="PIPELINE", help="the pipeline file that the job ran with")
    add_span(parser)
    parser.add_argument(
        "--labels", type=Path, nargs="+", default=[], metavar="FILE", help="the labels; those of the log, if not given"
    )
    parser.add_argument(
        "--label-delay", metavar="TIME", help="how long after its transaction an undated label is known"
    )
    parser.add_argument(
        "--known-by", metavar="TIME", help="labels that became known later don't count; now, if not given"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder to write into")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(args: argparse.Namespace) -> int:
    """Write the training set and tell what is in it."""
    from mitra.log.training_set import write_training_set  # noqa: PLC0415 - arguments are checked first

    for path in args.labels:
        if not path.is_file():
            raise MitraError(f"there is no file {path}")
    from_ms, to_ms = span_of(args)
    written = write_training_set(
        load_pipeline(args.pipeline),
        args.log,
        args.output,
        from_ms=from_ms,
        to_ms=to_ms,
        known_by_ms=int(time.time() * 1000) if args.known_by is None else known_by_ms(args.known_by),
        labels=tuple(args.labels),
        label_delay_ms=label_delay_ms(args.label_delay),
    )
    if args.json:
        print_json(dataclasses.asdict(written))
    else:
        print(
            f"{written.payments:,} payments, {written.labelled:,} labels known by then, {written.frauds:,} frauds\n"
            f"{args.output}: mitra train … --features {args.output}"
        )
    return 0
