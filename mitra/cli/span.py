"""The arguments by which commands choose a part of the log: where it lies, from when, to when."""

import argparse
from pathlib import Path

from mitra.errors import MitraError
from mitra.event_time import EARLIEST_MS, LATEST_MS, iso8601_ms


def add_span(parser: argparse.ArgumentParser) -> None:
    """Declare --log, --from and --to."""
    parser.add_argument("--log", type=Path, required=True, metavar="DIR", help="the folder that the job's log lies in")
    parser.add_argument(
        "--from", dest="begin", metavar="TIME", help="a date or ISO 8601 time, UTC; the log's beginning, if not given"
    )
    parser.add_argument(
        "--to", dest="end", metavar="TIME", help="the first time that isn't included; the log's end, if not given"
    )


def span_of(args: argparse.Namespace) -> tuple[int, int]:
    """Return the event times chosen, in epoch milliseconds; the second is not included."""
    begin = EARLIEST_MS if args.begin is None else _moment_ms("--from", args.begin)
    end = LATEST_MS if args.end is None else _moment_ms("--to", args.end)
    if begin >= end:
        raise MitraError(f"--from={args.begin} is not before --to={args.end}")
    return begin, end


def known_by_ms(text: str, name: str = "--known-by") -> int:
    """Return the time that the option `name` says."""
    return _moment_ms(name, text)


def _moment_ms(name: str, text: str) -> int:
    try:
        return iso8601_ms(text)
    except (ValueError, OverflowError) as error:
        raise MitraError(f"{name}={text} is no time; write 2026-05-03 or 2026-05-03T12:00:00Z") from error
