"""Questions about nodes, measured over columns, and put into the order in which features were asked for."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mitra.graph.caps import STANDARD, Caps
from mitra.graph.columns import Columns, node_key
from mitra.graph.features import COMMUNITY, Column
from mitra.graph.kernels import CYCLE, DISTANCE, FIXED, FRAUDS_1, FRAUDS_2, NOTES, STAMPS, WINDOWED, measure
from mitra.graph.questions import Answers, Question

_PLACES = {"frauds_1_hop": FRAUDS_1, "frauds_2_hops": FRAUDS_2, "fraud_distance": DISTANCE, "cycle_length": CYCLE}
_LAST_STAMP = (1 << 31) - 1
_MISSING, _ABSENT = -1, -2


class _Asked(NamedTuple):
    """Some features over a graph of some types: its windows, and how many measures there are, of which `values` are asked for.

    `marks` are the measures whose marks count. `missing` and `absent` are the features of communities, and of types that no node has.
    """

    features: Sequence[Column]
    types: int
    windows: NDArray[np.int64]
    width: int
    values: NDArray[np.intp]
    marks: NDArray[np.intp]
    missing: NDArray[np.intp]
    absent: NDArray[np.intp]


class Measurer:
    """Measures over one graph. One thread at a time: it keeps notes on the nodes."""

    def __init__(self, columns: Columns, caps: Caps = STANDARD) -> None:
        """Look as far as `caps` allow."""
        self.columns = columns
        self._caps = caps
        self._asked: _Asked | None = None
        self._stamp = 1
        self._stamps: NDArray[np.int32] = np.zeros((0, STAMPS), np.int32)
        self._notes: NDArray[np.int64] = np.zeros((0, NOTES), np.int64)
        self._told: NDArray[np.int32] = np.zeros(0, np.int32)

    def answer(self, questions: Sequence[Question], features: Sequence[Column]) -> Answers:
        """Answer each question with all features; those of communities are left missing."""
        graph = self.columns
        asked = self._read(features)
        values = np.zeros((len(questions), asked.width))
        capped = np.zeros((len(questions), asked.width), np.uint8)
        self._make_room(len(questions))
        nodes = np.array([graph.nodes.get(node_key(one.kind, one.id), -1) for one in questions], np.int64)
        as_of = np.array([one.as_of_ms for one in questions], np.int64)
        measure(
            nodes, as_of, asked.windows, asked.types, self._caps.own_links, self._caps.links, self._caps.nodes,
            graph.type_of, graph.head, graph.next, graph.ends, graph.time, graph.payment,
            graph.span_first, graph.span_count, graph.spans, self._stamp, self._stamps, self._notes, self._told,
            values, capped,
        )  # fmt: skip
        self._stamp += len(questions)
        told, marks = values[:, asked.values], capped[:, asked.marks]
        told[:, asked.missing] = np.nan
        told[:, asked.absent] = 0
        marks[:, asked.missing] = 0
        return Answers(told, marks)

    def _read(self, features: Sequence[Column]) -> _Asked:
        """Return where features are measured: the same are asked for in every call, so it is kept."""
        types = len(self.columns.types)
        kept = self._asked
        if kept is not None and kept.types == types and kept.features == features:
            return kept
        windows = sorted({one.over_ms for one in features if one.over_ms})
        places = [self._place(one, windows) for one in features]
        # Of a type that wasn't met there may be nodes behind the cap: the mark is that of any type.
        marks = [
            self._place(one._replace(kind=""), windows) if at == _ABSENT else at
            for one, at in zip(features, places, strict=True)
        ]
        at = np.array(places, np.intp)
        self._asked = _Asked(
            features,
            types,
            np.array(windows, np.int64),
            FIXED + 2 * (types + 1) + len(WINDOWED) * len(windows),
            np.maximum(at, 0),
            np.maximum(np.array(marks, np.intp), 0),
            np.flatnonzero(at == _MISSING),
            np.flatnonzero(at == _ABSENT),
        )
        return self._asked

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
        """Return where a feature is measured; _MISSING for one of communities, _ABSENT for a type that no node has."""
        types = self.columns.types
        if column.name in COMMUNITY:
            return _MISSING
        if column.name in _PLACES:
            return _PLACES[column.name]
        if column.over_ms:
            first = FIXED + 2 * (len(types) + 1) + WINDOWED.index(column.name) * len(windows)
            return first + windows.index(column.over_ms)
        first = FIXED if column.name == "degree" else FIXED + len(types) + 1
        if not column.kind:
            return first
        return first + 1 + types.index(column.kind) if column.kind in types else _ABSENT
