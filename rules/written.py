"""Rules and sequences as files and changes have them: which of the two a mapping is, and what it reads as."""

from collections.abc import Mapping

from mitra.errors import Problem
from rules.durations import duration_text
from rules.rule import Rule, read_rule, rule_mapping
from rules.sequences.reading import read_sequence, sequence_mapping, times_text


def read_written(value: object, path: str) -> tuple[Rule | None, list[Problem]]:
    """Return the rule or sequence that a mapping says, or None, and all that is wrong with its form: one with steps is a sequence."""
    if isinstance(value, Mapping) and "steps" in value:
        return read_sequence(value, path)
    return read_rule(value, path)


def written(rule: Rule) -> dict[str, object]:
    """Return the mapping that `read_written` reads as this rule or sequence."""
    return rule_mapping(rule) if rule.pattern is None else sequence_mapping(rule)


def condition_text(rule: Rule) -> str:
    """Return in a line when a rule fires: its condition, or a sequence's steps."""
    if rule.pattern is None:
        return " ".join(rule.when.split())
    steps = []
    for step in rule.pattern.steps:
        name = f"no {step.name}" if step.absent else step.name
        times = times_text(step)
        steps.append(f"{name}{'' if times == '1' else f' × {times}'}{'?' if step.optional else ''}")
    within = duration_text(rule.pattern.within_ms)
    also = "" if rule.when == "True" else f" and {' '.join(rule.when.split())}"
    return f"{', '.join(steps)} within {within} of a {rule.pattern.by}{also}"
