"""`mitra check PIPELINE [FILE…]`: everything wrong with a pipeline file, its features and its model, and with rule files.

Nothing is started: rules are checked against the pipeline, and their examples are run.
"""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from mitra.cli.console import print_json
from mitra.duration import duration_text
from mitra.errors import Problem, ProblemsError
from mitra.pipeline import Pipeline
from mitra.pipeline_whole import check_whole

if TYPE_CHECKING:
    from mitra.control.files import Files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("pipeline", metavar="PIPELINE", help="the pipeline file")
    parser.add_argument(
        "files", metavar="FILE", nargs="*", help="a rule file, or a folder of them: its examples are run"
    )
    parser.add_argument("--json", action="store_true", help="print the problems as JSON")


def run(args: argparse.Namespace) -> int:
    """Check and tell; 1 if anything is wrong."""
    pipeline, problems = check_whole(args.pipeline)
    wrong = [ProblemsError(args.pipeline, problems)] if problems else []
    files = None
    if pipeline is not None and not problems and args.files:
        files, wrong = _check_files(args.files, pipeline)
    if args.json:
        found = [_document(error.subject, problem) for error in wrong for problem in error.problems]
        print_json({"pipeline": args.pipeline, "ok": not found, "problems": found, "duplicates": _horizons(pipeline)})
        return 1 if wrong else 0
    if wrong:
        print("\n\n".join(map(str, wrong)), file=sys.stderr)
        if problems and args.files:
            print("the files are checked when the pipeline is right", file=sys.stderr)
    elif pipeline:
        events, entities, features = len(pipeline.events), len(pipeline.entities), len(pipeline.features)
        print(
            f"{args.pipeline}: nothing wrong: {events} event type{'s' * (events != 1)}, "
            f"{entities} {'entity' if entities == 1 else 'entities'}, {features} feature{'s' * (features != 1)}"
        )
        print(
            f"a duplicate gets the first decision for {duration_text(pipeline.remembered_ms)}, and counts once in an entity's history "
            f"while fewer than {pipeline.history.sure_events:,} newer events of it have come"
        )
    if files is not None and not wrong:
        examples, sequences = files.examples, sum(one.rule.pattern is not None for _, one in files.rules)
        counts = {"rule": len(files.rules) - sequences, "sequence": sequences}
        told = ", ".join(f"{count} {what}{'s' * (count != 1)}" for what, count in counts.items() if count) or "0 rules"
        print(f"{told}: nothing wrong, {examples} example{'s' * (examples != 1)} as they say")
    return 1 if wrong else 0


def _horizons(pipeline: Pipeline | None) -> dict[str, int] | None:
    """Return how far back duplicates are known: by time for their decision, by an entity's newer events for its history."""
    if pipeline is None:
        return None
    return {"answered_for_ms": pipeline.remembered_ms, "counted_once_within_events": pipeline.history.sure_events}


def _check_files(names: list[str], pipeline: Pipeline) -> "tuple[Files | None, list[ProblemsError]]":
    from mitra.control.files import FilesError, read_files  # noqa: PLC0415 - the expression compiler is loaded when needed
    from mitra.control.replay import context_of  # noqa: PLC0415

    try:
        return read_files(names, context_of(pipeline), {}), []
    except FilesError as error:
        return None, list(error.errors)


def _document(subject: str, problem: Problem) -> dict[str, Any]:
    return {
        "file": subject,
        "path": problem.path,
        "line": problem.line,
        "message": problem.message,
        "hint": problem.hint,
        "rendered": problem.render(),
    }
