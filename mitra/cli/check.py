"""`mitra check PIPELINE`: everything wrong with a pipeline file, its features and its model, without starting anything."""

import argparse
import sys

from mitra.cli.console import print_json
from mitra.errors import ProblemsError
from mitra.pipeline_whole import check_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("pipeline", metavar="PIPELINE", help="the pipeline file")
    parser.add_argument("--json", action="store_true", help="print the problems as JSON")


def run(args: argparse.Namespace) -> int:
    """Check and tell; 1 if anything is wrong."""
    pipeline, problems = check_whole(args.pipeline)
    if args.json:
        found = [
            {
                "path": problem.path,
                "line": problem.line,
                "message": problem.message,
                "hint": problem.hint,
                "rendered": problem.render(),
            }
            for problem in problems
        ]
        print_json({"pipeline": args.pipeline, "ok": not found, "problems": found})
    elif problems:
        print(ProblemsError(args.pipeline, problems), file=sys.stderr)
    elif pipeline:
        events, entities, features = len(pipeline.events), len(pipeline.entities), len(pipeline.features)
        print(
            f"{args.pipeline}: nothing wrong: {events} event type{'s' * (events != 1)}, "
            f"{entities} {'entity' if entities == 1 else 'entities'}, {features} feature{'s' * (features != 1)}"
        )
    return 1 if problems else 0
