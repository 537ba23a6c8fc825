"""What the graph must answer, in plain Python over lists: every answer looks at every link that was ever made.

It shares no code with mitra.graph, and knows no caps.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

Node = tuple[str, str]


@dataclass(frozen=True)
class Made:
    """A link that a payment made."""

    payment: str
    time_ms: int
    one: Node
    other: Node


@dataclass(frozen=True)
class Verdict:
    """A label of a payment."""

    payment: str
    known_at_ms: int
    version: int
    fraud: bool


@dataclass
class Graph:
    """Links and labels; the first links of a payment count, and the first label of each version."""

    links: list[Made] = field(default_factory=list)
    labels: list[Verdict] = field(default_factory=list)

    def frauds(self, moment: int) -> set[str]:
        """Payments known to be frauds at a moment."""
        found = set()
        for payment in {label.payment for label in self.labels}:
            known = [label for label in self.labels if label.payment == payment and label.known_at_ms <= moment]
            if known and max(known, key=lambda label: label.version).fraud:
                found.add(payment)
        return found

    def before(self, moment: int) -> list[Made]:
        """Links made strictly before a moment, between different nodes."""
        return [link for link in self.links if link.time_ms < moment and link.one != link.other]

    def neighbours(self, node: Node, moment: int) -> set[Node]:
        """Nodes linked with a node."""
        links = self.before(moment)
        return {link.other for link in links if link.one == node} | {link.one for link in links if link.other == node}

    def degree(self, node: Node, moment: int, kind: str = "") -> int:
        return sum(1 for other in self.neighbours(node, moment) if kind in {"", other[0]})

    def peers(self, node: Node, moment: int, kind: str = "") -> int:
        found: set[Node] = set()
        for shared in self.neighbours(node, moment):
            if kind in {"", shared[0]}:
                found |= {one for one in self.neighbours(shared, moment) if one[0] == node[0] and one != node}
        return len(found)

    def fan(self, node: Node, moment: int, over_ms: int, *, out: bool) -> int:
        links = [link for link in self.before(moment) if link.time_ms > moment - over_ms]
        if out:
            return len({link.other for link in links if link.one == node})
        return len({link.one for link in links if link.other == node})

    def links_within(self, node: Node, moment: int, over_ms: int, *, out: bool) -> int:
        made = {(link.payment, link.one, link.other) for link in self.before(moment) if link.time_ms > moment - over_ms}
        return sum(1 for _, one, other in made if (one if out else other) == node)

    def touching(self, nodes: Iterable[Node], moment: int) -> set[str]:
        """Known frauds among the payments that made links of some nodes."""
        wanted, frauds = set(nodes), self.frauds(moment)
        return {
            link.payment
            for link in self.before(moment)
            if link.payment in frauds and (link.one in wanted or link.other in wanted)
        }

    def frauds_2_hops(self, node: Node, moment: int) -> int:
        return len(self.touching({node} | self.neighbours(node, moment), moment))

    def distance(self, node: Node, moment: int) -> int:
        ring = {node}
        seen = set(ring)
        for hop in range(3):
            if self.touching(ring, moment):
                return hop
            ring = {other for one in ring for other in self.neighbours(one, moment)} - seen
            seen |= ring
        return 3

    def cycle(self, node: Node, moment: int) -> int:
        links = {(link.one, link.other) for link in self.before(moment)}
        reached = {node}
        for step in range(1, 5):
            reached = {other for one, other in links if one in reached}
            if node in reached:
                return step
        return 0
