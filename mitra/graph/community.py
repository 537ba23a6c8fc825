"""Communities: groups of nodes that are linked more among themselves than with others, found now and then and kept with their time.

Louvain's method by scikit-network, with a fixed seed over links in a fixed order: the same links give the same communities,
whichever store holds them. A snapshot is of links made up to its time and labels known by then, and answers only what is asked
as of a later moment.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

KEPT = 16
"""Snapshots that are kept: as far back a late payment finds one older than itself."""


class LinkTable(NamedTuple):
    """Links by the hashes of their nodes' keys, int64[n] each; `fraud` bool[n]: made by a payment known to be one."""

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    fraud: NDArray[np.bool_]


class Snapshot(NamedTuple):
    """Communities at a time: `nodes` int64[n], sorted hashes of keys, `community` int32[n]; sizes and fraud shares by number."""

    time_ms: int
    nodes: NDArray[np.int64]
    community: NDArray[np.int32]
    size: NDArray[np.int32]
    fraud_share: NDArray[np.float64]


def find_communities(links: LinkTable, time_ms: int) -> Snapshot:
    """Return the communities of some links: numbered by size, then by their least node."""
    nodes, places = np.unique(np.concatenate([links.one, links.other]), return_inverse=True)
    one, other = places[: len(links.one)], places[len(links.one) :]
    touched = np.zeros(len(nodes), dtype=np.bool_)
    touched[one[links.fraud]] = True
    touched[other[links.fraud]] = True
    community = _numbered(_louvain(one, other, len(nodes)))
    size = np.bincount(community).astype(np.int32)
    share = np.bincount(community, weights=touched, minlength=len(size)) / np.maximum(size, 1)
    return Snapshot(time_ms, nodes, community, size, share)


def _louvain(one: NDArray[np.int64], other: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - the job has no use for it
    from sknetwork.clustering import Louvain  # noqa: PLC0415

    if count == 0:
        return np.zeros(0, np.int64)
    # However often two nodes are linked, they are linked: a subscription is no stronger tie than a shared device.
    weights = csr_matrix(
        (np.ones(2 * len(one)), (np.concatenate([one, other]), np.concatenate([other, one]))), shape=(count, count)
    )
    weights.data[:] = 1.0
    labels: NDArray[np.int64] = Louvain(random_state=0, shuffle_nodes=False).fit_predict(weights)
    return labels


def _numbered(labels: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return labels numbered anew, the largest community first; equal ones by their first node."""
    _, first, places, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    number = np.empty(len(first), np.int32)
    number[np.lexsort((first, -counts))] = np.arange(len(first), dtype=np.int32)
    return number[places]


class Communities:
    """The newest snapshots, in order of time."""

    def __init__(self, snapshots: Iterable[Snapshot] = ()) -> None:
        """Start with some."""
        self.snapshots = sorted(snapshots, key=lambda one: one.time_ms)[-KEPT:]

    def add(self, snapshot: Snapshot) -> None:
        """Keep another one, in the place of one of the same time."""
        others = [one for one in self.snapshots if one.time_ms != snapshot.time_ms]
        self.snapshots = sorted([*others, snapshot], key=lambda one: one.time_ms)[-KEPT:]

    def fill(
        self, values: NDArray[np.float64], columns: dict[str, int], nodes: Sequence[int], as_of: Sequence[int]
    ) -> None:
        """Write what is asked of communities into rows of answers: `columns` are their places, `nodes` hashes of keys."""
        times = [one.time_ms for one in self.snapshots]
        newest = [bisect_left(times, moment) - 1 for moment in as_of]
        wanted, moments = np.array(nodes, np.int64), np.array(as_of, np.int64)
        for number in set(newest) - {-1}:
            snapshot = self.snapshots[number]
            if not len(snapshot.nodes):
                continue
            rows = np.array([row for row, one in enumerate(newest) if one == number])
            places = np.minimum(np.searchsorted(snapshot.nodes, wanted[rows]), len(snapshot.nodes) - 1)
            known = snapshot.nodes[places] == wanted[rows]
            rows, community = rows[known], snapshot.community[places[known]]
            told = {
                "community_id": community,
                "community_size": snapshot.size[community],
                "community_fraud_share": snapshot.fraud_share[community],
                "community_age": (moments[rows] - snapshot.time_ms) / 1000,
            }
            for name, column in columns.items():
                values[rows, column] = told[name]
