"""A rule as plain data, and the reading of one from a mapping: a control message's or a file's.

Read with every mistake at once; what the texts of a rule mean is checked by `rules.rule_check`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar, cast, get_args

import msgspec

from mitra.errors import Problem
from rules.outcomes import OUTCOMES, Outcome
from rules.problems import closest
from rules.sequences.pattern import Pattern

Mode = Literal["live", "shadow", "paused"]
MODES: tuple[Mode, ...] = get_args(Mode)

MAX_REASON = 1_000
MAX_TAGS = 32
LATEST_MS = 7_258_118_400_000
"""2200-01-01: events from later on are no events, so a schedule has no use for such a time."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TAG_LENGTH = 64
_SHOWN = 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule. `when` is a boolean expression, `reason` a template (`rules.reasons`).

    It is active where from_ms <= event time < until_ms. With `percent`, it applies to that share of the entities `by`
    (None: the pipeline's first). `version` is given when a change is taken: 1, 2, … for each id; 0 before.
    With a `pattern` it is a sequence: `when` is then asked where a match is complete.
    """

    id: str
    version: int = 0
    when: str
    outcome: Outcome
    reason: str = ""
    mode: Mode = "live"
    percent: float | None = None
    by: str | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    tags: tuple[str, ...] = ()
    pattern: Pattern | None = None


def read_rule(value: object, path: str) -> tuple[Rule | None, list[Problem]]:
    """Return the rule that a mapping says, or None, and all that is wrong with its form."""
    reader = MappingReader(value, path, "a rule")
    if not isinstance(value, Mapping):
        return None, reader.problems
    rule_id, when, outcome = (
        reader.read("id", read_id, required=True),
        reader.read("when", read_text, required=True),
        reader.read("outcome", choice_of(OUTCOMES), required=True),
    )
    rest = read_rest(reader)
    if "by" in value and "percent" not in value:
        reader.add("by", "says nothing without percent", "add percent, or leave by out")
    reader.close()
    if reader.problems or rule_id is None or when is None or outcome is None:
        return None, reader.problems
    return Rule(id=rule_id, when=when, outcome=cast(Outcome, outcome), **rest), []


def read_rest(reader: "MappingReader") -> dict[str, Any]:
    """Return what rules and sequences have alike, by the names of Rule's fields: how it is told, and when and for whom it is asked."""
    rest: dict[str, Any] = {
        "reason": reader.read("reason", read_reason) or "",
        "mode": reader.read("mode", choice_of(MODES)) or "live",
        "percent": reader.read("percent", read_percent),
        "by": reader.read("by", read_text),
        "tags": reader.read("tags", read_tags) or (),
    }
    from_ms, until_ms = reader.read("from", read_time), reader.read("until", read_time)
    if from_ms is not None and until_ms is not None and until_ms <= from_ms:
        reader.add("until", "is not after from, so that the rule is never active", "from <= event time < until")
    return rest | {"from_ms": from_ms, "until_ms": until_ms}


def rule_mapping(rule: Rule) -> dict[str, object]:
    """Return the mapping that `read_rule` reads as this rule; its version, which isn't an author's to give, is left out."""
    found: dict[str, object] = {"id": rule.id, "when": rule.when, "outcome": rule.outcome}
    return found | rest_mapping(rule)


def rest_mapping(rule: Rule) -> dict[str, object]:
    """Return what `read_rest` reads of a rule."""
    found: dict[str, object] = {}
    if rule.reason:
        found["reason"] = rule.reason
    if rule.mode != "live":
        found["mode"] = rule.mode
    if rule.percent is not None:
        found["percent"] = int(rule.percent) if rule.percent.is_integer() else rule.percent
    if rule.by is not None:
        found["by"] = rule.by
    for name, time_ms in (("from", rule.from_ms), ("until", rule.until_ms)):
        if time_ms is not None:
            moment = _EPOCH + timedelta(milliseconds=time_ms)
            found[name] = moment.isoformat(timespec="milliseconds" if time_ms % 1_000 else "seconds")
    if rule.tags:
        found["tags"] = list(rule.tags)
    return found


class Wrong(Exception):  # noqa: N818 - it never leaves: a value that isn't what is allowed
    """Says what is allowed instead of a value, and maybe a hint."""

    def __init__(self, allowed: str, hint: str = "") -> None:
        """Keep both texts."""
        self.allowed = allowed
        self.hint = hint


class MappingReader:
    """Reads a mapping key by key, noting what is wrong; `close` refuses the keys that nobody read."""

    def __init__(self, value: object, path: str, what: str) -> None:
        """Read a mapping, which is `what`; problems are at `path`."""
        self.problems: list[Problem] = []
        self._path = path
        self._asked: list[str] = []
        self._values: Mapping[object, object] = value if isinstance(value, Mapping) else {}
        if not isinstance(value, Mapping):
            self.problems.append(
                Problem(path, f"found {found(value)}; allowed: {what}, as a mapping of names to values")
            )

    def add(self, key: str, message: str, hint: str = "") -> None:
        """Note a problem of a key's value."""
        self.problems.append(Problem(f"{self._path}.{key}" if self._path else key, message, hint))

    def read(self, key: str, read: Callable[[object], T], *, required: bool = False) -> T | None:
        """Return a key's value as `read` reads it; None where it is absent or wrong."""
        if key not in self._asked:
            self._asked.append(key)
        value = self._values.get(key)
        try:
            if value is not None:
                return read(value)
            if required:
                read(value)
        except Wrong as wrong:
            found_ = f"found {found(value)}" if key in self._values else "is missing"
            self.add(key, f"{found_}; allowed: {wrong.allowed}", wrong.hint)
        return None

    def close(self) -> None:
        """Note the keys that nobody read."""
        free = [name for name in self._asked if name not in self._values]
        for key in self._values:
            if key in self._asked:
                continue
            hint = closest(str(key), free)
            if key == "version":
                hint = "the version is given when the change is taken: leave it out"
            elif key == "examples":
                hint = "examples stay in the file: they are run by mitra check"
            self.add(plain(str(key)), f"is not known here; allowed: {', '.join(self._asked)}", hint)


def found(value: object) -> str:
    """Return a value as an error message shows it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{plain(value)}"' if len(value) <= _SHOWN else f'"{plain(value)}" ({len(value)} characters)'
        case Mapping():
            return f"a mapping of {len(value)}"
        case list() | tuple():
            return f"a list of {len(value)}"
        case int():
            return str(value) if abs(value) < 10**18 else "a whole number of over 18 digits"
        case float():
            return f"{value:.6g}"
        case _:
            return f"a {type(value).__name__}"


def plain(text: str) -> str:
    """Return the beginning of a text, without what doesn't print: it may move a cursor, or be no Unicode at all."""
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return short if short.isprintable() else "".join(one if one.isprintable() else "·" for one in short)


def read_text(value: object) -> str:
    """Return a text that isn't empty. Raises Wrong for anything else."""
    if not isinstance(value, str) or not value.strip():
        hint = "put it in quotes to make it a text" if isinstance(value, bool | int | float) else ""
        raise Wrong("a text", hint)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Wrong("a text in Unicode, without halves of surrogate pairs") from None
    return value


def read_id(value: object) -> str:
    """Return an id. Raises Wrong for anything else."""
    allowed = "letters, digits, _ and -, at most 64"
    if not isinstance(value, str):
        raise Wrong(allowed, "put it in quotes to make it a text" if isinstance(value, int | float) else "")
    if not _ID.fullmatch(value):
        raise Wrong(allowed)
    return value


def choice_of(allowed: tuple[str, ...]) -> Callable[[object], str]:
    """Return the function that reads one of some words."""

    def read(value: object) -> str:
        if value not in allowed:
            raise Wrong(", ".join(allowed), closest(value, allowed) if isinstance(value, str) else "")
        return str(value)

    return read


def read_reason(value: object) -> str:
    """Return a reason. Raises Wrong for anything else."""
    if value == "":
        return ""
    text = read_text(value)
    if len(text) > MAX_REASON:
        raise Wrong(f"a text of at most {MAX_REASON:,} characters")
    return text


def read_percent(value: object) -> float:
    """Return a share in percent. Raises Wrong for anything else."""
    allowed = "a number over 0, up to 100, with at most 2 decimals"
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 100:
        hint = 'a number, without quotes or "%"' if isinstance(value, str) else ""
        raise Wrong(allowed, hint or ("to stop a rule, give it the mode paused" if value == 0 else ""))
    if abs(value * 100 - round(value * 100)) > 1e-9 or round(value * 100) == 0:
        raise Wrong(allowed)
    return round(float(value), 2)


def read_time(value: object) -> int:
    """Return a time as epoch milliseconds. Raises Wrong for anything else."""
    allowed = "a time like 2026-01-31T08:00:00+01:00, or milliseconds since 1970"
    if isinstance(value, int) and not isinstance(value, bool):
        time_ms = value
    elif isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise Wrong(allowed) from None
        if moment.tzinfo is None:
            raise Wrong(
                allowed, f"add the zone: Z for UTC, or an offset: {value}{'' if 'T' in value else 'T00:00:00'}Z"
            )
        time_ms = (moment - _EPOCH) // timedelta(milliseconds=1)
    else:
        raise Wrong(allowed)
    if not 0 <= time_ms <= LATEST_MS:
        raise Wrong(f"{allowed}, between 1970 and 2200")
    return time_ms


def read_tags(value: object) -> tuple[str, ...]:
    """Return tags. Raises Wrong for anything else."""
    allowed = f"a list of at most {MAX_TAGS} texts of up to {_TAG_LENGTH} characters"
    if not isinstance(value, list | tuple) or len(value) > MAX_TAGS:
        raise Wrong(allowed, "put it in square brackets" if isinstance(value, str) else "")
    try:
        tags = tuple(read_text(one) for one in value)
    except Wrong as wrong:
        raise Wrong(allowed, wrong.hint) from None
    if any(len(one) > _TAG_LENGTH for one in tags):
        raise Wrong(allowed)
    return tags
