"""Lengths of time as people write them in files and on the command line: `200ms`, `30s`, `15m`, `4h`, `7d`."""

import re

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,12})(ms|s|m|h|d)")

EXAMPLES = "a number and one of ms, s, m, h, d: 200ms, 30s, 15m, 4h, 7d"


def parse_duration_ms(text: str) -> int | None:
    """Return the milliseconds a text like `7d` stands for, or None if it is not a duration."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * UNITS_MS[match[2]] if match else None


def duration_text(duration_ms: int) -> str:
    """Return the shortest text that stands for exactly this many milliseconds."""
    for unit, size_ms in reversed(UNITS_MS.items()):
        if duration_ms >= size_ms and duration_ms % size_ms == 0:
            return f"{duration_ms // size_ms}{unit}"
    return f"{duration_ms}ms"
