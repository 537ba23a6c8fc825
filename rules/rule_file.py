"""Rule files: rules as an analyst writes them, each with the examples that say when it fires.

A file holds one rule, a list of rules, or a list under `rules:`; what has steps is a sequence, and a list of such may stand
under `sequences:`. Reading YAML is the caller's: a document is handed in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mitra.errors import Problem, ProblemsError
from rules.plan import Value
from rules.problems import closest
from rules.rule import Rule, found, plain
from rules.written import read_written

SECTIONS = ("rules", "sequences")
_EXAMPLE_KEYS = ("event", "given", "fires")
_SEQUENCE_KEYS = ("events", "fires")


class RuleDocument(Protocol):
    """A file's values, the line of each by its path (`rules[0].when`), and what is wrong with its form."""

    @property
    def value(self) -> object:
        """The values."""

    @property
    def lines(self) -> Mapping[str, int]:
        """The lines."""

    @property
    def problems(self) -> Sequence[Problem]:
        """The problems."""


@dataclass(frozen=True, slots=True)
class Example:
    """What a rule must say of an event: `fires` True, False, or None where it can't be decided.

    `event` are fields by name, `given` the values of features by name and of aggregates by text. Of a sequence it is said of
    `events`, each with its type under `event`, its fields, and `at`, how long after the beginning it comes.
    """

    event: Mapping[str, Value]
    given: Mapping[str, Value]
    fires: bool | None
    path: str
    line: int | None
    events: tuple[Mapping[str, Value], ...] = ()


@dataclass(frozen=True, slots=True)
class RuleInFile:
    """A rule with its examples and the line it begins on."""

    rule: Rule
    examples: tuple[Example, ...]
    line: int | None


def read_rule_file(document: RuleDocument, name: str) -> list[RuleInFile]:
    """Return the rules of the file called `name`. Raises ProblemsError with all that is wrong, by line."""
    if document.problems:
        raise ProblemsError(name, list(document.problems))
    value, problems, read = document.value, list[Problem](), list[RuleInFile]()
    first_lines: dict[str, int | None] = {}
    for place, one in _rules(value, problems):
        line = document.lines.get(place)
        examples = _examples(one, place, document.lines, problems)
        mapping = {key: inner for key, inner in one.items() if key != "examples"} if isinstance(one, Mapping) else one
        rule, wrong = read_written(mapping, place)
        problems += wrong
        rule_id = one.get("id") if isinstance(one, Mapping) else None
        if isinstance(rule_id, str) and rule_id in first_lines:
            message = f"found {found(rule_id)}, which is the id of the rule on line {first_lines[rule_id]} too"
            problems.append(Problem(f"{place}.id", message))
        elif isinstance(rule_id, str):
            first_lines[rule_id] = line
        if rule is not None:
            read.append(RuleInFile(rule, examples, line))
    if problems:
        placed = [_with_line(problem, document.lines) for problem in problems]
        raise ProblemsError(name, sorted(placed, key=lambda one: one.line or 0))
    return read


def _rules(value: object, problems: list[Problem]) -> list[tuple[str, object]]:
    """Return the rules and sequences in a document, each with its path, empty where one stands alone."""
    if isinstance(value, Mapping) and any(key in value for key in SECTIONS):
        problems += [
            Problem(
                plain(str(key)), f"is not known here; allowed: {', '.join(SECTIONS)}", "a rule's keys stand in the rule"
            )
            for key in value
            if key not in SECTIONS
        ]
        return [one for key in SECTIONS if key in value for one in _listed(value[key], key, problems)]
    if isinstance(value, list):
        return _listed(value, "", problems)
    if value is None or value == {}:
        problems.append(Problem("", "the file holds no rule", "write id, when and outcome"))
        return []
    return [("", value)]


def _listed(value: object, path: str, problems: list[Problem]) -> list[tuple[str, object]]:
    if isinstance(value, list) and value:
        return [(f"{path}[{number}]", one) for number, one in enumerate(value)]
    problems.append(Problem(path, f"found {found(value)}; allowed: a list of {path or 'rules'}"))
    return []


def _with_line(problem: Problem, lines: Mapping[str, int]) -> Problem:
    """Return the problem with the line of its path, or of what holds it."""
    place = problem.path
    while place and place not in lines:
        place = place[: max(place.rfind("."), place.rfind("["), 0)]
    return replace(problem, line=lines.get(place))


def _examples(rule: object, path: str, lines: Mapping[str, int], problems: list[Problem]) -> tuple[Example, ...]:
    if not isinstance(rule, Mapping) or rule.get("examples") is None:
        return ()
    listed, path = rule["examples"], f"{path}.examples" if path else "examples"
    if not isinstance(listed, list):
        problems.append(Problem(path, f"found {found(listed)}; allowed: a list of examples"))
        return ()
    keys = _SEQUENCE_KEYS if "steps" in rule else _EXAMPLE_KEYS
    read = (_example(one, f"{path}[{number}]", keys, lines, problems) for number, one in enumerate(listed))
    return tuple(one for one in read if one is not None)


def _example(
    value: object, path: str, keys: Sequence[str], lines: Mapping[str, int], problems: list[Problem]
) -> Example | None:
    if not isinstance(value, Mapping):
        problems.append(Problem(path, f"found {found(value)}; allowed: a mapping of {', '.join(keys)}"))
        return None
    for key in value:
        if key not in keys:
            hint = closest(str(key), keys)
            problems.append(
                Problem(f"{path}.{plain(str(key))}", f"is not known here; allowed: {', '.join(keys)}", hint)
            )
    fires = value.get("fires")
    if "fires" not in value:
        problems.append(Problem(f"{path}.fires", "is missing; allowed: true, false, null (it can't be decided)"))
    elif fires is not None and not isinstance(fires, bool):
        problems.append(
            Problem(f"{path}.fires", f"found {found(fires)}; allowed: true, false, null (it can't be decided)")
        )
        fires = None
    values = [_values(value.get(key), f"{path}.{key}", problems) for key in ("event", "given")]
    listed = value.get("events")
    if listed is not None and not isinstance(listed, list):
        problems.append(Problem(f"{path}.events", f"found {found(listed)}; allowed: a list of events"))
    events = listed if isinstance(listed, list) else []
    read = tuple(_values(one, f"{path}.events[{place}]", problems) for place, one in enumerate(events))
    return Example(values[0], values[1], fires, path, lines.get(path), read)


def _values(value: object, path: str, problems: list[Problem]) -> dict[str, Value]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        problems.append(Problem(path, f"found {found(value)}; allowed: a mapping of names to values"))
        return {}
    read: dict[str, Value] = {}
    for key, one in value.items():
        if one is None or isinstance(one, bool | int | float | str):
            read[str(key)] = one
        else:
            problems.append(
                Problem(f"{path}.{plain(str(key))}", f"found {found(one)}; allowed: a text, number or boolean")
            )
    return read
