"""`mitra replay PIPELINE --transactions FILE… --output DIR`: the job over files, a row for each transaction."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mitra.cli.console import print_json, progress_bar
from mitra.duration import parse_duration_ms
from mitra.errors import MitraError
from mitra.pipeline import Pipeline, load_pipeline
from mitra.sections import did_you_mean

if TYPE_CHECKING:
    from mitra.backtest.trial import Trial

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
    add_events(parser)
    parser.add_argument(
        "--labels", type=Path, nargs="+", default=[], metavar="FILE", help="the labels, by transaction id"
    )
    parser.add_argument(
        "--label-delay",
        metavar="TIME",
        help="how long after its transaction a label is known, such as 7d, where the file doesn't say",
    )
    parser.add_argument("--model", type=Path, metavar="DIR", help="another model than the pipeline's")
    parser.add_argument(
        "--rules",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="rule files, or folders of them, that are live",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder to write into")
    parser.add_argument("--parallelism", type=int, default=1, metavar="N", help="1, 2, 4, 8 or 16 (default: 1)")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(args: argparse.Namespace) -> int:
    """Replay, with a progress bar, and print what it came to."""
    from mitra.replay.run import run_replay  # noqa: PLC0415 - arguments are checked before heavy modules are loaded

    check_parallelism(args.parallelism)
    for path in [*args.transactions, *args.labels]:
        if not path.is_file():
            raise MitraError(f"there is no file {path}")
    events = event_files(args.events, load_pipeline(args.pipeline))
    delay = label_delay_ms(args.label_delay)
    trial = _trial(args)
    with progress_bar() as progress:
        result = run_replay(
            args.pipeline,
            args.transactions,
            args.output,
            events=events,
            labels=args.labels,
            label_delay_ms=delay,
            model=args.model,
            live=None if trial is None else trial.live,
            parallelism=args.parallelism,
            progress=progress,
        )
    if trial is not None and trial.left_out:
        print(f"mitra replay: {trial.left_out_text}", file=sys.stderr)
    if args.json:
        print_json(dataclasses.asdict(result))
    else:
        rate = result.transactions / result.seconds if result.seconds else 0.0
        print(
            f"{result.transactions:,} transactions: {result.decisions:,} decisions ({result.duplicates:,} duplicates), "
            f"{result.dead_letters:,} dead letters, in {result.seconds:.1f} s ({rate:,.0f}/s)"
            f"{_others(result.other_events, result.other_rejected)}\n{args.output}"
        )
    return 0


def _others(read: int, rejected: int) -> str:
    if not read:
        return ""
    return f"; {read:,} other events{f', {rejected:,} of them dead letters' if rejected else ''}"


def add_events(parser: argparse.ArgumentParser) -> None:
    """Declare `--events`, the files of the types that aren't given as transactions."""
    parser.add_argument(
        "--events", nargs="+", default=[], action="extend", metavar="NAME=FILE|DIR",
        help="events of other types: login=logins.parquet, several times for several files; or a folder with files called as types",
    )  # fmt: skip
    parser.add_argument(
        "--profiles", nargs="+", default=[], action="extend", metavar="NAME=FILE|DIR", dest="events",
        help="files of profiles, likewise: account=accounts.csv",
    )  # fmt: skip


def event_files(given: Sequence[str], pipeline: Pipeline) -> dict[str, list[Path]]:
    """Return the files that `--events` names, by the name of their type. Raises MitraError for what can't be read.

    Of a folder those count that are called as a type: `login.parquet`.
    """
    others = [event.name for event in pipeline.events if event is not pipeline.decided]
    found: dict[str, list[Path]] = {}
    for text in given:
        if "=" not in text and Path(text).is_dir():
            inside = [(path.name.partition(".")[0], path) for path in sorted(Path(text).iterdir()) if path.is_file()]
            named = [(name, path) for name, path in inside if name in others]
            if not named:
                raise MitraError(f"--events {text} has no file called as an event type; allowed: {', '.join(others)}")
            for name, path in named:
                found.setdefault(name, []).append(path)
            continue
        name, equals, file = text.partition("=")
        if not equals or not file:
            raise MitraError(f"--events {text} is no NAME=FILE and no folder; write it like login=logins.parquet")
        if name == pipeline.decided.name:
            raise MitraError(f"--events {text}: files of {name} go behind --transactions")
        if name not in others:
            known = ", ".join(others) if others else f"none beside {pipeline.decided.name}"
            hint = did_you_mean(name, others)
            raise MitraError(
                f"--events {text}: the pipeline has no event type {name}; allowed: {known}{'; ' * bool(hint)}{hint}"
            )
        path = Path(file)
        if not path.is_file():
            raise MitraError(f"there is no file {path}")
        found.setdefault(name, []).append(path)
    return found


def check_parallelism(parallelism: int) -> None:
    """Raise MitraError for a parallelism that a replay can't have."""
    if parallelism not in PARALLELISMS:
        raise MitraError(f"--parallelism={parallelism} can't be used; take {', '.join(map(str, PARALLELISMS))}")


def label_delay_ms(text: str | None) -> int | None:
    """Return what --label-delay says, None where it wasn't given."""
    delay = None if text is None else parse_duration_ms(text)
    if text is not None and delay is None:
        raise MitraError(f"--label-delay={text} is no duration; write it like 7d, 12h or 30m")
    return delay


def _trial(args: argparse.Namespace) -> "Trial | None":
    if not args.rules:
        return None
    from mitra.backtest.trial import read_trial  # noqa: PLC0415 - the expression compiler is loaded when needed
    from mitra.control.replay import context_of  # noqa: PLC0415

    return read_trial(args.rules, context_of(load_pipeline(args.pipeline)))
