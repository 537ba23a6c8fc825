"""What rules do, as counters of Flink's metric system: the figures that go to the monitor topic, summed since the job started.

They move when figures are published, so what they cost doesn't grow with payments. A rule's counters stand under its id,
whatever its version: Flink keeps a metric as long as the job runs, and a rule may be put anew a thousand times.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from pyflink.metrics import MetricGroup

_COUNTED = ("fired", "shadow", "not_evaluated", "frauds", "legits")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class RuleMetrics:
    """The counters of one subtask: `rules.evaluated`, `rules.judging_us`, and five of each rule under `rule.ID`."""

    def __init__(self, group: MetricGroup) -> None:
        """Take the operator's metric group."""
        self._group = group
        totals = group.add_group("rules")
        self._evaluated, self._judging_us = totals.counter("evaluated"), totals.counter("judging_us")
        self._rules: dict[str, dict[str, Any]] = {}

    def count(self, figures: Iterable[bytes]) -> None:
        """Add what the records of a batch for the monitor topic say of rules; the others are passed over."""
        for one in map(_decode, figures):
            if one["metric"] == "rules":
                self._evaluated.inc(one["payments"])
                self._judging_us.inc(round(one["judging_us"] * one["payments"]))
            elif one["metric"] == "rule":
                counters = self._of(one["rule"].partition("@")[0])
                for name in _COUNTED:
                    if one[name]:
                        counters[name].inc(one[name])

    def _of(self, rule: str) -> dict[str, Any]:
        counters = self._rules.get(rule)
        if counters is None:
            # A pair of names: to a reporter the id is a label, such as rule="card-testing" in Prometheus.
            group = self._group.add_group("rule", rule)
            counters = self._rules[rule] = {name: group.counter(name) for name in _COUNTED}
        return counters
