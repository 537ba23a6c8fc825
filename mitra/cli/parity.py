"""`mitra parity PIPELINE --log DIR`: the served features computed again from the records, and how often they differ."""

import argparse
import dataclasses
from pathlib import Path

from mitra.cli.console import print_json, print_table, progress_bar
from mitra.cli.span import add_span, span_of
from mitra.pipeline import load_pipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.usage = "mitra parity PIPELINE --log DIR [--from TIME] [--to TIME] [--json]"
    parser.add_argument("pipeline", type=Path, metavar="PIPELINE", help="the pipeline file that the job ran with")
    add_span(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Compare, and tell; the status is 1 if a value differs without a race, or a record is not in the log."""
    from mitra.log.parity import compare  # noqa: PLC0415 - arguments are checked first

    from_ms, to_ms = span_of(args)
    with progress_bar() as progress:
        found = compare(
            load_pipeline(args.pipeline),
            args.log,
            from_ms=from_ms,
            to_ms=to_ms,
            progress=lambda done, of: progress("computing again", done, of),
        )
    if args.json:
        print_json({**dataclasses.asdict(found), "unexplained": found.unexplained})
    else:
        rows = [
            [
                name,
                f"{one.unexplained / max(found.compared, 1):.4%}",
                str(one.unexplained),
                str(one.raced),
                _example(one.examples),
            ]
            for name, one in found.differences.items()
            if one.unexplained or one.raced
        ]
        if rows:
            print_table(["feature", "rate", "differ", "raced", "for example"], rows)
        print(
            f"{found.compared:,} payments compared, {len(found.differences)} features each: {found.unexplained:,} values "
            f"differ; {found.raced:,} payments raced; {found.missing:,} have no record in the log"
        )
    return 1 if found.unexplained or found.missing else 0


def _example(examples: "list[tuple[str, object, object]]") -> str:
    if not examples:
        return ""
    id, served, computed = examples[0]
    return f"{id}: served {served}, computed {computed}"
