"""The rules and lists of one revision, ready to judge transactions.

A rule reads its values out of one sequence that is laid out for all; what it is compiled to doesn't depend on the layout,
so that a change of one rule compiles one rule.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from rules.expression import Evaluate, Expression
from rules.generate import Signal
from rules.outcomes import OUTCOMES, ListDeclaration, combine
from rules.plan import Aggregate, Value
from rules.rollout import applies
from rules.rule import Rule
from rules.rule_check import RuleCode, compile_rules, entity_of
from rules.schema import ExpressionSchema
from rules.sequences.asked import read_match
from rules.sequences.check import may_decide

Getter = Callable[[Sequence[Value]], Sequence[Value]]

SNOOZE = "snooze:"
"""A transaction is marked with this and a rule's id where the rule is snoozed for one of its entities."""


@dataclass(slots=True)
class Judgement:
    """What rules and lists say of one transaction.

    `fired` lists and live rules, then what `shadow` rules would have said: {id, version, outcome, reason}, in the order of
    ids, lists first; of a sequence with the `events` that it matched. `not_evaluated`: the signals that rules, live and shadow, lack. `outcome` is the strongest of the
    live rules that fired, as a place in OUTCOMES, None if none did; `lists` are those that hold one of the entities.
    """

    fired: list[dict[str, Any]]
    shadow: list[dict[str, Any]]
    not_evaluated: dict[str, list[str]]
    outcome: int | None
    lists: tuple[ListDeclaration, ...]

    def combined(self, model: int) -> tuple[int, str]:
        """Return the decision's outcome, given the model's, and who decided (`rules.outcomes.combine`)."""
        return combine(self.outcome, self.lists, model)


class RuleSet:
    """The rules of one revision, compiled. Paused rules are checked like others, and neither read nor judged.

    `signals` is the layout of the values that `judge` takes: all that rules and their reasons read. `aggregates` and
    `features` are those among them. `sequences` are the rules with a pattern, each with what histories are asked of it,
    and its reason where that has no values; those that no decided event completes are not judged. `templates` are the texts
    of what fires, between which its reason's values stand, by id and version.
    """

    def __init__(
        self,
        rules: Iterable[tuple[Rule, RuleCode]],
        lists: Iterable[ListDeclaration],
        schema: ExpressionSchema,
    ) -> None:
        """Lay out compiled rules; `RuleSet.compile` does both."""
        chosen = sorted((one for one in rules if one[0].mode != "paused"), key=lambda one: one[0].id)
        expressions = [one for _, code in chosen for one in code.expressions]
        found = {one.key: one for expression in expressions for one in expression.aggregates}
        self.aggregates: tuple[Aggregate, ...] = tuple(found.values())
        self.signals = tuple(dict.fromkeys(signal for one in expressions for signal in one.signals))
        self.features = tuple(signal.name for signal in self.signals if signal.kind == "feature")
        self._place = place = {signal: number for number, signal in enumerate(self.signals)}
        self.sequences = tuple((rule, code.asked, code.reason.plain) for rule, code in chosen if code.asked is not None)
        judged = [one for one in chosen if one[1].asked is None or may_decide(one[1].asked.compiled, schema)]
        self._rules = [_Bound(rule, code, place, schema) for rule, code in judged]
        self._calls = [(one.get, one.function, one) for one in self._rules]
        self._lists = {one.mark: one for one in lists}
        self.templates: Mapping[tuple[str, int], tuple[str, ...]] = {
            **{(rule.id, rule.version): code.reason.texts for rule, code in chosen},
            **{(one.mark, 0): (one.reason,) for one in self._lists.values()},
        }

    @classmethod
    def compile(
        cls,
        rules: Iterable[Rule],
        features: Mapping[str, str],
        schema: ExpressionSchema,
        lists: Iterable[ListDeclaration] = (),
    ) -> "RuleSet":
        """Compile rules that may read these features (all: the pipeline's and those put at run time, by name).

        Raises ExpressionsError if a feature is wrong, ProblemsError with everything wrong with all rules.
        """
        return cls(compile_rules(rules, features, schema), lists, schema)

    def judge(
        self, values: Sequence[Value], time_ms: int, keys: Mapping[str, str], marks: Collection[str] = ()
    ) -> Judgement:
        """Judge one transaction. Never raises: a value of a wrong type leaves undecided what reads it.

        `values` is a list or tuple in the order of `signals`, None for missing; booleans may come as 1.0 and 0.0, integers
        as whole floats. `keys` are those of its entities by name; `marks` name the lists that hold one, and the rules
        that are snoozed for one; those of lists that aren't declared are passed over.
        """
        # Most rules don't fire, so that is all that is asked of all; whether a rule applies is asked of the others.
        open_ = [one for get, function, one in self._calls if function(get(values), time_ms) is not False]
        shadow: list[dict[str, Any]] = []
        not_evaluated: dict[str, list[str]] = {}
        outcome: int | None = None
        named: dict[Signal, Value] | None = None
        hits = tuple(self._lists[mark] for mark in sorted(marks) if mark in self._lists) if marks else ()
        fired: list[dict[str, Any]] = [
            {"id": hit.mark, "version": 0, "outcome": OUTCOMES[hit.outcome], "reason": hit.reason} for hit in hits
        ]
        for one in open_:
            if not one.applies(time_ms, keys, marks):
                continue
            rule = one.rule
            read = one.get(values)
            value = one.function(read, time_ms)
            if value is None:
                if named is None:
                    named = dict(zip(self.signals, values, strict=False))
                not_evaluated[rule.id] = one.code.lacking.names(read, named, time_ms)
            elif value:
                said = {
                    "id": rule.id,
                    "version": rule.version,
                    "outcome": rule.outcome,
                    "reason": one.reason(values, time_ms, self._place),
                }
                if one.match is not None:
                    said["events"] = read_match(str(values[one.match]))
                if rule.mode == "shadow":
                    shadow.append(said)
                else:
                    fired.append(said)
                    outcome = one.outcome if outcome is None or one.outcome > outcome else outcome
        return Judgement(fired, shadow, not_evaluated, outcome, hits)


