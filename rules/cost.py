"""What rules cost: an estimate in microseconds a transaction, from what their texts are made of.

The constants are CPU time of one thread as `python -m bench.rule_cost` measured it on one machine (x86-64, Python 3.11, the
least of 40 runs), rounded up, so that an estimate is rather too high there; another machine may take more or less. A rule
stands for one that doesn't fire, a window for one of 500 events in a history in memory, touched in a batch of its own. Every
part counts whether it would be reached or not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from rules.plan import Aggregate
from rules.sequences.asked import SequenceAsked
from rules.tree import AggregateNode, Call, Constant, FeatureNode, FieldNode, GraphNode, Node, TimeNode

RULE_US = 0.15
"""Of asking a rule at all: its values picked, its function called."""

_READ_US = 0.02
_NODE_US = 0.05
_CALL_US = {
    "abs": 0.1,
    "log": 0.15,
    "sqrt": 0.1,
    "round": 0.3,
    "least": 0.15,
    "greatest": 0.15,
    "day": 0.35,
    "distance_km": 0.8,
    # Of addresses that were never read before, each of which takes a tenth of a millisecond.
    "address_similarity": 300.0,
    "address_complete": 150.0,
    "address_part": 150.0,
}

_WINDOW_US = 0.6
_WHERE_US = 5.0
"""Of a condition on stored events: it is asked of each event when it is stored."""
_SEQUENCE_US = 3.0
_STEP_US = 2.0
"""Of a sequence and of each of its steps, where few events could be the last and a window has some tens."""
_LAST_US = 0.001
"""Of each event that a `last=` window counts."""
_SERIES_US = {"quantile": 5.0, "most_common": 1.5, "trend": 0.6, "periodicity": 6.5, "open": 1.0}
"""Of what looks at the events one by one; also where `last=` names fewer of them."""


def node_us(node: Node) -> float:
    """Return the cost of one node without those below it."""
    if isinstance(node, Constant):
        return 0.0
    if isinstance(node, FieldNode | TimeNode | FeatureNode | AggregateNode | GraphNode):
        return _READ_US
    if isinstance(node, Call):
        return _CALL_US.get(node.function, _NODE_US)
    return _NODE_US * max(1, len(node.parts) - 1)


def tree_us(tree: Node) -> float:
    """Return the cost of an expression; what stands in it twice is computed once. Its aggregates are counted apart."""
    return sum(node_us(node) for node in {node.text: node for node in tree.walk()}.values())


def aggregate_us(one: Aggregate) -> float:
    """Return the cost of answering an aggregate."""
    if isinstance(one, SequenceAsked):
        return _SEQUENCE_US + sum(_STEP_US + _condition_us(step.condition) for step in one.compiled.steps)
    last = one.window.size if one.window.kind == "last" else 0
    asked = one.where is not None or one.event is not None
    return _WINDOW_US + _SERIES_US.get(one.function, 0.0) + _LAST_US * last + _WHERE_US * asked


def _condition_us(condition: Node | None) -> float:
    return 0.0 if condition is None else tree_us(condition)


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
