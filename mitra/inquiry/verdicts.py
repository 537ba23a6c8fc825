"""What each rule of a revision said of one payment, and why.

Whether it fired, or couldn't be decided, stands on the decision. Of the others it is told why they said nothing: they
weren't asked, or were false, and then by which of their conditions, as far as the values are known.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mitra.inquiry.known import Known, value_of
from rules import Expression, Rule, Signal
from rules.expression import function_of
from rules.generate import signal_of
from rules.plan import Value, ValueType
from rules.reasons import shown
from rules.rollout import applies
from rules.rule_check import RuleCode
from rules.rule_set import SNOOZE
from rules.sequences.asked import SEQUENCE
from rules.tree import Logic, Node

Said = Literal["fires", "can't be decided", "false", "not asked"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule said. `values` are those of its signals that are known, as people read them; `unknown` the others' names.

    `otherwise` tells what its text makes of the known values if that isn't what the decision says: empty if it is. `events` are
    those that a sequence matched.
    """

    rule: Rule
    said: Said
    why: str
    values: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    otherwise: str = ""
    events: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Payment:
    """What rules are judged by: the event's time, the keys of its entities if they are known, and who is marked as what."""

    time_ms: int
    keys: Mapping[str, str] | None
    marks: Collection[str]
    known: Known


def verdict(rule: Rule, code: RuleCode, entity: str, decision: Mapping[str, Any], payment: Payment) -> Verdict:
    """Return what a rule said on a decision; `entity` is the one that its percent is of."""
    values, unknown = _values(code.condition, payment.known)
    found, lacking = value_of(code.condition, payment.known, payment.time_ms)
    fired = next((one for one in (*decision["rules"], *decision["shadow"]) if one["id"] == rule.id), None)
    if fired is not None:
        otherwise = "" if lacking or found else _otherwise(found)
        events = tuple(fired.get("events", ()))
        return Verdict(rule, "fires", _reason(fired, code, payment), values, unknown, otherwise, events)
    if rule.id in decision["not_evaluated"]:
        missing = decision["not_evaluated"][rule.id]
        if not missing and not lacking:
            missing = code.condition.missing(payment.known, payment.time_ms)
        why = f"lacks {', '.join(missing)}" if missing else ""
        otherwise = "" if lacking or found is None else _otherwise(found)
        return Verdict(rule, "can't be decided", why, values, unknown, otherwise)
    unasked, sure = _not_asked(rule, entity, payment)
    if unasked and sure:
        return Verdict(rule, "not asked", unasked, values, unknown)
    if lacking:
        because = _false_parts(code.condition, payment)
        return Verdict(rule, "false", "; ".join(filter(None, [because, unasked])), values, unknown)
    if found is False:
        return Verdict(rule, "false", _false_parts(code.condition, payment), values, unknown)
    if unasked:
        return Verdict(rule, "not asked", unasked, values, unknown)
    return Verdict(rule, "false", "", values, unknown, _otherwise(found))


def _reason(fired: Mapping[str, Any], code: RuleCode, payment: Payment) -> str:
    """Return what the decision gives as the reason; where it has none, the rule's, filled in if all its values are known."""
    if "reason" in fired:
        return str(fired["reason"])
    found = [value_of(one, payment.known, payment.time_ms) for one in code.reason.expressions]
    return "" if any(lacking for _, lacking in found) else code.reason.filled(value for value, _ in found)


def _otherwise(found: Value) -> str:
    said = "can't be decided" if found is None else "fires" if found else "is false"
    return f"by the values shown here it {said}"


def _not_asked(rule: Rule, entity: str, payment: Payment) -> tuple[str, bool]:
    """Return why the rule wasn't asked, and whether that is sure; an empty text if nothing speaks for it."""
    if rule.mode == "paused":
        return "it is paused", True
    if rule.from_ms is not None and payment.time_ms < rule.from_ms:
        return "the payment was made before its `from`", True
    if rule.until_ms is not None and payment.time_ms >= rule.until_ms:
        return "the payment was made after its `until`", True
    if f"{SNOOZE}{rule.id}" in payment.marks:
        return "it is snoozed for one of the payment's entities", True
    if rule.percent is None:
        return "", False
    if payment.keys is None:
        return f"whether its {rule.percent:g} % of {entity} include the payment's isn't known here", False
    key = payment.keys.get(entity)
    if key is None:
        return f"its percent is of {entity}, and the payment has none", True
    if not applies(rule.id, key, rule.percent):
        return f"{entity} {key} isn't among its {rule.percent:g} %", True
    return "", False


def _values(condition: Expression, known: Known) -> tuple[dict[str, str], tuple[str, ...]]:
    types: dict[Signal, ValueType] = {}
    for node in condition.tree.walk():
        signal = signal_of(node)
        if signal is not None and node.type in {"string", "integer", "number", "boolean"}:
            types[signal] = node.type
    types = {signal: kind for signal, kind in types.items() if not signal.name.startswith(SEQUENCE)}
    values = {signal.name: shown(known[signal], kind) for signal, kind in types.items() if signal in known}
    return values, tuple(signal.name for signal in types if signal not in known)


def _false_parts(condition: Expression, payment: Payment) -> str:
    """Return in words which conditions are false, of several joined by `and`; empty where none is known to be."""
    tree = condition.tree
    parts = tree.parts if isinstance(tree, Logic) and tree.operator == "and" else (tree,)
    false = [part.text for part in parts if _is_false(part, condition.zone, payment)]
    return f"not {' and not '.join(f'({text})' if ' ' in text else text for text in false)}" if false else ""


def _is_false(part: Node, zone: str, payment: Payment) -> bool:
    signals, function = function_of(part, zone)
    if any(signal not in payment.known for signal in signals):
        return False
    return function([payment.known[signal] for signal in signals], payment.time_ms) is False
