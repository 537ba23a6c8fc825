"""The examples of a sequence, run: events of one entity, a time apart, and whether the last of them completes it."""

from collections.abc import Mapping

from mitra.errors import Problem
from rules.durations import EXAMPLES, duration_ms
from rules.plan import Value
from rules.problems import closest
from rules.rule import Rule, found, plain
from rules.rule_check import compiler_of
from rules.rule_file import Example
from rules.schema import ExpressionSchema
from rules.sequences.listed import Listed
from rules.sequences.match import Matcher

_WORDS = {True: "fires", False: "doesn't fire"}


def sequence_problems(rule: Rule, example: Example, schema: ExpressionSchema) -> list[Problem]:
    """Return what an example shows to be otherwise than said, or what is wrong with it."""
    code, _ = compiler_of(schema).compile(rule, {})
    if code is None or code.asked is None:
        return []  # what is wrong with its texts is said elsewhere
    problems: list[Problem] = []
    times = [
        _at_ms(one, f"{example.path}.events[{place}]", example, problems) for place, one in enumerate(example.events)
    ]
    for place, one in enumerate(example.events):
        problems += _fields_problems(one, f"{example.path}.events[{place}]", example, schema)
    if not example.events:
        problems.append(Problem(f"{example.path}.events", "is missing; allowed: a list of events", "", example.line))
    if not problems and times != sorted(times):
        problems.append(Problem(f"{example.path}.events", "are not in order of time", "sort them by at", example.line))
    if problems:
        return problems
    rows, last = Listed(example.events, times), len(times) - 1
    matcher = Matcher(code.asked.compiled)
    if matcher.awaits_absence:
        matches = matcher.given(rows, len(times))
        fires = any(matcher.stays_absent(rows, match, len(times)) for match in matches)
    else:
        fires = bool(matcher.ending_at(rows, last))
    if fires is example.fires:
        return []
    message = (
        f"the sequence {rule.id} {_WORDS[fires]} here, and fires is {found(example.fires).replace('nothing', 'null')}"
    )
    return [Problem(example.path, message, "", example.line)]


def _at_ms(event: Mapping[str, Value], path: str, example: Example, problems: list[Problem]) -> int:
    at = event.get("at", "0s")
    size = 0 if at in {"0s", 0} else duration_ms(at) if isinstance(at, str) else None
    if size is None:
        message = f"found {found(at)}; allowed: how long after the beginning, like 0s, {EXAMPLES}"
        problems.append(Problem(f"{path}.at", message, "", example.line))
    return size or 0


def _fields_problems(
    event: Mapping[str, Value], path: str, example: Example, schema: ExpressionSchema
) -> list[Problem]:
    kind = schema.event_by_name.get(str(event.get("event", "")))
    if kind is None:
        known = ", ".join(schema.event_by_name)
        message = f"found {found(event.get('event'))}; allowed: {known}"
        return [Problem(f"{path}.event", message, closest(str(event.get("event")), schema.event_by_name), example.line)]
    return [
        Problem(
            f"{path}.{plain(name)}", f"is no field of {kind.name} events", closest(name, kind.by_name), example.line
        )
        for name in event
        if name not in {"event", "at"} and name not in kind.own_names
    ]
