"""Sequences as queries on Flink's CEP library: the text of a pattern to MATCH_RECOGNIZE.

Pure: texts in, texts out. `mitra.job_cep` runs them. In front of a relaxed step stands a variable for what lies between: anything but
what is to be absent, and but what the step itself could take, for the first that fits is the one to take. What MATCH_RECOGNIZE can't
say is refused with what it lacks, and so is a pattern of which it could take other events than the job's own engine.
"""

from dataclasses import dataclass, field

from mitra.errors import MitraError
from rules.plan import TYPES_SEPARATOR
from rules.rule import Rule
from rules.sequences.check import CompiledPattern, CompiledStep
from rules.sequences.takes import Take, takes_of
from rules.sql import LacksError, quoted, sql_of

EVENT_TYPE, EVENT_ID, EVENT_MS, AT = "event type", "event id", "event ms", "event at"
"""Columns beside an event's fields: its type, id, time in epoch milliseconds, and row time. No field's name has a blank."""

MAX_WITHIN_MS = 999 * 86_400_000
"""Flink's intervals have three digits of days."""

_SKIP = {"to_next": "TO NEXT ROW", "past_last": "PAST LAST ROW"}


class UnfitError(MitraError):
    """A sequence that Flink CEP can't run, with all that it lacks."""

    def __init__(self, name: str, lacks: list[str]) -> None:
        """Keep what is lacking."""
        self.lacks = lacks
        listed = "\n".join(f"  {one}" for one in lacks)
        super().__init__(f"sequence {name} can't run on Flink CEP, whose MATCH_RECOGNIZE lacks\n{listed}")


@dataclass(frozen=True)
class Variable:
    """One variable of a query: of a take, or with None of a gap."""

    name: str
    quantifier: str
    definition: str | None
    take: Take | None = None


@dataclass(frozen=True)
class Query:
    """A sequence as MATCH_RECOGNIZE; `taken` are the variables whose events are measured."""

    name: str
    variables: tuple[Variable, ...]
    within_ms: int
    skip: str

    @property
    def taken(self) -> tuple[tuple[Variable, Take], ...]:
        """The variables that take events for steps."""
        return tuple((one, one.take) for one in self.variables if one.take is not None)

    def sql(self, table: str, keys: tuple[str, ...]) -> str:
        """Return the query over a table with the columns above beside its fields, for each of the `keys`.

        Its columns are the keys, and by the number of each variable that takes events: `type_0`, `count_0`, and of the first and the
        last event `first_id_0`, `first_ms_0`, `last_id_0`, `last_ms_0`.
        """
        measures = ",\n    ".join(self._measures())
        pattern = " ".join(f"{one.name}{one.quantifier}" for one in self.variables)
        defined = [f"{one.name} AS {one.definition}" for one in self.variables if one.definition is not None]
        define = ",\n    ".join(defined) or f"{self.variables[0].name} AS TRUE"
        return (
            f"SELECT * FROM {table} MATCH_RECOGNIZE (\n"  # noqa: S608 - names and literals are quoted
            f"  PARTITION BY {', '.join(f'`{key}`' for key in keys)}\n"
            f"  ORDER BY `{AT}`\n"
            f"  MEASURES\n    {measures}\n"
            f"  ONE ROW PER MATCH\n"
            f"  AFTER MATCH SKIP {self.skip}\n"
            f"  PATTERN ({pattern}) WITHIN {interval(self.within_ms + 1)}\n"
            f"  DEFINE\n    {define}\n)"
        )

    def _measures(self) -> list[str]:
        rows = []
        for number, (one, _) in enumerate(self.taken):
            for part, function in (("first", "FIRST"), ("last", "LAST")):
                rows += [
                    f"{function}({one.name}.`{EVENT_ID}`) AS `{part}_id_{number}`",
                    f"{function}({one.name}.`{EVENT_MS}`) AS `{part}_ms_{number}`",
                ]
            rows.append(f"LAST({one.name}.`{EVENT_TYPE}`) AS `type_{number}`")
            rows.append(f"COUNT({one.name}.`{EVENT_ID}`) AS `count_{number}`")
        return rows


def interval(size_ms: int) -> str:
    """Return a length of time; as that of WITHIN it is what Flink's matches are shorter than."""
    seconds, rest = divmod(size_ms, 1000)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    return f"INTERVAL '{days} {hours % 24:02d}:{minutes % 60:02d}:{seconds % 60:02d}.{rest:03d}' DAY(3) TO SECOND(3)"


