"""Whether what is live fits the time that rules may take: a change that would go beyond it is refused with the estimate."""

from typing import TYPE_CHECKING

from control_stream.refusal import Refused
from rules.cost import Estimate, tree_us
from rules.rule_check import compile_rules, feature_expressions

if TYPE_CHECKING:
    from control_stream.live_set import Context, LiveSet


def estimate(live: "LiveSet", context: "Context") -> Estimate:
    """Return what rules, live and shadow, and features put at run time cost above what the pipeline computes anyway."""
    features = live.all_features(context)
    expressions = feature_expressions(context.schema, tuple(features.items()))
    found = Estimate()
    for name in context.features:
        found.answered_anyway(expressions[name].aggregates)
    for name in live.features:
        found.add(f"feature {name}", tree_us(expressions[name].tree), expressions[name].aggregates)
    judged = [rule for rule in live.rules.values() if rule.mode != "paused"]
    for rule, code in compile_rules(judged, features, context.schema):
        found.add(f"rule {rule.id}", code.cost_us, code.aggregates)
    return found


def require_budget(place: str, before: "LiveSet", after: "LiveSet", context: "Context") -> None:
    """Raise Refused where `after` costs more than is allowed, and more than `before`: what makes it cheaper is welcome."""
    if context.budget_us is None or (before.rules == after.rules and before.features == after.features):
        return
    found = estimate(after, context)
    if found.total_us <= context.budget_us:
        return
    more_us = found.total_us - estimate(before, context).total_us
    if more_us <= 0:
        return
    dearest = ", ".join(f"{name} {cost_us:.1f}" for name, cost_us in found.dearest())
    reason = (
        f"rules would take about {found.total_us:.1f} µs of each transaction, {more_us:.1f} of them by this change; allowed: "
        f"control.rules_budget_us = {context.budget_us}. By themselves the dearest take: {dearest} µs"
    )
    raise Refused(place, reason, "retire or pause rules, let them share windows, or allow more in the pipeline file")
