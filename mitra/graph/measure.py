"""Questions about nodes, measured over columns, and put into the order in which features were asked for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitra.graph.caps import STANDARD, Caps
from mitra.graph.columns import Columns, node_key
from mitra.graph.features import COMMUNITY, Column
from mitra.graph.kernels import CYCLE, DISTANCE, FIXED, FRAUDS_1, FRAUDS_2, NOTES, STAMPS, WINDOWED, measure
from mitra.graph.questions import Answers, Question

_PLACES = {"frauds_1_hop": FRAUDS_1, "frauds_2_hops": FRAUDS_2, "fraud_distance": DISTANCE, "cycle_length": CYCLE}
_LAST_STAMP = (1 << 31) - 1


class Measurer:
    """Measures over one graph. One thread at a time: it keeps notes on the nodes."""

    def __init__(self, columns: Columns, caps: Caps = STANDARD) -> None:
        """Look as far as `caps` allow."""
        self.columns = columns
        self._caps = caps
        self._stamp = 1
        self._stamps: NDArray[np.int32] = np.zeros((0, STAMPS), np.int32)
        self._notes: NDArray[np.int64] = np.zeros((0, NOTES), np.int64)
        self._told: NDArray[np.int32] = np.zeros(0, np.int32)

    def answer(self, questions: Sequence[Question], features: Sequence[Column]) -> Answers:
        """Answer each question with all features; those of communities are left missing."""
        graph = self.columns
        windows = sorted({one.over_ms for one in features if one.over_ms})
        types = len(graph.types)
        width = FIXED + 2 * (types + 1) + len(WINDOWED) * len(windows)
        values, capped = np.zeros((len(questions), width)), np.zeros((len(questions), width), np.uint8)
        self._make_room(len(questions))
        nodes = np.array([graph.nodes.get(node_key(one.kind, one.id), -1) for one in questions], np.int64)
        as_of = np.array([one.as_of_ms for one in questions], np.int64)
        measure(
            nodes, as_of, np.array(windows, np.int64), types, self._caps.own_links, self._caps.links, self._caps.nodes,
            graph.type_of, graph.head, graph.next, graph.ends, graph.time, graph.payment,
            graph.span_first, graph.span_count, graph.spans, self._stamp, self._stamps, self._notes, self._told,
            values, capped,
        )  # fmt: skip
        self._stamp += len(questions)
        places = [self._place(one, windows) for one in features]
        # Of a type that wasn't met there may be nodes behind the cap: the mark is that of any type.
        marks = [
            self._place(one._replace(kind=""), windows) if at == -2 else at
            for one, at in zip(features, places, strict=True)
        ]
        return Answers(_picked(values, places), _picked(capped, marks))

    def _make_room(self, questions: int) -> None:
        if self._stamp + questions > _LAST_STAMP:
            self._stamp = 1
            self._stamps[:], self._told[:] = 0, 0
        if len(self._stamps) < len(self.columns.head):
            self._stamps = np.zeros((len(self.columns.head), STAMPS), np.int32)
            self._notes = np.zeros((len(self.columns.head), NOTES), np.int64)
        if len(self._told) < len(self.columns.span_first):
            self._told = np.zeros(len(self.columns.span_first), np.int32)

    def _place(self, column: Column, windows: Sequence[int]) -> int:
        """Return where a feature is measured: -1 for one of communities, -2 for a type that no node has."""
        types = self.columns.types
        if column.name in COMMUNITY:
            return -1
        if column.name in _PLACES:
            return _PLACES[column.name]
        if column.over_ms:
            first = FIXED + 2 * (len(types) + 1) + WINDOWED.index(column.name) * len(windows)
            return first + windows.index(column.over_ms)
        first = FIXED if column.name == "degree" else FIXED + len(types) + 1
        if not column.kind:
            return first
        return first + 1 + types.index(column.kind) if column.kind in types else -2


def _picked(measured: NDArray[Any], places: Sequence[int]) -> NDArray[Any]:
    """Return the columns at some places: what no node has is 0, what isn't measured here is missing (0 for a mark)."""
    picked = measured[:, np.maximum(places, 0)] if places else measured[:, :0]
    for column, place in enumerate(places):
        if place < 0:
            picked[:, column] = np.nan if place == -1 and measured.dtype == np.float64 else 0
    return picked
