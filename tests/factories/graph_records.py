"""Random records of a graph and questions about it, few enough that they meet: payments p0 … p12, nodes a … d, times 1 … 40."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from mitra.graph.questions import Question
from mitra.graph.records import Edges, Judged, Link, Record

_TIMES = st.integers(1, 40)
_PAYMENTS = st.integers(0, 12).map("p{}".format)


def _nodes(types: Sequence[str]) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.sampled_from(types), st.sampled_from("abcd"))


def histories(types: Sequence[str], most: int) -> st.SearchStrategy[list[Record]]:
    """Up to so many payments' links and labels, in the order in which they come."""
    links = st.builds(lambda one, other: Link(*one, *other), _nodes(types), _nodes(types))
    edges: Any = st.builds(Edges, _PAYMENTS, _TIMES, st.lists(links, max_size=3))
    labels: Any = st.builds(Judged, _PAYMENTS, st.booleans(), _TIMES, st.integers(0, 3))
    return st.lists(st.one_of(edges, labels), max_size=most)


def questions(types: Sequence[str]) -> st.SearchStrategy[list[Question]]:
    """One to six questions."""
    return st.lists(
        st.builds(lambda node, moment: Question(*node, moment), _nodes(types), _TIMES), min_size=1, max_size=6
    )
