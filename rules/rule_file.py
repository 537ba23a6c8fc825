"""Rule files: rules as an analyst writes them, each with the examples that say when it fires.

A file holds one rule, a list of rules, or a list under `rules:`. Reading YAML is the caller's: a document is handed in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mitra.errors import Problem, ProblemsError
from rules.plan import Value
from rules.problems import closest
from rules.rule import Rule, found, plain, read_rule

_EXAMPLE_KEYS = ("event", "given", "fires")


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

    `event` are fields by name, `given` the values of features by name and of aggregates by text.
    """

    event: Mapping[str, Value]
    given: Mapping[str, Value]
    fires: bool | None
    path: str
    line: int | None


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
    found_rules, path = _rules(value, problems)
    first_lines: dict[str, int | None] = {}
    for number, one in enumerate(found_rules):
        place = f"{path}[{number}]" if path is not None else ""
        line = document.lines.get(place)
        examples = _examples(one, place, document.lines, problems)
        mapping = {key: inner for key, inner in one.items() if key != "examples"} if isinstance(one, Mapping) else one
        rule, wrong = read_rule(mapping, place)
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


def _rules(value: object, problems: list[Problem]) -> tuple[list[object], str | None]:
    """Return the rules in a document, and the path of their list, None where one stands alone."""
    if isinstance(value, Mapping) and "rules" in value:
        problems += [
            Problem(plain(str(key)), "is not known here; allowed: rules", "a rule's keys stand in the rule")
            for key in value
            if key != "rules"
        ]
        value, path = value["rules"], "rules"
    elif isinstance(value, list):
        path = ""
    else:
        if value is None or value == {}:
            problems.append(Problem("", "the file holds no rule", "write id, when and outcome"))
            return [], None
        return [value], None
    if not isinstance(value, list) or not value:
        problems.append(Problem(path, f"found {found(value)}; allowed: a list of rules"))
        return [], None
    return value, path


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
    read = (_example(one, f"{path}[{number}]", lines, problems) for number, one in enumerate(listed))
    return tuple(one for one in read if one is not None)


def _example(value: object, path: str, lines: Mapping[str, int], problems: list[Problem]) -> Example | None:
    if not isinstance(value, Mapping):
        problems.append(Problem(path, f"found {found(value)}; allowed: a mapping of {', '.join(_EXAMPLE_KEYS)}"))
        return None
    for key in value:
        if key not in _EXAMPLE_KEYS:
            hint = closest(str(key), _EXAMPLE_KEYS)
            problems.append(
                Problem(f"{path}.{plain(str(key))}", f"is not known here; allowed: {', '.join(_EXAMPLE_KEYS)}", hint)
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
    return Example(values[0], values[1], fires, path, lines.get(path))


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