class _Bound:
    """A rule with its places in the layout."""

    __slots__ = ("_entity", "_reason", "_snooze", "code", "function", "get", "match", "outcome", "rule")

    def __init__(self, rule: Rule, code: RuleCode, place: Mapping[Signal, int], schema: ExpressionSchema) -> None:
        self.rule = rule
        self.code = code
        self.outcome = OUTCOMES.index(rule.outcome)
        self.get, self.function = _bound(code.condition, place)
        self.match = None if code.asked is None else place[Signal("aggregate", code.asked.key)]
        self._entity = entity_of(rule, schema) or ""
        self._snooze = f"{SNOOZE}{rule.id}"
        self._reason: list[tuple[Getter, Evaluate]] | None = None

    def applies(self, time_ms: int, keys: Mapping[str, str], marks: Collection[str]) -> bool:
        """Tell whether the rule is asked at all: by schedule, snooze and rollout."""
        rule = self.rule
        return (
            (rule.from_ms is None or rule.from_ms <= time_ms)
            and (rule.until_ms is None or time_ms < rule.until_ms)
            and self._snooze not in marks
            and (rule.percent is None or applies(rule.id, keys.get(self._entity), rule.percent))
        )

    def reason(self, values: Sequence[Value], time_ms: int, place: Mapping[Signal, int]) -> str:
        """Return the reason filled in; its expressions are bound when the rule first fires."""
        if self._reason is None:
            self._reason = [_bound(one, place) for one in self.code.reason.expressions]
        return self.code.reason.filled(function(get(values), time_ms) for get, function in self._reason)


def _bound(expression: Expression, place: Mapping[Signal, int]) -> tuple[Getter, Evaluate]:
    """Return what picks the values that an expression reads out of the layout, and its function."""
    places = [place[signal] for signal in expression.signals]
    # Of fewer than two places, itemgetter gives no sequence: slices do.
    get: Getter = (
        itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1) if places else slice(0))
    )
    return get, expression.function
