"""Which of a history's events an aggregate looks at: over=, last= and delay=, and how far back they may reach."""

import ast
from typing import TYPE_CHECKING

from rules.durations import EXAMPLES, duration_ms, duration_text
from rules.grammar import AGGREGATES, MAX_LAST, SESSION
from rules.plan import Function, Window

if TYPE_CHECKING:
    from rules.check import Checker

Options = dict[str, ast.keyword]


def window_of(checker: "Checker", found: ast.Call, function: Function, options: Options) -> Window | None:
    """Return what over= or last= says, None having noted what is wrong with it or that there is neither."""
    over, last = options.get("over"), options.get("last")
    if over is not None and last is not None:
        checker.refuse(last, "over= and last= exclude each other")
        return None
    if over is not None:
        return _over(checker, over)
    if last is None and AGGREGATES[function].default_ever:
        return Window("ever")
    if last is None:
        ever = AGGREGATES[function].ever
        checker.refuse(
            found,
            f"{function} needs a window",
            'add over="1h", over="ever" or last=10' if ever else 'add over="1h" or last=10',
        )
        return None
    given = last.value.value if isinstance(last.value, ast.Constant) else None
    if type(given) is not int or not 1 <= given <= MAX_LAST:
        checker.refuse(last.value, f"behind last= stands a number of events from 1 to {MAX_LAST:,}")
        return None
    return Window("last", given)


def _over(checker: "Checker", over: ast.keyword) -> Window | None:
    given = over.value
    if isinstance(given, ast.Constant) and given.value == "ever":
        return Window("ever")
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Name) and given.func.id == SESSION:
        gap_ms = _length(given.args[0]) if len(given.args) == 1 and not given.keywords else None
        if gap_ms is None:
            hint = 'write over=session("30m"): it ends where nothing came for longer'
            checker.refuse(given, "session wants one length of time", hint)
            return None
        return Window("session", gap_ms)
    size_ms = duration_of(checker, over)
    return None if size_ms is None else Window("over", size_ms)


def duration_of(checker: "Checker", option: ast.keyword) -> int | None:
    """Return the milliseconds behind an option, None having noted that there are none."""
    size_ms = _length(option.value)
    if size_ms is None:
        ever = ', "ever" or session("30m")' if option.arg == "over" else ""
        checker.refuse(option.value, f"behind {option.arg}= stands a length of time", f"like {EXAMPLES}{ever}")
    return size_ms


def _length(given: ast.expr) -> int | None:
    return duration_ms(given.value) if isinstance(given, ast.Constant) and isinstance(given.value, str) else None


def check_reach(
    checker: "Checker", found: ast.Call, options: Options, window: Window | None, delay_ms: int | None
) -> None:
    """Refuse a window that reaches back further than histories do."""
    most = checker.schema.max_window_ms
    size = window.size if window is not None and window.kind in {"over", "session"} else 0
    reach = size + (delay_ms or 0)
    if reach > most:
        place = options.get("over") if size else options.get("delay")
        what = (
            "the window and its delay reach"
            if size and delay_ms
            else "the window reaches"
            if size
            else "the delay reaches"
        )
        message = f"{what} back {_readable(reach)}, more than history.max_window = {_readable(most)}"
        checker.refuse(place or found, message, 'over="ever" keeps lifetime totals' if not delay_ms else "")


def _readable(size_ms: int) -> str:
    return duration_text(size_ms) if size_ms % 1_000 == 0 else f"{size_ms} ms"


def window_text(window: Window) -> str:
    """Return the window as an option of an aggregate's key."""
    match window.kind:
        case "over":
            return f"over={duration_text(window.size)}"
        case "session":
            return f"over=session({duration_text(window.size)})"
        case "last":
            return f"last={window.size}"
    return "over=ever"
