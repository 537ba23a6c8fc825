"""What the demo shows: a live table on a terminal, a line every few seconds elsewhere."""

import sys
import time
from typing import Any, Protocol, Self, TextIO

from mitra.demo.tally import WINDOW_S, Tally, percentiles_ms

LINE_EVERY_S = 5.0
ROOMY_COLUMNS = 90
"""On a narrower terminal the table leaves score and customer out, so that the reasons have room."""


class Screen(Protocol):
    """Where the demo shows how it goes."""

    def __enter__(self) -> Self:
        """Start to show."""

    def __exit__(self, *_: object) -> None:
        """Leave what was shown last."""

    def show(self, tally: Tally) -> None:
        """Show the tally as it is now."""


def figures(tally: Tally, started: float) -> dict[str, str]:
    """Return what a tally says, name by name, as texts."""
    with tally.lock:
        lately = tally.lately(time.monotonic())
        counts = dict(tally.outcomes)
        decided, sent, letters = tally.decided, tally.sent, tally.dead_letters
        caught, frauds = tally.frauds_flagged, tally.frauds_sent
        alerts, told = tally.alerts, tally.last_alert
    percentiles = percentiles_ms(lately)
    seconds = max(min(WINDOW_S, time.monotonic() - started), 0.1)
    return {
        "rate": f"{lately.total() / seconds:,.0f} decisions/s",
        "sent": f"{sent:,}",
        "decided": f"{decided:,}",
        "flagged": f"{counts.get('block', 0):,} blocked, {counts.get('review', 0):,} to review",
        "frauds": f"{caught:,} of {frauds:,} flagged",
        "latency": "–" if percentiles is None else f"p50 {percentiles[0]:.0f} ms, p99 {percentiles[1]:.0f} ms",
        "alerts": f"{alerts:,}" + (f", the last: {told['reason']}" if told else ""),
        "dead letters": f"{letters:,}",
    }


class LineScreen:
    """A line every few seconds, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        """Show nothing yet."""
        self._stream = stream
        self._started = time.monotonic()
        self._last = self._started

    def __enter__(self) -> Self:
        """Start the clock."""
        self._started = self._last = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the lines."""

    def show(self, tally: Tally) -> None:
        """Print a line if it is time for one."""
        now = time.monotonic()
        if now - self._last >= LINE_EVERY_S:
            self._last = now
            line = "  ".join(f"{name}: {value}" for name, value in figures(tally, self._started).items())
            print(line, file=self._stream, flush=True)


class TableScreen:
    """A table that is redrawn in place, with the payments flagged last and why."""

    def __init__(self) -> None:
        """Take the terminal."""
        from rich.live import Live  # noqa: PLC0415 - only a terminal needs it

        self._live = Live(refresh_per_second=4)
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        """Start to draw."""
        self._started = time.monotonic()
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last picture."""
        self._live.stop()

    def show(self, tally: Tally) -> None:
        """Redraw."""
        self._live.update(self._picture(tally))

    def _picture(self, tally: Tally) -> Any:
        from rich.console import Group  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        title = "Mitra. Rate and latency: last ten seconds. Ctrl-C ends it."
        now = Table(show_header=False, box=None)
        now.add_column(style="dim", no_wrap=True)
        now.add_column(style="bold", no_wrap=True)
        shown = figures(tally, self._started)
        for name, value in shown.items():
            now.add_row(name, value)
        with tally.lock:
            rows = list(tally.flagged)
        width, height = self._live.console.size
        left = height - len(shown) - 5 - (len(title) > width)
        return Group(Text(title), now, Text(), flagged_table(rows, self._live.console, left))


def flagged_table(rows: list[dict[str, Any]], console: Any, lines: int) -> Any:
    """Return the table of flagged payments, the newest first, as many as fit into so many lines of the console."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    wide = console.width >= ROOMY_COLUMNS
    while True:
        table = Table(
            title="flagged last", title_justify="left", expand=True, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
        )
        table.add_column("outcome", no_wrap=True)
        for column in ("score", "customer", "amount") if wide else ("amount",):
            table.add_column(column, no_wrap=True, justify="left" if column == "customer" else "right")
        table.add_column("why", ratio=1, overflow="fold")
        table.add_column("in truth", no_wrap=wide, width=None if wide else 11)
        for row in rows:
            payment = row["payment"]
            score = "–" if row["score"] is None else f"{row['score']:.2f}"
            more = (score, payment["customer_id"]) if wide else ()
            table.add_row(
                Text(row["outcome"], style="red" if row["outcome"] == "block" else "yellow"),
                *more,
                f"{payment['amount']:,.2f} {payment.get('currency', '')}",
                Text(why(row)),
                row["scenario"].replace("_", " "),
            )
        if len(rows) <= 1 or len(console.render_lines(table, pad=False)) <= lines:
            return table
        rows = rows[:-1]


def why(decision: dict[str, Any]) -> str:
    """Return what the rules say that fired, and the features that raised a decision's score most, with their values, in one line."""
    fired = [rule["reason"] or rule["id"] for rule in decision["rules"]]
    return ", ".join(fired + [_brief(reason) for reason in decision["reasons"]]) or "–"


def _brief(reason: dict[str, Any]) -> str:
    name, value = reason["feature"], reason["value"]
    if value is None:
        return f"no {name}"
    if isinstance(value, bool):
        return name if value else f"not {name}"
    return f"{name}={value:.3g}" if abs(value) < 1000 else f"{name}={value:,.0f}"


def screen_for(stream: TextIO) -> Screen:
    """Return the table where stdout is a terminal and is what is written to, else lines."""
    return TableScreen() if stream is sys.stdout and stream.isatty() else LineScreen(stream)
