"""`mitra replay PIPELINE --transactions FILE… --output DIR`: the job over files, a row for each transaction."""

import argparse
import dataclasses
from pathlib import Path

from mitra.cli.console import print_json, progress_bar
from mitra.duration import parse_duration_ms
from mitra.errors import MitraError

PARALLELISMS = (1, 2, 4, 8, 16)
"""Powers of two, as far as the network memory of a local mini cluster reaches."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    # argparse would put PIPELINE behind the options, where --transactions takes it for a file of its own.
    parser.usage = "mitra replay PIPELINE --transactions FILE… --output DIR [options]"
    parser.add_argument("pipeline", type=Path, metavar="PIPELINE", help="the pipeline file")
    parser.add_argument(
        "--transactions", type=Path, nargs="+", required=True, metavar="FILE", help="Parquet, CSV or JSON lines"
    )
    parser.add_argument(
        "--labels", type=Path, nargs="+", default=[], metavar="FILE", help="the labels, by transaction id"
    )
    parser.add_argument(
        "--label-delay",
        metavar="TIME",
        help="how long after its transaction a label is known, such as 7d, where the file doesn't say",
    )
    parser.add_argument("--model", type=Path, metavar="DIR", help="another model than the pipeline's")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder to write into")
    parser.add_argument("--parallelism", type=int, default=1, metavar="N", help="1, 2, 4, 8 or 16 (default: 1)")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(args: argparse.Namespace) -> int:
    """Replay, with a progress bar, and print what it came to."""
    from mitra.replay.run import run_replay  # noqa: PLC0415 - arguments are checked before heavy modules are loaded

    if args.parallelism not in PARALLELISMS:
        raise MitraError(f"--parallelism={args.parallelism} can't be used; take {', '.join(map(str, PARALLELISMS))}")
    for path in [*args.transactions, *args.labels]:
        if not path.is_file():
            raise MitraError(f"there is no file {path}")
    delay = None if args.label_delay is None else parse_duration_ms(args.label_delay)
    if args.label_delay is not None and delay is None:
        raise MitraError(f"--label-delay={args.label_delay} is no duration; write it like 7d, 12h or 30m")
    with progress_bar() as progress:
        result = run_replay(
            args.pipeline,
            args.transactions,
            args.output,
            labels=args.labels,
            label_delay_ms=delay,
            model=args.model,
            parallelism=args.parallelism,
            progress=progress,
        )
    if args.json:
        print_json(dataclasses.asdict(result))
    else:
        rate = result.transactions / result.seconds if result.seconds else 0.0
        print(
            f"{result.transactions:,} transactions: {result.decisions:,} decisions ({result.duplicates:,} duplicates), "
            f"{result.dead_letters:,} dead letters, in {result.seconds:.1f} s ({rate:,.0f}/s)\n{args.output}"
        )
    return 0
