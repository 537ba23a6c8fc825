"""Reads one mapping of a change key by key; every mistake is collected with its path, and unknown keys are refused."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from mitra.document import join_path
from mitra.errors import Problem
from rules.problems import closest
from rules.rule import LATEST_MS, found

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
NAME_ALLOWED = "1 to 64 letters, digits, _ and -"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 60
_TIME_ALLOWED = "epoch milliseconds, or ISO 8601 with its zone: 2026-05-01T12:00:00Z"


def time_ms(value: object) -> int | None:
    """Return a time as epoch milliseconds, or None if it is none: an integer, or ISO 8601 with its zone."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                return None
            value = (moment - _EPOCH) // timedelta(milliseconds=1)
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LATEST_MS:
        return None
    return value


class Fields:
    """One mapping, read key by key; a key that is wrong is noted and reads as a stand-in of its type."""

    def __init__(self, value: Mapping[str, object], path: str, problems: list[Problem]) -> None:
        """Read `value`, which stands at `path`, and note what is wrong in `problems`."""
        self.problems = problems
        self._value = value
        self._path = path
        self._asked: list[str] = []

    def at(self, key: str) -> str:
        """Return the path of a key."""
        return join_path(self._path, key)

    def has(self, key: str) -> bool:
        """Tell whether a key is given; null counts as not given."""
        self.raw(key)
        return self._value.get(key) is not None

    def raw(self, key: str) -> object:
        """Return what stands at a key, unchecked; None where nothing does."""
        if key not in self._asked:
            self._asked.append(key)
        return self._value.get(key)

    def wrong(self, key: str, allowed: str, hint: str = "") -> None:
        """Note that what stands at a key, or its absence, isn't allowed."""
        message = f"found {found(self._value[key])}" if key in self._value else "is missing"
        self.problems.append(Problem(self.at(key), f"{message}; allowed: {allowed}", hint))

    def text(self, key: str, *, most: int, default: str | None = None) -> str:
        """Return the text at a key, of at most so many characters; it may be left out if there is a default."""
        value = self.raw(key)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and (value.strip() or default == "") and len(value) <= most:
            return value
        self.wrong(key, f"a text of at most {most} characters")
        return ""

    def name(self, key: str) -> str:
        """Return the name at a key."""
        value = self.raw(key)
        if isinstance(value, str) and NAME.fullmatch(value):
            return value
        self.wrong(key, NAME_ALLOWED)
        return ""

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """Return the text at a key, one of those allowed."""
        value = self.raw(key)
        if value in allowed:
            return str(value)
        self.wrong(key, ", ".join(allowed), closest(value, allowed) if isinstance(value, str) else "")
        return allowed[0]

    def boolean(self, key: str) -> bool:
        """Return true or false at a key; false where nothing stands."""
        value = self.raw(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.wrong(key, "true, false")
        return False

    def time(self, key: str, *, required: bool = False) -> int | None:
        """Return the time at a key in epoch milliseconds, None where nothing stands."""
        value = self.raw(key)
        if value is None and not required:
            return None
        moment = time_ms(value)
        if moment is None:
            self.wrong(key, _TIME_ALLOWED)
        return moment

    def items(self, key: str, *, most: int, what: str) -> list[object]:
        """Return the list at a key, of one to so many items."""
        value = self.raw(key)
        if isinstance(value, list) and 0 < len(value) <= most:
            return value
        hint = "send the rest as further changes" if isinstance(value, list) and value else ""
        self.wrong(key, f"a list of 1 to {most} {what}", hint)
        return []

    def close(self) -> None:
        """Note the keys that nobody asked for."""
        for key in self._value:
            if key not in self._asked:
                left = [name for name in self._asked if name not in self._value]
                allowed = ", ".join(self._asked)
                short = key if len(key) <= _SHOWN else f"{key[:_SHOWN]}…"
                self.problems.append(
                    Problem(self.at(short), f"is not known here; allowed: {allowed}", closest(key, left))
                )
