"""Features that are told as they change: of one entity's history, without an event to be asked of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mitra.errors import Problem
from rules import CompiledFeatures, ExpressionSchema, compile_features
from rules.plan import Aggregate, Value
from rules.tree import TimeNode

if TYPE_CHECKING:
    from mitra.history import Plan
    from mitra.history.asking import Asked

_OF_AN_EVENT = frozenset({"previous", "seconds_since"})


def check_live(compiled: CompiledFeatures, told: Sequence[str], label: str | None) -> list[Problem]:
    """Return why features can't be told as time passes."""
    return [Problem(f"features.{name}.emit", wrong) for name in told if (wrong := _wrong(compiled, name, label))]


def _wrong(compiled: CompiledFeatures, name: str, label: str | None) -> str:
    aggregates: dict[str, Aggregate] = {}
    for one in _behind(compiled, name):
        expression = compiled.expressions[one]
        aggregates.update((found.key, found) for found in expression.aggregates)
        reads = [*expression.fields, *("time" for node in expression.tree.walk() if isinstance(node, TimeNode))]
        if reads:
            return f"reads {reads[0]} of the event that is decided; allowed: aggregates of one entity, for there is no event when time passes"
    for found in aggregates.values():
        if found.function in _OF_AN_EVENT:
            return f"asks {found.key}, which looks back from an event; allowed: aggregates with a window"
        if label is not None and found.field == label:
            return f"asks {found.key}, of the label; allowed: aggregates of events and their fields"
    entities = sorted({found.entity for found in aggregates.values()})
    if len(entities) != 1:
        return f"asks the histories of {' and '.join(entities) or 'nobody'}; allowed: those of one entity"
    return ""


def _behind(compiled: CompiledFeatures, name: str) -> list[str]:
    """Return a feature and those that it refers to."""
    found, waiting = [], [name]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += compiled.expressions[one].features
    return found


@dataclass(frozen=True)
class LiveFeatures:
    """The told features of one entity. `spans`: how far behind a time events cross the edge of a window of theirs.

    `passing`: none of them says anything of an entity for ever, so what was told may be forgotten when nothing is in a window.
    """

    entity: int
    entity_name: str
    names: tuple[str, ...]
    compiled: CompiledFeatures
    spans: tuple[int, ...]
    passing: bool
    fields: int

    def values(self, plan: "Plan", asked: "Asked") -> list[Value]:
        """Return the features' values, None for missing, in the order of `names`."""
        numeric = plan.by_entity[self.entity].numeric
        column_of = {plan.aggregates[place].key: column for column, place in enumerate(numeric)}
        texts = plan.by_entity[self.entity].texts
        text_of = {plan.aggregates[place].key: column for column, place in enumerate(texts)}

        def answer(place: int) -> Value:
            one = self.compiled.aggregates[place]
            if one.key in text_of:
                return asked.texts[text_of[one.key]]
            number = float(asked.values[column_of[one.key]])
            return None if number != number else number != 0.0 if one.value_type == "boolean" else number

        answers = [answer(place) for place in self.compiled.needed]
        computed = self.compiled.function((None,) * self.fields, answers, asked.time_ms)
        found: dict[str, Value] = dict(zip(self.compiled.computed, computed, strict=True))
        for name, (place, fill) in self.compiled.direct.items():
            value = answer(place)
            found[name] = fill if value is None else value
        return [_typed(found[name], self.compiled.types[name]) for name in self.names]

    def approximate(self, plan: "Plan", asked: "Asked", name: str) -> bool:
        """Tell whether something behind a feature is approximate."""
        keys = {self.compiled.aggregates[place].key for place in self.compiled.uses[name]}
        numeric = plan.by_entity[self.entity].numeric
        return any(asked.approximate[c] for c, place in enumerate(numeric) if plan.aggregates[place].key in keys)


def _typed(value: Value, kind: str) -> Value:
    if value is None or kind == "string":
        return value
    if kind == "boolean":
        return bool(value)
    number = float(value)
    return int(number) if kind == "integer" and number.is_integer() else number


def live_features(compiled: CompiledFeatures, told: Sequence[str], schema: ExpressionSchema) -> list[LiveFeatures]:
    """Return the told features by entity; `check_live` has nothing to say of them."""
    by_entity: dict[str, list[str]] = {}
    for name in told:
        by_entity.setdefault(compiled.aggregates[compiled.uses[name][0]].entity, []).append(name)
    made = []
    for entity, names in by_entity.items():
        behind = dict.fromkeys(one for name in names for one in _behind(compiled, name))
        mine = compile_features({name: compiled.texts[name] for name in compiled.names if name in behind}, schema)
        place = [one.name for one in schema.entities].index(entity)
        spans = sorted({span for one in mine.aggregates for span in _spans(one)})
        passing = all(one.window.kind in {"over", "session"} for one in mine.aggregates)
        made.append(LiveFeatures(place, entity, tuple(names), mine, tuple(spans), passing, len(schema.decided.fields)))
    return made


def _spans(one: Aggregate) -> list[int]:
    """Return how far behind a time events cross the edges of an aggregate's window."""
    found = [one.delay_ms] if one.delay_ms else []
    if one.window.kind == "over":
        found.append(one.delay_ms + one.window.size)
    elif one.window.kind == "session":
        found.append(one.delay_ms + one.window.size + 1)
    return found
