"""The command line: `mitra COMMAND …`.

Each command is a module of this package with `add_arguments(parser)` and `run(args) -> int`, imported only when it is
called, so that `mitra --help` answers at once. Exit status: 0 done, 1 not done and said why, 2 wrongly called, 130 broken
off by Ctrl-C. A command that is called by a program gives `--json`.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from mitra import __version__
from mitra.errors import MitraError

COMMANDS = {
    "demo": "everything on this machine: Kafka, Flink, sample payments and a live table",
    "run": "run a pipeline's job on a local mini cluster, against the pipeline's Kafka",
    "submit": "put a pipeline's job on a Flink cluster and prove that it works",
    "topics": "the topics a pipeline needs: what they are and what they should be",
    "replay": "the job over files: a decision and every feature for each transaction",
    "training-set": "features as they were served, with the labels known by a given time",
    "parity": "served features computed again from the log, and how often they differ",
    "bootstrap": "a new job's histories out of the log, as a savepoint to start from",
    "train": "fit, calibrate and evaluate a model on the features of a replay",
    "retrain": "a challenger out of the log: trained, held against the champion, pushed if it is better; on alarms too",
    "check": "everything wrong with a pipeline, at once, without starting anything",
    "catalog": "what rules can speak of: events, entities, features, lists, and what the model makes of them",
    "rules": "rules of a running job: push files, list, change their mode, retire, roll back",
    "sequences": "sequences of events in a running job: push files, list, change their mode, retire, roll back",
    "lists": "block, allow and watch lists of a running job",
    "profiles": "slow facts of customers and others, from a file to their topic",
    "explain": "one decision on one page: what decided it, why, and what is usual for whom it is about",
    "models": "models of a running job: push, list, promote, share, retire, roll back",
    "control": "what is live and who runs it, who changed what, the way back, what is live as files",
    "graph": "the graph service: serve it, load links and labels into it",
    "sample": "seeded sample payments and their labels",
    "schema": "the JSON Schema of a message",
    "kafka": "a real single-node Kafka, for development",
}
"""Each command and what it does, in the order of the help. One whose module is not there is not offered."""

USAGE_ERROR = 2
INTERRUPTED = 130


def commands() -> dict[str, str]:
    """Return the commands that are there."""
    folder = Path(__file__).parent
    return {name: does for name, does in COMMANDS.items() if _is_there(folder, name)}


def _is_there(folder: Path, name: str) -> bool:
    return (folder / f"{_module(name)}.py").is_file() or (folder / name / "__init__.py").is_file()


def _module(name: str) -> str:
    return name.replace("-", "_")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. Every error is told on stderr; none comes out as an exception."""
    words = list(sys.argv[1:] if argv is None else argv)
    offered = commands()
    parser = _parser(offered, words)
    called = _called(words)
    if called is not None and called not in offered:
        from difflib import get_close_matches  # noqa: PLC0415 - for mistakes only

        close = get_close_matches(called, offered, n=1)
        hint = f"did you mean {close[0]}?" if close else "`mitra --help` lists them"
        print(f"{parser.format_usage()}mitra: there is no command {called}; {hint}", file=sys.stderr)
        return USAGE_ERROR
    try:
        args = parser.parse_args(words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE_ERROR
    if args.command is None:
        parser.print_help()
        return USAGE_ERROR
    return _run(args)


def _parser(offered: dict[str, str], words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser; only the command that is called brings its own arguments."""
    parser = argparse.ArgumentParser(
        prog="mitra", description="Decides about payments while they can still be stopped.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"mitra {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    called = _called(words)
    for name, does in offered.items():
        command = subparsers.add_parser(
            name, help=does, description=f"{does[0].upper()}{does[1:]}.", allow_abbrev=False
        )
        if name == called:
            module: Any = import_module(f"mitra.cli.{_module(name)}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


def _called(words: Sequence[str]) -> str | None:
    return next((word for word in words if not word.startswith("-")), None)


def _run(args: argparse.Namespace) -> int:
    try:
        status: int = args.run(args)
        # A reader that has gone, as in `mitra schema decision | head -3`, shows when the rest is written.
        sys.stdout.flush()
    except MitraError as error:
        print(f"mitra {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"mitra {args.command}: broken off", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python would try to flush it once more at exit.
        sys.stdout = None
        return 1
    except OSError as error:
        # A full disk, a folder that can't be written: the machine says no, and that is no defect.
        place = "" if error.filename is None else f"{str(error.filename)!r}: "
        print(f"mitra {args.command}: {place}{error.strerror or error}", file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 - the last line of defence: whatever it is, the user gets a sentence
        import traceback  # noqa: PLC0415 - needed for defects only

        message = " ".join(str(error).split())[:200]
        print(
            f"mitra {args.command}: this is a defect of Mitra: {type(error).__name__}: {message}\n"
            "  please report it with the lines that follow",
            file=sys.stderr,
        )
        traceback.print_exc()
        return 1
    return status
