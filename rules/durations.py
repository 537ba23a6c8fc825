"""Windows and delays as texts: `90s`, `15m`, `1h`, `7d`, `2w`."""

import re

UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
EXAMPLES = '"90s", "15m", "1h", "7d", "2w"'
_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")


def duration_ms(text: str) -> int | None:
    """Return the milliseconds a text stands for, or None if it is no duration or is none at all."""
    match = _DURATION.fullmatch(text)
    return (int(match[1]) * UNITS_MS[match[2]] or None) if match else None


def duration_text(size_ms: int) -> str:
    """Return the one text for a length of whole seconds: in the largest unit up to days that divides it."""
    unit = next(unit for unit in "dhms" if size_ms % UNITS_MS[unit] == 0)
    return f"{size_ms // UNITS_MS[unit]}{unit}"
