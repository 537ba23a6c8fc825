"""Sequences as queries on Flink's CEP library: the text of a pattern to MATCH_RECOGNIZE.

Pure: texts in, texts out. `mitra.job_cep` runs them. Between two relaxed steps stands a variable that takes anything, as little as it
can; where something is to be absent, it takes anything else. What MATCH_RECOGNIZE can't say is refused with what it lacks.
"""

from dataclasses import dataclass

from mitra.errors import MitraError
from rules.rule import Rule
from rules.sequences.check import CompiledPattern, CompiledStep
from rules.sequences.pattern import Step
from rules.sql import LacksError, quoted, sql_of

_SKIP = {"to_next": "TO NEXT ROW", "past_last": "PAST LAST ROW"}
SEPARATOR = "U&'\\001F'"


class UnfitError(MitraError):
    """A sequence that Flink CEP can't run, with all that it lacks."""

    def __init__(self, name: str, lacks: list[str]) -> None:
        """Keep what is lacking."""
        self.lacks = lacks
        listed = "\n".join(f"  {one}" for one in lacks)
        super().__init__(
            f"sequence {name} can't run on Flink CEP, whose MATCH_RECOGNIZE lacks\n{listed}\n"
            "push it as a sequence of the job instead: mitra sequences push"
        )


@dataclass(frozen=True)
class Variable:
    """One variable of a query: a step's, its `number`-th where it is taken several times, or a gap."""

    name: str
    quantifier: str
    definition: str | None
    step: Step | None = None


@dataclass(frozen=True)
class Query:
    """A sequence as MATCH_RECOGNIZE; `taken` are the variables of steps, whose events are measured."""

    name: str
    variables: tuple[Variable, ...]
    within_ms: int
    skip: str

    @property
    def taken(self) -> tuple[Variable, ...]:
        """The variables that steps take events with."""
        return tuple(one for one in self.variables if one.step is not None)

    def sql(self, table: str, keys: tuple[str, ...]) -> str:
        """Return the query over a table with `event_type`, `event_id`, `event_ms` and the row time `at`, for each of the `keys`.

        Its columns are the keys and `events`: for each variable that took something its step, type, id and time, first and last,
        and how many; as one text, parted by the unit separator.
        """
        measures = ",\n    ".join(self._measures())
        pattern = " ".join(f"{one.name}{one.quantifier}" for one in self.variables)
        defined = [f"{one.name} AS {one.definition}" for one in self.variables if one.definition is not None]
        define = ",\n    ".join(defined) or f"{self.variables[0].name} AS TRUE"
        return (
            f"SELECT * FROM {table} MATCH_RECOGNIZE (\n"
            f"  PARTITION BY {', '.join(f'`{key}`' for key in keys)}\n"
            f"  ORDER BY `at`\n"
            f"  MEASURES\n    {measures}\n"
            f"  ONE ROW PER MATCH\n"
            f"  AFTER MATCH SKIP {self.skip}\n"
            f"  PATTERN ({pattern}) WITHIN INTERVAL {_interval(self.within_ms)}\n"
            f"  DEFINE\n    {define}\n)"
        )

    def _measures(self) -> list[str]:
        rows = []
        for number, one in enumerate(self.taken):
            for part, function in (("first", "FIRST"), ("last", "LAST")):
                rows += [
                    f"{function}({one.name}.`event_id`) AS `{part}_id_{number}`",
                    f"{function}({one.name}.`event_ms`) AS `{part}_ms_{number}`",
                ]
            rows.append(f"LAST({one.name}.`event_type`) AS `type_{number}`")
            rows.append(f"COUNT({one.name}.`event_id`) AS `count_{number}`")
        return rows


def query_of(rule: Rule, compiled: CompiledPattern) -> Query:
    """Return a sequence as a query. Raises UnfitError with all that MATCH_RECOGNIZE lacks for it."""
    pattern = compiled.pattern
    lacks: list[str] = []
    if pattern.skip == "none":
        lacks.append("skip: none, a match for each last event: give it skip: to_next or past_last")
    if pattern.awaits_absence:
        lacks.append("absence at the end: a match ends with an event there")
    if rule.when != "True":
        lacks.append("a sequence's own when: aggregates and features are not on its topic")
    last_of: dict[str, str] = {}
    variables: list[Variable] = []
    absent: list[CompiledStep] = []
    for place, one in enumerate(compiled.steps):
        if one.step.absent:
            absent.append(one)
            continue
        if one.step.optional:
            lacks.append(f"a choice of events for the optional step {one.step.name}: which it takes isn't said")
        try:
            variables += _of_step(one, place, absent, last_of, lacks, last=place == len(compiled.steps) - 1)
        except LacksError as error:
            lacks.append(f"{error} (step {one.step.name})")
        absent = []
    if lacks:
        raise UnfitError(rule.id, lacks)
    return Query(rule.id, tuple(variables), pattern.within_ms, _SKIP[pattern.skip])


def _of_step(
    one: CompiledStep, place: int, absent: list[CompiledStep], last_of: dict[str, str], lacks: list[str], *, last: bool
) -> list[Variable]:
    step, name = one.step, f"S{place}"
    # A match is given when it is complete first: at the end, no more are taken than are wanted.
    most = step.least if last else step.most
    made: list[Variable] = []
    if place and not step.strict:
        made.append(Variable(f"{name}_gap", "*?", _gap(absent, last_of)))
    if most != step.least:
        if not step.strict:
            lacks.append(f"groups, for {step.name} taken {step.least} times or more: make it contiguity: strict")
        upper = "" if most is None else str(most)
        made.append(Variable(name, f"{{{step.least},{upper}}}", _condition(one, name, last_of), step))
        last_of[step.name] = name
        return made
    for number in range(step.least):
        if number and not step.strict:
            made.append(Variable(f"{name}_gap{number}", "*?", None))
        mine = name if step.least == 1 else f"{name}_{number}"
        made.append(Variable(mine, "", _condition(one, mine, last_of), step))
        last_of[step.name] = mine
    return made


def _gap(absent: list[CompiledStep], last_of: dict[str, str]) -> str | None:
    """Return what may lie in a gap: nothing that is to be absent. A gap has no name of its own to read its rows by."""
    if not absent:
        return None
    return " AND ".join(f"({_condition(one, '', last_of) or 'TRUE'}) IS NOT TRUE" for one in absent)


def _condition(one: CompiledStep, name: str, last_of: dict[str, str]) -> str | None:
    """Return a step's condition on the row that `name` stands for."""
    prefix = f"{name}." if name else ""

    def column(field: str) -> str:
        step, dot, own = field.rpartition(".")
        return f"{last_of[step]}.`{own}`" if dot else f"{prefix}`{own}`"

    parts = []
    if one.step.event is not None:
        parts.append(f"{prefix}`event_type` = {quoted(one.step.event)}")
    if one.condition is not None:
        parts.append(sql_of(one.condition, column))
    return " AND ".join(parts) or None


def _interval(size_ms: int) -> str:
    """Return an interval that holds times up to `size_ms` apart: Flink's ends before it."""
    seconds, rest = divmod(size_ms + 1, 1000)
    return f"'{seconds}.{rest:03d}' SECOND({max(2, len(str(seconds)))}, 3)"
