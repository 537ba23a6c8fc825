"""`mitra explain PIPELINE TRANSACTION_ID`: one page on one decision."""

import argparse
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from mitra.cli.changing import add_reading
from mitra.cli.console import print_json, progress_bar
from mitra.cli.replay import add_events, event_files
from mitra.duration import parse_duration_ms
from mitra.errors import MitraError
from mitra.pipeline import Pipeline, load_pipeline

if TYPE_CHECKING:
    from mitra.inquiry.backwards import Progress, Reach
    from mitra.inquiry.found import Found
    from mitra.inquiry.made import Made
    from mitra.inquiry.page import Page

NEWEST = 1_000_000
"""So many of the newest records of a topic are looked at where nothing else is said: half an hour at 500 payments a second."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.usage = "mitra explain PIPELINE TRANSACTION_ID [options]"
    add_reading(parser)
    parser.add_argument("id", metavar="TRANSACTION_ID", help="the payment whose decision is asked for")
    parser.add_argument(
        "--since", metavar="TIME",
        help="how far back to look: 7d, or ISO 8601 with its zone "
        f"(default: the newest {NEWEST:,} records of each topic)",
    )  # fmt: skip
    parser.add_argument(
        "--by", metavar="ENTITY", help="whose earlier payments to compare with (default: the pipeline's first entity)"
    )
    parser.add_argument(
        "--on", type=Path, metavar="DIR", help="look in the folder that `mitra replay` wrote, and not on topics"
    )
    parser.add_argument(
        "--transactions", type=Path, nargs="+", default=[], metavar="FILE", help="with --on: the payments replayed"
    )
    add_events(parser)
    parser.add_argument(
        "--rules", type=Path, nargs="+", default=[], metavar="FILE", help="with --on: the rule files of that replay"
    )
    parser.add_argument("--model", type=Path, metavar="DIR", help="another model than the pipeline's")


def run(args: argparse.Namespace) -> int:
    """Look the decision up and print the page; 1 if it isn't found."""
    if args.on is None and (args.transactions or args.events or args.rules):
        raise MitraError("--transactions, --events and --rules go with --on: live, all are read from their topics")
    if args.on is not None and args.since is not None:
        raise MitraError("--since goes with topics; a folder is looked through as a whole")
    pipeline = load_pipeline(args.pipeline, args.bootstrap)
    with progress_bar() as progress:
        page = _from_folder(args, pipeline, progress) if args.on else _from_topics(args, pipeline, progress)
    from mitra.cli.explained import document, tell  # noqa: PLC0415 - what reads is loaded before what prints

    if args.json:
        print_json(document(page))
    else:
        tell(page)
    return 0


def _from_topics(args: argparse.Namespace, pipeline: Pipeline, progress: "Progress") -> "Page":
    from mitra.inquiry.topics import Topics  # noqa: PLC0415 - the client is loaded when needed

    topics = Topics(pipeline, _reach(args.since), progress)
    found = topics.find(args.id, args.by)
    if found is None:
        further = "" if topics.whole else "--since=7d looks further back, and "
        raise MitraError(
            f"no decision on {args.id} in {topics.looked}; {further}what could not be decided is on "
            f"{pipeline.topics.dead_letters}"
        )
    made, why_not = _made(pipeline, found.decision["revision"])
    return _page(args, pipeline, found, made, why_not)


def _from_folder(args: argparse.Namespace, pipeline: Pipeline, progress: "Progress") -> "Page":
    from mitra.backtest.run import find_payments  # noqa: PLC0415 - heavy modules, when needed
    from mitra.inquiry.table import Table  # noqa: PLC0415

    events = event_files(args.events, pipeline)
    apart = [path for paths in events.values() for path in paths]
    table = Table(pipeline, args.on, find_payments(args.transactions, apart), progress, events)
    found = table.find(args.id, args.by)
    if found is None:
        letters = args.on / "dead_letters.jsonl"
        raise MitraError(f"no decision on {args.id} in {table.looked}; what could not be decided is in {letters}")
    made, why_not = _replayed_rules(args, pipeline, found)
    return _page(args, pipeline, found, made, why_not)


def _page(args: argparse.Namespace, pipeline: Pipeline, found: "Found", made: "Made | None", why_not: str) -> "Page":
    from mitra.inquiry.page import compiled_under, known_of, make_page  # noqa: PLC0415
    from mitra.inquiry.scoring import scoring  # noqa: PLC0415

    _, compiled = compiled_under(pipeline, made)
    known = known_of(pipeline, compiled, found)
    page = make_page(pipeline, found, made, scoring(pipeline, found.decision, known, args.model))
    return page.with_note(why_not)


def _made(pipeline: Pipeline, revision: int) -> "tuple[Made | None, str]":
    from mitra.control import kafka  # noqa: PLC0415
    from mitra.control.replay import context_of  # noqa: PLC0415
    from mitra.inquiry.made import made  # noqa: PLC0415

    try:
        opened: AbstractContextManager[kafka.KafkaControlTopics] = kafka.open_topics(pipeline)
        with opened as topics:
            return made(topics, context_of(pipeline), revision), ""
    except MitraError as error:
        return None, f"what was live under revision {revision} can't be told: {error}"


def _replayed_rules(args: argparse.Namespace, pipeline: Pipeline, found: "Found") -> "tuple[Made | None, str]":
    from mitra.backtest.trial import read_trial  # noqa: PLC0415
    from mitra.control.replay import context_of  # noqa: PLC0415
    from mitra.inquiry.made import Made  # noqa: PLC0415

    if args.rules:
        return Made(found.decision["revision"], read_trial(args.rules, context_of(pipeline)).live), ""
    said = any(found.decision[kind] for kind in ("rules", "shadow", "not_evaluated"))
    return None, "a replay's table has the ids of rules alone: --rules=FILE names their files" if said else ""


def _reach(text: str | None) -> "Reach":
    from control_stream.reading import time_ms  # noqa: PLC0415
    from mitra.inquiry.backwards import Reach  # noqa: PLC0415

    if text is None:
        return Reach(newest=NEWEST)
    duration = parse_duration_ms(text)
    since_ms = time_ms(text) if duration is None else time.time_ns() // 1_000_000 - duration
    if since_ms is None:
        raise MitraError(
            f"--since={text[:60]} is no time; allowed: a length of time back from now (12h, 7d), or ISO 8601 with its "
            "zone (2026-05-01T12:00:00Z)"
        )
    return Reach(since_ms=since_ms)
