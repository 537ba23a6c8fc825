"""`mitra profiles push PIPELINE NAME FILE`: facts of entities from a file to the profile's topic."""

import argparse
import time
from pathlib import Path

from mitra.cli.console import print_json, progress_bar
from mitra.cli.span import known_by_ms
from mitra.pipeline import load_pipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own commands."""
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", dest="action", required=True)
    does = "send a file's rows to the profile's topic: all of them, or none if one is wrong"
    push = actions.add_parser("push", help=does, description=f"{does[0].upper()}{does[1:]}.", allow_abbrev=False)
    push.add_argument("pipeline", type=Path, metavar="PIPELINE", help="the pipeline file")
    push.add_argument("name", metavar="NAME", help="the profile's name")
    push.add_argument(
        "file", type=Path, metavar="FILE", help="CSV, JSON lines or Parquet; the text ones may be gzipped"
    )
    push.add_argument("--as-of", metavar="TIME", help="since when rows hold that don't say so (default: now)")
    push.add_argument("--bootstrap", metavar="HOST:PORT", help="another Kafka than the pipeline's")
    push.add_argument("--check", action="store_true", help="only check the file, send nothing")
    push.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(args: argparse.Namespace) -> int:
    """Check all rows, send them, tell how many."""
    from mitra.profiles import profile_of, read_updates, send_updates  # noqa: PLC0415 - tables are loaded when needed

    pipeline = load_pipeline(args.pipeline, args.bootstrap)
    profile = profile_of(pipeline, args.name)
    as_of_ms = int(time.time() * 1000) if args.as_of is None else known_by_ms(args.as_of, "--as-of")
    with progress_bar() as progress:
        updates = read_updates(args.file, profile, pipeline.limits, as_of_ms, progress)
        if not args.check:
            send_updates(pipeline, profile, updates, progress)
    sent = 0 if args.check else len(updates)
    if args.json:
        print_json({"profile": profile.name, "topic": profile.topic, "rows": len(updates), "sent": sent})
    elif args.check:
        print(f"{len(updates):,} rows can be sent to {profile.topic}")
    else:
        print(f"{sent:,} rows sent to {profile.topic}")
    return 0
