"""What the commands print: tables for people, one JSON document for programs."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def print_json(value: Any, *, indent: int | None = None) -> None:
    """Print one JSON document to stdout."""
    json.dump(value, sys.stdout, indent=2 if sys.stdout.isatty() else indent, ensure_ascii=False)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print a table to stdout: fitted to a terminal, aligned columns elsewhere."""
    if sys.stdout.isatty():
        from rich import box  # noqa: PLC0415 - 50 ms that only a terminal needs
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for column in columns:
            table.add_column(column, overflow="fold")  # what is too long goes on below: nothing is cut
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    if title:
        print(title)
    widths = [max(len(line[place]) for line in [columns, *rows]) for place in range(len(columns))]
    for line in [columns, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar on stderr while a block runs; without a terminal nothing is shown.

    It gives a function to call with (what is going on, how much is done, of how much; 0 while that isn't known).
    """
    if not sys.stderr.isatty():
        yield lambda _step, _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    # Of a step that is done the time it took is shown, of the one at work the time that is left.
    time_left = TimeRemainingColumn(compact=True, elapsed_when_finished=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"), time_left)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                for task in bar.tasks:  # a step ends when the next begins
                    whole = max(task.completed, 1)
                    bar.update(task.id, completed=whole, total=whole)
                tasks[step] = bar.add_task(step, count="")
            count = f"{done:,} of {total:,}" if total else f"{done:,}" if done else ""
            bar.update(tasks[step], completed=done, total=total or None, count=count)

        yield show
