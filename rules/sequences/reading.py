"""A sequence, read from a mapping: a control message's or a file's. What its texts mean is checked by `rules.sequences.check`."""

import re
from collections.abc import Mapping
from typing import cast

from mitra.errors import Problem
from rules.durations import EXAMPLES, duration_ms, duration_text
from rules.outcomes import OUTCOMES, Outcome
from rules.rule import MappingReader, Rule, Wrong, choice_of, read_id, read_rest, read_text, rest_mapping
from rules.sequences.pattern import SKIPS, Pattern, Skip, Step

MAX_STEPS = 16
MAX_TIMES = 100
"""Events that one step may want: all that are taken stand on the decision."""

CONTIGUITIES = ("relaxed", "strict")
_TIMES = re.compile(r"(\d{1,9})(?: or (more)| to (\d{1,9}))?")


def read_sequence(value: object, path: str) -> tuple[Rule | None, list[Problem]]:
    """Return the sequence that a mapping says, as a rule with a pattern, or None; and all that is wrong with its form."""
    reader = MappingReader(value, path, "a sequence")
    if not isinstance(value, Mapping):
        return None, reader.problems
    rule_id = reader.read("id", read_id, required=True)
    by = reader.read("by", read_text, required=True)
    within_ms = reader.read("within", _duration, required=True)
    contiguity = reader.read("contiguity", choice_of(CONTIGUITIES)) or "relaxed"
    steps = reader.read("steps", _list, required=True)
    read = [] if steps is None else _steps(steps, f"{path}.steps" if path else "steps", contiguity, reader)
    skip = reader.read("skip", choice_of(SKIPS)) or "none"
    when = reader.read("when", read_text) or "True"
    outcome = reader.read("outcome", choice_of(OUTCOMES), required=True)
    rest = read_rest(reader) | {"by": None}  # a percent is of the sequence's own entity
    reader.close()
    if reader.problems or rule_id is None or by is None or within_ms is None or outcome is None:
        return None, reader.problems
    pattern = Pattern(by=by, within_ms=within_ms, steps=tuple(read), skip=cast(Skip, skip))
    return Rule(id=rule_id, when=when, outcome=cast(Outcome, outcome), pattern=pattern, **rest), []


def sequence_mapping(rule: Rule) -> dict[str, object]:
    """Return the mapping that `read_sequence` reads as this sequence."""
    pattern = rule.pattern
    assert pattern is not None, f"{rule.id} is no sequence"
    found: dict[str, object] = {"id": rule.id, "by": pattern.by, "within": duration_text(pattern.within_ms)}
    found["steps"] = [_step_mapping(step) for step in pattern.steps]
    if pattern.skip != "none":
        found["skip"] = pattern.skip
    if rule.when != "True":
        found["when"] = rule.when
    return found | {"outcome": rule.outcome} | rest_mapping(rule)


def times_text(step: Step) -> str:
    """Return how often a step is taken, as it is written."""
    if step.most is None:
        return f"{step.least} or more"
    return str(step.least) if step.least == step.most else f"{step.least} to {step.most}"


def _step_mapping(step: Step) -> dict[str, object]:
    found: dict[str, object] = {"absent" if step.absent else "step": step.name}
    if step.event is not None:
        found["event"] = step.event
    if step.when:
        found["when"] = step.when
    if (step.least, step.most) != (1, 1):
        times = times_text(step)
        found["times"] = int(times) if times.isdigit() else times
    if step.optional:
        found["optional"] = True
    if step.strict:
        found["contiguity"] = "strict"
    return found


def _steps(values: list[object], path: str, contiguity: str, outer: MappingReader) -> list[Step]:
    if not 1 <= len(values) <= MAX_STEPS:
        outer.add("steps", f"found {len(values)} steps; allowed: 1 to {MAX_STEPS}")
    steps: list[Step] = []
    for place, value in enumerate(values[:MAX_STEPS]):
        step = _step(value, f"{path}[{place}]", contiguity, outer.problems)
        if step is not None:
            if any(step.name == other.name for other in steps):
                message = f'found "{step.name}", which is the name of an earlier step'
                outer.problems.append(Problem(f"{path}[{place}].step", message, "steps are told apart by their names"))
            steps.append(step)
    if steps and len(steps) == len(values):
        _check_order(steps, path, outer.problems)
    return steps


def _step(value: object, path: str, contiguity: str, problems: list[Problem]) -> Step | None:
    reader = MappingReader(value, path, "a step")
    if isinstance(value, Mapping):
        absent = "absent" in value
        if absent and "step" in value:
            reader.add("absent", "stands beside step", "a step comes, or it is absent: keep one of the two")
        reader.read("step" if absent else "absent", read_text)  # known here, and noted above where both are given
        name = reader.read("absent" if absent else "step", _name, required=True) or ""
        event = reader.read("event", read_text)
        when = reader.read("when", read_text) or ""
        least, most = reader.read("times", _times) or (1, 1)
        optional = reader.read("optional", _boolean) or False
        strict = (reader.read("contiguity", choice_of(CONTIGUITIES)) or contiguity) == "strict"
        for key in ("times", "optional", "contiguity"):
            if absent and key in value:
                reader.add(key, "says nothing of a step that mustn't come", "leave it out")
        reader.close()
        if not reader.problems:
            return Step(
                name=name, event=event, when=when, least=least, most=most, optional=optional, absent=absent,
                strict=strict and not absent,
            )  # fmt: skip
    problems += reader.problems
    return None


def _check_order(steps: list[Step], path: str, problems: list[Problem]) -> None:
    """Note where steps stand that can't stand there."""
    if steps[0].absent:
        hint = 'to ask for a customer\'s first login, write when: count(by=customer, over="ever") == 1 in the sequence'
        problems.append(Problem(f"{path}[0]", "a sequence begins with something that comes", hint))
    taken = [place for place, step in enumerate(steps) if not step.absent]
    for place in taken:
        if steps[place].optional and place in {taken[0], taken[-1]}:
            message = "the first and the last step that come can't be optional: they say where a match begins and ends"
            problems.append(Problem(f"{path}[{place}].optional", message, "leave the step out, or optional"))
        if steps[place].strict and place and steps[place - 1].absent:
            hint = "leave out the absent step, or give the step contiguity: relaxed"
            problems.append(Problem(f"{path}[{place}]", "follows strictly, so that nothing lies between anyway", hint))


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Wrong("a list of steps")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise Wrong("true or false")
    return value


def _duration(value: object) -> int:
    size = duration_ms(value) if isinstance(value, str) else None
    if size is None:
        raise Wrong(f"a length of time, like {EXAMPLES}")
    return size


def _name(value: object) -> str:
    allowed = "a letter or _, then letters, digits and _, at most 64"
    if not isinstance(value, str) or not value.isidentifier() or not value.isascii() or len(value) > 64:
        raise Wrong(allowed, "conditions of later steps speak of it by this name" if isinstance(value, str) else "")
    return value


def _times(value: object) -> tuple[int, int | None]:
    allowed = f'a number from 1 to {MAX_TIMES}, or a text like "3 or more" or "2 to 5"'
    match = _TIMES.fullmatch(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if match is None:
        raise Wrong(allowed, "to let a step be absent, write optional: true" if value == 0 else "")
    least = int(match[1])
    most = None if match[2] else int(match[3] or match[1])
    if not 1 <= least <= MAX_TIMES or (most is not None and not least <= most <= MAX_TIMES):
        raise Wrong(allowed, "to let a step be absent, write optional: true" if least == 0 else "")
    return least, most
