"""Checked reading of a document: every mistake is collected with its path, what was found and what is allowed.

A reader that meets a mistake records it and returns a stand-in of the right type, so that the rest is still checked.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from mitra.document import join_path
from mitra.duration import EXAMPLES, duration_text, parse_duration_ms
from mitra.errors import Problem

_REQUIRED: Final = object()
_QUOTE_LIMIT = 60


class Report:
    """The problems found so far in one file."""

    def __init__(self, lines: Mapping[str, int], problems: Iterable[Problem] = ()) -> None:
        """Start with the lines of the document's values and the problems its form has."""
        self.problems = list(problems)
        self.places: dict[str, str] = {}
        """Where a key that some section knows belongs, by the key."""
        self._lines = lines

    def add(self, path: str, message: str, hint: str = "") -> None:
        """Record a problem at `path`, on the line where it, or what holds it, is."""
        place = path
        while place and place not in self._lines:
            place = place.rpartition(".")[0]
        self.problems.append(Problem(path, message, hint, self._lines.get(place) if place else None))


def found(value: object) -> str:
    """Return a value as an error message shows it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= _QUOTE_LIMIT else f'"{value[:_QUOTE_LIMIT]}…" ({len(value)} characters)'
    if isinstance(value, Mapping):
        return f"a mapping ({', '.join(list(value)[:3])}{', …' if len(value) > 3 else ''})"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "nothing" if value is None else str(value)


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return `did you mean "…"?`, or an empty text if nothing allowed is close to `word`."""
    by_lower = {name.lower(): name for name in allowed}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f'did you mean "{by_lower[close[0]]}"?' if close else ""


class Section:
    """One mapping of a document, read key by key; `close` refuses the keys that nobody read."""

    def __init__(self, value: object, path: str, report: Report) -> None:
        """Take the mapping at `path`; anything else is a problem and reads as empty."""
        self.path = path
        self.report = report
        self._asked: list[str] = []
        if value is not None and not isinstance(value, Mapping):
            report.add(path, f"found {found(value)}; allowed: a mapping of names to values")
        self._values: Mapping[str, object] = value if isinstance(value, Mapping) else {}

    def __contains__(self, key: str) -> bool:
        """Tell whether the file gives `key`."""
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        """Go over the names given, for sections whose names the file chooses."""
        return iter(self._values)

    def at(self, key: str) -> str:
        """Return the path of a key."""
        return join_path(self.path, key)

    def raw(self, key: str, default: object = None) -> object:
        """Return what stands at `key`, unchecked."""
        if key not in self._asked:
            self._asked.append(key)
            self.report.places.setdefault(key, self.at(key))
        return self._values.get(key, default)

    def wrong(self, key: str, value: object, allowed: str, hint: str = "") -> None:
        """Record that `value` is not what is allowed at `key`."""
        self.report.add(self.at(key), f"found {found(value)}; allowed: {allowed}", hint)

    def section(self, key: str, *, required: bool = False) -> "Section":
        """Return the mapping at `key`, empty if there is none."""
        value = self.raw(key)
        if required and not value:
            self.report.add(self.at(key), "is missing" if key not in self._values else "is empty")
            value = None
        return Section(value, self.at(key), self.report)

    def text(self, key: str, default: object = _REQUIRED, *, pattern: str = "", allowed: str = "a text") -> str:
        """Return the text at `key`; it matches `pattern` as a whole, if one is given."""
        value = self._value(key, default, allowed)
        if value is default or value is _REQUIRED:
            return str(default) if isinstance(default, str) else ""
        if not isinstance(value, str) or not value.strip() or (pattern and not re.fullmatch(pattern, value)):
            hint = "put it in quotes to make it a text" if isinstance(value, int | float) else ""
            self.wrong(key, value, allowed, hint)
            return ""
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: object = _REQUIRED) -> str:
        """Return the text at `key`, one of those allowed."""
        value = self._value(key, default, ", ".join(allowed))
        if value is default or value is _REQUIRED:
            return str(default) if isinstance(default, str) else allowed[0]
        if value not in allowed:
            self.wrong(key, value, ", ".join(allowed), did_you_mean(str(value), allowed))
            return allowed[0]
        return str(value)

    def boolean(self, key: str, default: bool) -> bool:  # noqa: FBT001 - the default is the value read
        """Return true or false at `key`."""
        value = self.raw(key, default)
        if not isinstance(value, bool):
            self.wrong(key, value, "true, false")
            return default
        return value

    def integer(self, key: str, default: int, least: int, most: int) -> int:
        """Return the whole number at `key`, from `least` to `most`."""
        value = self.raw(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(key, value, f"a whole number from {least} to {most}")
            return default
        return value

    def number(self, key: str, least: float, most: float) -> float | None:
        """Return the number at `key`, from `least` to `most`, or None if there is none."""
        value = self.raw(key)
        if key not in self._values:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            self.wrong(key, value, f"a number from {least:g} to {most:g}")
            return None
        return float(value)

    def duration_ms(self, key: str, default_ms: int, least_ms: int, most_ms: int) -> int:
        """Return the milliseconds of the duration at `key`, a text like `7d`."""
        if key not in self._values:
            self.raw(key)
            return default_ms
        value = self.raw(key)
        duration = parse_duration_ms(value) if isinstance(value, str) else None
        if duration is None:
            hint = f"with its unit, for example {value}ms or {value}d" if isinstance(value, int) else ""
            self.wrong(key, value, EXAMPLES, hint)
            return default_ms
        if not least_ms <= duration <= most_ms:
            self.wrong(key, value, f"from {duration_text(least_ms)} to {duration_text(most_ms)}")
            return default_ms
        return duration

    def texts(self, key: str, allowed: str) -> tuple[str, ...]:
        """Return the text or list of texts at `key`; both read as a tuple."""
        value = self.raw(key)
        items = value if isinstance(value, list) else [value]
        if not items or not all(isinstance(item, str) and item for item in items):
            self.wrong(key, value, allowed)
            return ()
        return tuple(items)

    def close(self) -> None:
        """Refuse the keys that were given and never read."""
        for key in self._values:
            if key not in self._asked:
                allowed = ", ".join(self._asked)
                hint = did_you_mean(key, [name for name in self._asked if name not in self._values])
                if not hint and key in self.report.places:
                    hint = f"it belongs at {self.report.places[key]}"
                self.report.add(self.at(key), f"is not known here; allowed: {allowed}", hint)

    def _value(self, key: str, default: object, allowed: str) -> object:
        if key in self._values:
            return self.raw(key)
        self.raw(key)
        if default is _REQUIRED:
            self.report.add(self.at(key), f"is missing; allowed: {allowed}")
        return default
