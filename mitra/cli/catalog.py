"""`mitra catalog PIPELINE`: its events, entities, features and lists, and the rules that use them, as a page."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mitra.cli.changing import add_reading, open_session
from mitra.cli.console import print_json
from mitra.pipeline import load_pipeline

if TYPE_CHECKING:
    from mitra.catalog import Catalog


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_reading(parser)
    parser.add_argument(
        "--live", action="store_true", help="with what is live now: rules, lists, features put at run time"
    )
    parser.add_argument("--model", type=Path, metavar="DIR", help="another model than the pipeline's")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write into a file (default: print)")


def run(args: argparse.Namespace) -> int:
    """Make the page and print it."""
    from mitra.catalog import document  # noqa: PLC0415 - the expression compiler is loaded when needed
    from mitra.catalog_page import page  # noqa: PLC0415

    catalog = _catalog(args)
    if args.output is not None:
        args.output.write_text(page(catalog), encoding="utf-8")
    if args.json:
        print_json(document(catalog))
    elif args.output is None:
        sys.stdout.write(page(catalog))
    return 0


def _catalog(args: argparse.Namespace) -> "Catalog":
    from mitra.catalog import make_catalog  # noqa: PLC0415

    if not args.live and args.bootstrap is None:
        return make_catalog(load_pipeline(args.pipeline), model=args.model)
    with open_session(args) as session:
        replay = session.replay
    live = replay.live
    entries = {name: len(replay.entries_of(one.mark)) for name, one in live.lists.items()}
    return make_catalog(session.pipeline, live, replay.head, entries, args.model)
