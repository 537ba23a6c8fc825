"""The pipeline's section `graph`, checked: which fields of a payment name nodes, what it links, and how the service is asked."""

from dataclasses import dataclass
from functools import cached_property

from mitra.graph.features import FEATURES, Column, all_columns
from mitra.hashing import text_hash


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node that a payment names: what expressions call it, the field with its id, and its type."""

    name: str
    field: str
    type: str


@dataclass(frozen=True, slots=True)
class Transport:
    """How the service is reached: files of its CA certificate (PEM; TLS is on with one) and of the token."""

    address: str
    ca_file: str | None = None
    token_file: str | None = None


@dataclass(frozen=True)
class GraphSettings:
    """`links` are pairs of names of nodes, in the direction of the links that a payment makes.

    `timeout_ms` is how long one call may take, `deadline_ms` how long after its decoding a payment waits for its answer at
    most. `in_flight` bounds the questions that are open at once; `cache_ms` how old an answer may be used again, and
    `cache_nodes` how many are kept.
    """

    transport: Transport
    nodes: tuple[GraphNode, ...]
    links: tuple[tuple[str, str], ...]
    windows_ms: tuple[int, ...]
    timeout_ms: int = 40
    deadline_ms: int = 120
    in_flight: int = 1_000
    cache_ms: int = 2_000
    cache_nodes: int = 20_000

    @cached_property
    def node_by_name(self) -> dict[str, GraphNode]:
        """The nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The types of nodes, each once."""
        return tuple(dict.fromkeys(node.type for node in self.nodes))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """What is asked of every node: all of it, so that a new rule is right from its first payment."""
        return all_columns(self.types, self.windows_ms)

    @cached_property
    def width(self) -> int:
        """The values of one payment: all columns of all nodes, node after node."""
        return len(self.nodes) * len(self.columns)

    @cached_property
    def integer(self) -> tuple[bool, ...]:
        """For each value of a payment whether it is an integer."""
        return tuple(FEATURES[column.name].type == "integer" for column in self.columns) * len(self.nodes)

    @cached_property
    def fingerprint(self) -> int:
        """The name, in messages, of what the values of a payment are."""
        return text_hash(repr(([(node.name, node.type) for node in self.nodes], self.columns)))
