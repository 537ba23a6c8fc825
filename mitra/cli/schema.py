"""`mitra schema NAME [PIPELINE]`: the JSON Schema of a message."""

import argparse
import sys

from mitra.cli.console import print_json
from mitra.errors import MitraError
from mitra.pipeline import Pipeline, load_pipeline
from mitra.records import SCHEMAS, Schema, event_schema
from mitra.sections import did_you_mean

TRANSACTION = "transaction"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    names = ", ".join([TRANSACTION, *SCHEMAS])
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help=f"{names}, or an event of the pipeline; none: list them"
    )
    parser.add_argument(
        "pipeline", metavar="PIPELINE", nargs="?", help="the pipeline file, for messages that are as a pipeline says"
    )
    parser.add_argument("--json", action="store_true", help="the same: a schema is JSON always")


def run(args: argparse.Namespace) -> int:
    """Print one schema, or the names there are."""
    if args.name is None:
        if args.json:
            print_json([TRANSACTION, *SCHEMAS])
        else:
            print("\n".join([f"{TRANSACTION} PIPELINE", *SCHEMAS]))
        return 0
    pipeline = load_pipeline(args.pipeline) if args.pipeline else None
    print_json(_schema(args.name, pipeline), indent=2)
    sys.stdout.flush()
    return 0


def _schema(name: str, pipeline: Pipeline | None) -> Schema:
    if name in SCHEMAS:
        return SCHEMAS[name](pipeline)
    if pipeline is not None:
        event = pipeline.decided if name == TRANSACTION else pipeline.event(name)
        if event is not None:
            return event_schema(event)
    elif name == TRANSACTION:
        raise MitraError("a transaction is what its pipeline says; name one: mitra schema transaction PIPELINE")
    events = [event.name for event in pipeline.events] if pipeline else []
    allowed = [TRANSACTION, *SCHEMAS, *events]
    hint = did_you_mean(name, allowed)
    raise MitraError(f"there is no message {name}; allowed: {', '.join(allowed)}{'; ' * bool(hint)}{hint}")
