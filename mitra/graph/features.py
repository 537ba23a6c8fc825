"""The features of a node that the graph answers: what the language, the contract and the stores agree on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

MAX_TYPES = 32
"""Types of nodes in one graph: as many bits has the mask that keeps peers apart by what they share."""

REACH = 2
"""Hops away from the node asked about up to which nodes are looked at; a fraud further away is at distance REACH + 1."""

Kind = Literal["integer", "number"]


@dataclass(frozen=True, slots=True)
class GraphFeature:
    """One feature: its type, whether it asks for a window, and whether `option` may narrow it to a type of node."""

    name: str
    type: Kind
    says: str
    windowed: bool = False
    option: Literal["", "to", "via"] = ""


FEATURES = {
    one.name: one
    for one in (
        GraphFeature("degree", "integer", "different nodes linked with it (to=: those of one type)", option="to"),
        GraphFeature(
            "peers",
            "integer",
            "other nodes of its own type that share a neighbour with it (via=: a neighbour of one type)",
            option="via",
        ),
        GraphFeature("fan_in", "integer", "different nodes with a link to it within the window", windowed=True),
        GraphFeature("fan_out", "integer", "different nodes with a link from it within the window", windowed=True),
        GraphFeature(
            "links_in", "integer", "links to it within the window, those of one node all counted", windowed=True
        ),
        GraphFeature("links_out", "integer", "links from it within the window, likewise", windowed=True),
        GraphFeature("frauds_1_hop", "integer", "known frauds among the payments that made its links"),
        GraphFeature("frauds_2_hops", "integer", "the same, and those of its neighbours' links"),
        GraphFeature(
            "fraud_distance",
            "integer",
            f"hops to the nearest node that a known fraud touches: 0 is itself, {REACH + 1} stands for further or none",
        ),
        GraphFeature("cycle_length", "integer", "links of the shortest circle of links through it, 2 to 4; 0: none"),
        GraphFeature("community_id", "integer", "the number of its community in the newest snapshot before"),
        GraphFeature("community_size", "integer", "the nodes of its community"),
        GraphFeature("community_fraud_share", "number", "the share of those that a known fraud touches"),
        GraphFeature("community_age", "number", "seconds since that snapshot"),
    )
}
"""By name. Counts of a node that nobody knows are 0; what a community has is missing for a node in none."""

COMMUNITY = ("community_id", "community_size", "community_fraud_share", "community_age")


class Column(NamedTuple):
    """A feature as it is asked for: `kind` is the type of node that narrows it, or empty; `over_ms` its window, or 0."""

    name: str
    kind: str = ""
    over_ms: int = 0


def all_columns(types: Sequence[str], windows_ms: Sequence[int]) -> tuple[Column, ...]:
    """Return every column that can be asked for in a graph of these types of nodes."""
    found: list[Column] = []
    for feature in FEATURES.values():
        if feature.windowed:
            found += [Column(feature.name, over_ms=window) for window in windows_ms]
            continue
        found.append(Column(feature.name))
        if feature.option:
            found += [Column(feature.name, kind) for kind in types]
    return tuple(found)
