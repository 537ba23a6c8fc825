"""The `cep` section of a pipeline file: sequences that Flink CEP runs, fixed when the job is submitted."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from mitra.document import read_document
from mitra.errors import Problem, ProblemsError
from mitra.pipeline import DAY_MS, Cep, Pipeline
from mitra.pipeline_events import TOPIC, TOPIC_ALLOWED
from mitra.pipeline_texts import file_text
from mitra.schema import MATCH, Entity, EventType, Field
from mitra.sections import Report, Section, did_you_mean
from operators.cep import Query, UnfitError, query_of
from rules.rule import Rule
from rules.rule_check import compiler_of
from rules.rule_file import read_rule_file

MAX_PATTERNS = 64
_READ = ("epoch_ms", "epoch_s")
"""How times must be written for SQL to read them."""


def read_cep(root: Section, events: Sequence[EventType], entities: Sequence[Entity], directory: Path, name: str) -> Cep:
    """Read the section of the pipeline called `name`."""
    section = root.section("cep")
    files = section.texts("sequences", "a list of files of sequences, from the pipeline's folder")
    slack_ms = section.duration_ms("slack", 5_000, 0, DAY_MS)
    topic = section.text("topic", f"{name or 'pipeline'}.matches", pattern=TOPIC, allowed=TOPIC_ALLOWED)
    section.close()
    at = section.at("sequences")
    found = [
        rule
        for place, file in enumerate(files)
        for rule in _read_file(directory / file, file, at if len(files) == 1 else f"{at}[{place}]", root.report)
    ]
    patterns = {rule.id: rule for rule in found}
    if len(patterns) < len(found):
        twice = sorted(name for name in patterns if [rule.id for rule in found].count(name) > 1)
        root.report.add(at, f"found {', '.join(twice)} more than once", "matches are asked for by the sequence's id")
    if len(patterns) > MAX_PATTERNS:
        root.report.add(
            at, f"found {len(patterns)} sequences; allowed: {MAX_PATTERNS}", "each is an operator of the job"
        )
    for rule in patterns.values():
        _check_entity(rule, entities, section)
        _check_times(rule, events, entities, section)
    if any(event.name == MATCH for event in events):
        root.report.add(f"events.{MATCH}", "is the type that matches of Flink CEP are", "choose another name")
    return Cep(tuple(patterns.values()), slack_ms, topic)


def readable(event: EventType) -> bool:
    """Tell whether SQL can read an event's time."""
    return event.time_format in _READ


def _check_entity(rule: Rule, entities: Sequence[Entity], section: Section) -> None:
    known = {entity.name: entity for entity in entities}
    by = "" if rule.pattern is None else rule.pattern.by
    if by not in known:
        listed = f"the entities are {', '.join(known)}" if known else "the pipeline has none"
        hint = did_you_mean(by, known) or listed
        section.report.add(section.at("sequences"), f'{rule.id}: by: found "{by}", which is no entity', hint)


def _check_times(rule: Rule, events: Sequence[EventType], entities: Sequence[Entity], section: Section) -> None:
    """Note the types that a pattern may take whose times SQL can't read."""
    pattern = rule.pattern
    fields = next((one.fields for one in entities if pattern is not None and one.name == pattern.by), ())
    named = {step.event for step in (() if pattern is None else pattern.steps)}
    for event in events:
        reached = event.own_names.issuperset(fields) and (None in named or event.name in named)
        if reached and not readable(event):
            message = f"{rule.id} takes {event.name} events, whose times are {event.time_format}; SQL reads {', '.join(_READ)}"
            section.report.add(section.at("sequences"), message, "name other events in its steps, or push the sequence")


def _read_file(path: Path, file: str, place: str, report: Report) -> Iterator[Rule]:
    try:
        found = [one.rule for one in read_rule_file(read_document(file_text(path)), file)]
    except ProblemsError as error:
        for problem in error.problems:
            line = f", line {problem.line}" if problem.line else ""
            inside = f"{problem.path}: " if problem.path else ""
            report.add(place, f"{file}{line}: {inside}{problem.message}", problem.hint)
        return
    for rule in found:
        if rule.pattern is None:
            report.add(
                place, f"{file}: {rule.id} is a rule; allowed: sequences", "push rules instead: mitra rules push"
            )
        else:
            yield rule


def match_event(cep: Cep, entities: Sequence[Entity], events: Sequence[EventType]) -> EventType:
    """Return the event type that matches enter histories as: with the key of the entity that each was found in, and no other."""
    wanted = {by for _, by in cep.entities}
    known = {field.name: field for event in events for field in event.own}
    names = dict.fromkeys(name for entity in entities if entity.name in wanted for name in entity.fields)
    keys = [Field(name, known[name].type, required=False) for name in names if name in known]
    own = (Field("match_id", "string"), Field("match_time", "integer"), Field("pattern", "string"))
    return EventType(MATCH, cep.topic, "match_id", "match_time", (*own, *keys), decided=False, derived=True)


def queries(pipeline: Pipeline) -> tuple[list[tuple[Rule, Query]], list[Problem]]:
    """Return the pipeline's patterns as queries, and all that is wrong with their texts, or lacking in SQL for them.

    The rule beside each has the reason that is told: empty where it has values, which nobody fills.
    """
    compiler, problems, made = compiler_of(pipeline.expression_schema()), list[Problem](), list[tuple[Rule, Query]]()
    for rule in () if pipeline.cep is None else pipeline.cep.patterns:
        # A sequence's own condition is lacking, right or wrong.
        code, wrong = compiler.compile(msgspec.structs.replace(rule, when="True"), {})
        problems += wrong
        if code is None or code.asked is None:
            continue
        try:
            query = query_of(rule, code.asked.compiled)
        except UnfitError as error:
            hint = "push it as a sequence of the job instead: mitra sequences push"
            problems.append(Problem(f"cep.{rule.id}", str(error), hint))
        else:
            made.append((msgspec.structs.replace(rule, reason=code.reason.plain), query))
    return made, problems
