"""`mitra sample`: writes seeded sample payments and their labels to files."""

import argparse
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mitra.cli.console import print_json, print_table
from mitra.errors import MitraError

if TYPE_CHECKING:
    from mitra.sample.events import EventCounts

DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    parser.add_argument(
        "--seed", type=int, default=7, metavar="N", help="the same seed gives the same payments (default: 7)"
    )
    parser.add_argument("--customers", type=int, default=5_000, metavar="N", help="number of customers (default: 5000)")
    parser.add_argument("--days", type=int, default=60, metavar="N", help="number of days (default: 60)")
    parser.add_argument("--start", default="2025-03-03", metavar="DATE", help="first day, UTC (default: 2025-03-03)")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for payments and labels files"
    )
    parser.add_argument(
        "--format", choices=("parquet", "jsonl"), default="parquet", help="of the files (default: parquet)"
    )
    parser.add_argument(
        "--labels", choices=("all", "frauds"), default="all",
        help="label every payment, or only the frauds, as they are reported live (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--events", action="store_true",
        help="logins, password resets, card additions, transfers and orders too, in DIR/events",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print a summary for programs instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Write the sample and print what it holds. Returns the exit status."""
    from mitra.sample import Summary, write_sample  # noqa: PLC0415 - numpy and pyarrow are loaded when needed

    start_ms = _midnight_ms(arguments.start)
    begun = time.monotonic()
    progress = Progress(
        TextColumn("days"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[payments]:,} payments"),
        TimeRemainingColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True,
    )  # fmt: skip
    with progress:
        task = progress.add_task("sample", total=arguments.days, payments=0)

        def show(time_ms: int, payments: int) -> None:
            progress.update(task, completed=(time_ms - start_ms) // DAY_MS + 1, payments=payments)

        try:
            summary: Summary = write_sample(
                arguments.output, seed=arguments.seed, customers=arguments.customers, days=arguments.days,
                start_ms=start_ms, file_format=arguments.format, labels=arguments.labels, events=arguments.events, progress=show,
            )  # fmt: skip
        except OSError as error:
            msg = f"output={str(arguments.output)!r} can't be written: {error.strerror or error}"
            raise MitraError(msg) from error
    seconds = time.monotonic() - begun
    if arguments.json:
        others = (
            {} if summary.others is None else {"events": summary.others.events, "transfers": summary.others.transfers}
        )
        print_json({**_as_json(arguments, summary.counts, summary.payments, summary.frauds, seconds), **others})
    else:
        _print_table(summary.counts, summary.payments)
        if summary.others is not None:
            _print_others(summary.others, summary.payments_path.parent)
        print(f"{summary.payments_path}, {summary.labels_path}: {summary.payments:,} payments in {seconds:.1f} s")
    return 0


def _print_others(counts: "EventCounts", folder: Path) -> None:
    from mitra.sample.events.tags import FRAUDS  # noqa: PLC0415 - beside write_sample

    print()
    print_table(("events", "  number"), [(name, f"{count:8,}") for name, count in counts.events.items()])
    print()
    rows = [(name, "yes" if name in FRAUDS else "no", f"{count:9,}") for name, count in counts.transfers.items()]
    print_table(("scenario", "fraud", "transfers"), rows)
    print(f"{folder / 'events'}, {folder / 'transfer_labels'}: what happens beside the payments")


def _midnight_ms(text: str) -> int:
    """Return the epoch ms at which a day begins, UTC. Raises MitraError for a text that is no day after 1970."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        day = _EPOCH
    if not datetime(1971, 1, 1, tzinfo=UTC) <= day < datetime(2200, 1, 1, tzinfo=UTC):
        msg = f"start={text!r}: not a day between 1971 and 2199; write it as 2025-03-03"
        raise MitraError(msg)
    return (day - _EPOCH) // timedelta(milliseconds=1)


def _as_json(
    arguments: argparse.Namespace, counts: dict[str, int], payments: int, frauds: int, seconds: float
) -> dict[str, object]:
    return {
        "seed": arguments.seed,
        "customers": arguments.customers,
        "days": arguments.days,
        "start": arguments.start,
        "payments": payments,
        "frauds": frauds,
        "fraud_share": round(frauds / max(payments, 1), 6),
        "scenarios": counts,
        "seconds": round(seconds, 3),
    }


def _print_table(counts: dict[str, int], payments: int) -> None:
    from mitra.sample.tags import FRAUDS  # noqa: PLC0415 - beside write_sample

    rows = [
        (name, "yes" if name in FRAUDS else "no", f"{count:10,}", f"{count / max(payments, 1):8.3%}")
        for name, count in counts.items()
    ]
    print_table(("scenario", "fraud", "  payments", "   share"), rows)
    missing = [name for name, count in counts.items() if count == 0]
    if missing:
        print(
            f"not one payment of {', '.join(missing)}: too few payments for a whole incident; take more customers or days"
        )
