"""The figures of rules as Flink's counters: summed under the rule's id, and of nothing else."""

from typing import Any

from msgspec.structs import replace

from mitra.decision import Record
from mitra.rule_figures import PERIOD_MS, RuleFigures, encode_json
from operators.rule_metrics import RuleMetrics


class Counter:
    count = 0

    def inc(self, n: int = 1) -> None:
        assert type(n) is int
        self.count += n


class Group:
    """A metric group as Flink has them: a name is registered once."""

    def __init__(self, place: tuple[str, ...], counters: dict[str, Counter]) -> None:
        self._place, self._counters = place, counters

    def add_group(self, name: str, extra: str | None = None) -> "Group":
        return Group((*self._place, name, *([extra] if extra else [])), self._counters)

    def counter(self, name: str) -> Counter:
        place = ".".join((*self._place, name))
        assert place not in self._counters
        self._counters[place] = Counter()
        return self._counters[place]


PLAIN = Record(0, 0, 0, 0, None, None, None, 1, False, [], [], [], [], [], [], {}, [])  # fmt: skip


def record(**said: Any) -> Record:
    return replace(PLAIN, **said)


def fired(rule: str, version: int) -> dict[str, object]:
    return {"id": rule, "version": version, "outcome": "block", "reason": ""}


def test_what_is_published_is_summed_under_the_rules_id_whatever_its_version() -> None:
    counters: dict[str, Counter] = {}
    metrics, figures = RuleMetrics(Group((), counters)), RuleFigures(0)
    figures.due(0.0)
    for period in (1, 2):
        figures.decided([record(rules=[fired("large", period)]), record(not_evaluated={"large": ["amount"]})], 0.5)
        figures.labelled(record(rules=[fired("large", period)]), fraud=True)
        metrics.count(figures.due(period * PERIOD_MS))
        metrics.count([encode_json({"metric": "clock", "subtask": 0})])
    assert {place: counter.count for place, counter in counters.items()} == {
        "rules.evaluated": 4,
        "rules.judging_us": 1000,
        "rule.large.fired": 2,
        "rule.large.shadow": 0,
        "rule.large.not_evaluated": 2,
        "rule.large.frauds": 2,
        "rule.large.legits": 0,
    }


def test_a_list_has_counters_too() -> None:
    counters: dict[str, Counter] = {}
    figures = RuleFigures(0)
    figures.due(0.0)
    figures.decided([record(rules=[fired("list:bad", 0)])], 0.1)
    RuleMetrics(Group((), counters)).count(figures.due(PERIOD_MS))
    assert counters["rule.list:bad.fired"].count == 1
