"""Checks of profile("fact", by=entity): the newest value that a profile's topic has told, unless that is too old."""

import ast
from typing import TYPE_CHECKING

from mitra.schema import Entity, EventType
from rules.aggregates import INSIDE, UNKNOWN, entity_of, options_of
from rules.durations import EXAMPLES, duration_ms, duration_text
from rules.grammar import PROFILE
from rules.plan import Aggregate, Window
from rules.problems import closest
from rules.tree import AggregateNode, Node
from rules.windows import Options

if TYPE_CHECKING:
    from rules.check import Checker

_EXAMPLE = 'write profile("account_age_days", by=customer)'


def profile(checker: "Checker", found: ast.Call) -> Node:
    """Return the checked node of a fact: an aggregate that reads the newest of the profile's messages in the history."""
    if checker.scope.stored:
        return checker.refuse(found, *INSIDE[checker.scope.place])
    known = [event for event in checker.schema.events if event.by]
    if not known:
        return checker.refuse(found, "this pipeline has no profiles", "its section profiles says what is known of whom")
    before = len(checker.source.problems)
    options = options_of(checker, found, PROFILE, ("by", "max_age"))
    entity = entity_of(checker, found, PROFILE, options)
    given = found.args[0] if len(found.args) == 1 else None
    fact = given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else None
    if fact is None:
        checker.refuse(given or found, "profile wants the name of a fact, in quotes", _EXAMPLE)
    if len(checker.source.problems) > before or entity is None or given is None or fact is None:
        return UNKNOWN
    chosen = _of(checker, given, fact, entity, known)
    if chosen is None:
        return UNKNOWN
    max_age_ms = _max_age(checker, options, chosen)
    if max_age_ms is None:
        return UNKNOWN
    kind = chosen.by_name[fact].type
    key = f'profile("{fact}", by={entity.name}, max_age={duration_text(max_age_ms)})'
    made = Aggregate(
        key=key,
        function="previous",
        entity=entity.name,
        field=fact,
        window=Window("over", max_age_ms),
        delay_ms=0,
        where=None,
        event=chosen.name,
        value_type=kind,
    )
    return AggregateNode(kind, key, aggregate=made)


def _of(checker: "Checker", given: ast.expr, fact: str, entity: Entity, known: list[EventType]) -> EventType | None:
    """Return the profile of the entity that has the fact."""
    mine = [one for one in known if one.by == entity.name]
    facts = {name: one for one in mine for name in one.facts}
    if fact in facts:
        return facts[fact]
    others = [one.by for one in known if fact in one.facts]
    listed = f"there are {', '.join(facts)}" if facts else f"no profile is kept by {entity.name}"
    hint = f"it is kept by={others[0]}" if others else closest(fact, facts) or listed
    checker.refuse(given, f"no profile of {entity.name} has {fact}", hint)
    return None


def _max_age(checker: "Checker", options: Options, chosen: EventType) -> int | None:
    """Return how old a fact may be, None having noted what is wrong with what max_age= says."""
    option = options.get("max_age")
    if option is None:
        return chosen.max_age_ms
    text = option.value.value if isinstance(option.value, ast.Constant) else None
    size_ms = duration_ms(text) if isinstance(text, str) else None
    most = checker.schema.max_window_ms
    if size_ms is None:
        checker.refuse(option.value, "behind max_age= stands a length of time", f"like {EXAMPLES}")
    elif size_ms > most:
        checker.refuse(option.value, f"histories are kept for history.max_window = {duration_text(most)} alone")
        return None
    return size_ms