def query_of(rule: Rule, compiled: CompiledPattern) -> Query:
    """Return a sequence as a query. Raises UnfitError with all that MATCH_RECOGNIZE lacks for it."""
    pattern = compiled.pattern
    lacks: list[str] = []
    if pattern.skip == "none":
        lacks.append("skip: none, a match for each last event: give it skip: to_next or past_last")
    if pattern.awaits_absence:
        lacks.append("absence at the end: a match ends with an event there")
    if rule.when != "True":
        lacks.append("a sequence's own when: aggregates and features are not on its topics")
    if rule.percent is not None or rule.from_ms is not None or rule.until_ms is not None:
        lacks.append("percent, from and until: what is found is told of all, at all times")
    if rule.mode == "paused":
        lacks.append("mode: paused: leave the sequence out")
    if pattern.within_ms > MAX_WITHIN_MS:
        lacks.append("times over 999 days in within")
    takes, unsettled = takes_of(compiled)
    lacks += unsettled
    # Flink's planner takes two MATCHes that differ in WITHIN alone for one, and runs both with the time of either: names tell them apart.
    made = _Variables(lacks, f"_{pattern.within_ms}")
    for place, take in enumerate(takes):
        made.add(take, takes[place + 1] if place + 1 < len(takes) else None)
    if lacks:
        raise UnfitError(rule.id, list(dict.fromkeys(lacks)))
    return Query(rule.id, tuple(made.made), pattern.within_ms, _SKIP[pattern.skip])


@dataclass
class _Variables:
    """The variables of a query, made one take after the other; the first has the `suffix`.

    `bound`: by step the variable that its last event has.
    """

    lacks: list[str]
    suffix: str
    made: list[Variable] = field(default_factory=list)
    bound: dict[str, str] = field(default_factory=dict)
    option: str | None = None
    """The variable of the step right before, where that is optional."""

    def add(self, take: Take, following: Take | None) -> None:
        """Add the variables of a take, and of what may lie in front of it."""
        number = len(self.made)
        name = (
            f"S{number}_{take.name}" + (f"_{take.number}" if take.number else "") + (self.suffix if number == 0 else "")
        )
        if self.made and not take.strict:
            self._gap(f"G{number}", take, following)
        quantifier = ""
        if take.open_end:
            quantifier = f"{{{take.least},{'' if take.most is None else take.most}}}?"
        self.option = name if take.one.step.optional else None
        self.made.append(
            Variable(name, quantifier or "?" * take.one.step.optional, self._condition(take.one, name), take)
        )
        self.bound[take.name] = name

    def _gap(self, name: str, take: Take, following: Take | None) -> None:
        """Add what may lie in front of a take; nothing, where that is nothing."""
        kept_out = [*take.absent, *([take.one] if take.eager else [])]
        if take.one.step.optional and following is not None and following.eager:
            # Where the optional step isn't taken this is the gap in front of the step behind it too.
            kept_out.append(following.one)
        conditions = [self._condition(one, name) for one in kept_out]
        if None in conditions:
            return
        tests = [f"({test}) IS NOT TRUE" for test in conditions]
        if self.option is not None:
            # Where it wasn't taken the gap before it has taken all there is.
            tests.append(f"LAST({self.option}.`{EVENT_MS}`) IS NOT NULL")
        self.made.append(Variable(name, "*?", " AND ".join(tests) or None))

    def _condition(self, one: CompiledStep, name: str) -> str | None:
        """Return a step's condition on the row that `name` stands for; None for one that always holds."""

        def column(field: str) -> str:
            step, dot, own = field.rpartition(".")
            # What speaks of a step that isn't taken for sure is lacking anyway.
            return f"{self.bound.get(step, step)}.`{own}`" if dot else f"{name}.`{own}`"

        parts = []
        if one.step.event is not None and TYPES_SEPARATOR not in one.step.event:
            parts.append(f"{name}.`{EVENT_TYPE}` = {quoted(one.step.event)}")
        if one.condition is not None:
            try:
                parts.append(sql_of(one.condition, column))
            except LacksError as error:
                self.lacks.append(f"{error} (step {one.step.name})")
        return " AND ".join(parts) or None
