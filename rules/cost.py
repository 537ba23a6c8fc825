"""What rules cost: an estimate in microseconds a transaction, from what their texts are made of.

Costs are CPU time of one thread, measured by `python -m bench.rule_cost` and rounded up, so that an estimate is rather too
high. Every part counts whether it would be reached or not; the more a rule holds, the more it costs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from rules.plan import Aggregate
from rules.tree import AggregateNode, Call, Constant, FeatureNode, FieldNode, Member, Node, TimeNode

RULE_US = 0.6
"""Of asking a rule at all: its values picked, its function called."""

_READ_US = 0.05
_NODE_US = 0.1
_CALL_US = {
    "distance_km": 1.2,
    "lower": 0.15,
    "hour": 0.2,
    "weekday": 0.2,
    "day": 0.5,
    "log": 0.2,
    "sqrt": 0.2,
    "round": 0.4,
    # A tenth of a millisecond for each address that is read.
    "address_similarity": 200.0,
    "address_complete": 100.0,
    "address_part": 100.0,
}
_MEMBER_US = 0.002
"""Of each of the values behind `in`."""

_AGGREGATE_US = {"distinct": 6.0}
_AGGREGATE_LEAST_US = 2.0
_WHERE_US = 3.0
"""Of a condition on stored events: its flag is computed for the event in each of its histories."""
_LAST_US = 0.002
"""Of each event that a `last=` window counts."""


def node_us(node: Node) -> float:
    """Return the cost of one node without those below it."""
    if isinstance(node, Constant):
        return 0.0
    if isinstance(node, FieldNode | TimeNode | FeatureNode | AggregateNode):
        return _READ_US
    if isinstance(node, Call):
        return _CALL_US.get(node.function, _NODE_US)
    if isinstance(node, Member):
        return _NODE_US + _MEMBER_US * len(node.values)
    return _NODE_US * max(1, len(node.parts) - 1)


def tree_us(tree: Node) -> float:
    """Return the cost of an expression; what stands in it twice is computed once. Its aggregates are counted apart."""
    return sum(node_us(node) for node in {node.text: node for node in tree.walk()}.values())


@lru_cache(maxsize=16_384)
def _aggregate_us(function: str, last: int, *, where: bool) -> float:
    return _AGGREGATE_US.get(function, _AGGREGATE_LEAST_US) + _LAST_US * last + _WHERE_US * where


def aggregate_us(one: Aggregate) -> float:
    """Return the cost of answering an aggregate."""
    last = one.window.size if one.window.kind == "last" else 0
    return _aggregate_us(one.function, last, where=one.where is not None or one.event is not None)


@dataclass
class Estimate:
    """What some rules and features cost together, and each by itself; an aggregate that several read is answered once."""

    total_us: float = 0.0
    by_name: dict[str, float] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def answered_anyway(self, aggregates: Iterable[Aggregate]) -> None:
        """Take these aggregates as costing nothing more to the whole."""
        self._seen.update(one.key for one in aggregates)

    def add(self, name: str, own_us: float, aggregates: Iterable[Aggregate]) -> None:
        """Count something that costs `own_us` besides its aggregates."""
        alone_us = own_us
        self.total_us += own_us
        for one in aggregates:
            cost_us = aggregate_us(one)
            alone_us += cost_us
            if one.key not in self._seen:
                self._seen.add(one.key)
                self.total_us += cost_us
        self.by_name[name] = alone_us

    def dearest(self, count: int = 3) -> list[tuple[str, float]]:
        """Return the names that cost most by themselves, the dearest first."""
        return sorted(self.by_name.items(), key=lambda one: (-one[1], one[0]))[:count]
